"""Billing as an admin meets it: readable in every look, usable by keyboard and without script."""

import re
from datetime import timedelta
from unittest import mock

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from billing.models import CreditAccount
from billing.services import (
    Capture,
    HoldRequest,
    capture_holds,
    close_holds,
    freeze_account,
    grant_credits,
    open_hold,
    refund_capture,
    set_budget,
    set_rate,
)

pytestmark = pytest.mark.django_db(transaction=True)

PRICES = {
    "work_email": {"hunter": 4, "prospeo": 5},
    "phone": {"prospeo": 18},
    "personal_email": {"people_data_labs": 6},
    "linkedin_url": {"apollo": 2},
}
NAMES = {"hunter": "Hunter", "prospeo": "Prospeo", "people_data_labs": "People Data Labs", "apollo": "Apollo"}
LEADS = [
    "Ines Moreau",
    "Łukasz Żółty-Wiśniewski",
    "Bo Li",
    "Marie-Antoinette de la Rochefoucauld-Montmorency",
]


@pytest.fixture
def spent(workspace, admin):
    """A month with charges, a refund and a hold that is open."""
    grant_credits(workspace=workspace, amount=5_000, actor=admin, key="start", note="Welcome credits")
    set_budget(workspace=workspace, monthly_limit=600, actor=admin)
    set_rate(
        workspace=workspace,
        channel="work_email",
        provider="prospeo",
        provider_name="Prospeo",
        credits=5,
        actor=admin,
    )
    now = timezone.now()
    for n in range(14):
        with mock.patch("django.utils.timezone.now", return_value=now + timedelta(seconds=n)):
            request = HoldRequest(f"item:{n}", PRICES, 100 + n, LEADS[n % 4], NAMES)
            hold = open_hold(workspace=workspace, request=request, actor=admin)
        found = [
            ("work_email", "hunter"),
            ("phone", "prospeo"),
            ("personal_email", "people_data_labs"),
            ("linkedin_url", "apollo"),
        ]
        charges = capture_holds(captures=[Capture(hold.pk, *pair) for pair in found[: 1 + n % 4]])
        if n < 13:
            close_holds(hold_ids=[hold.pk])
    refund_capture(entry=charges[hold.pk, "work_email"], key="bounce", reason="Bounced", actor=None)
    return workspace


@pytest.mark.parametrize("look", [{}, {"dark": True}, {"phone": True}], ids=["light", "dark", "phone"])
def test_the_pages_are_accessible_and_fit(
    open_page, assert_accessible, assert_no_sideways_scroll, spent, admin, look
):
    page = open_page(admin, **look)
    for path in (
        "/billing/",
        "/billing/?by=provider",
        "/billing/ledger/",
        "/billing/ledger/?holds=1",
        "/billing/ledger/?kind=expire",
        "/billing/grant/",
        "/billing/budget/",
        "/billing/rates/work_email/",
    ):
        page.goto(path)
        expect(page.locator("h1")).to_have_count(1)
        assert_accessible(page)
        assert_no_sideways_scroll(page)
    page.goto("/billing/")
    page.get_by_text("Show as table").click()
    page.get_by_text("Edit budget").click()
    assert_accessible(page)
    assert_no_sideways_scroll(page)


def test_a_frozen_account_is_accessible_too(open_page, assert_accessible, spent, admin):
    freeze_account(workspace_id=spent.pk, reason="what is held is the sum of open holds: account 7")
    page = open_page(admin)
    page.goto("/billing/")
    assert_accessible(page)
    page.get_by_role("button", name="Check again").click()
    expect(page.get_by_text("The ledger is sound.")).to_be_visible()


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_credits_are_granted_once_however_often_the_button_is_pressed(open_page, spent, admin, script):
    page = open_page(admin, script=script)
    page.goto("/billing/")
    page.locator("summary", has_text="Grant credits").click()
    page.get_by_label("Credits", exact=True).fill("250")
    page.get_by_label("Note").fill("Top up")
    before = CreditAccount.objects.get(workspace=spent).issued
    page.get_by_role("button", name="Grant credits").dblclick()
    expect(page.locator("#ledger-table tbody tr").first).to_contain_text("Top up")
    assert CreditAccount.objects.get(workspace=spent).issued == before + 250


def test_a_refused_grant_says_why_beside_the_field(open_page, assert_accessible, spent, admin):
    page = open_page(admin)
    page.goto("/billing/grant/")
    page.get_by_label("Note").fill("No number")
    page.get_by_label("Credits", exact=True).fill("1")
    page.locator("form#grant-form").evaluate("form => { form.noValidate = true; form.amount.value = '0'; }")
    with page.expect_navigation(wait_until="load"):
        page.get_by_role("button", name="Grant credits").click()
    # The browser reports the status itself; nothing else may be wrong.
    assert all("422" in complaint for complaint in page.complaints)
    page.complaints.clear()
    expect(page.locator("#balance-card")).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text="Some fields need another look.")).to_be_focused()
    expect(page.locator("#grant-amount_error")).to_contain_text("greater than or equal to 1")
    expect(page.get_by_label("Credits", exact=True)).to_have_attribute("aria-invalid", "true")
    assert_accessible(page)


def test_the_chart_is_regrouped_in_place(open_page, spent, admin):
    page = open_page(admin)
    page.goto("/billing/")
    expect(page.locator("#spend-by-day .legend")).to_contain_text("Personal email")
    page.get_by_role("link", name="Provider", exact=True).click()
    expect(page.locator("#spend-by-day .legend")).to_contain_text("People Data Labs")
    expect(page.get_by_role("link", name="Provider", exact=True)).to_have_attribute("aria-current", "true")


def test_the_ledger_is_filtered_in_place_and_its_address_says_how(open_page, spent, admin):
    page = open_page(admin)
    page.goto("/billing/ledger/")
    page.get_by_label("Entries", exact=True).select_option("refund")
    expect(page.locator("#ledger-table tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile("kind=refund"))
    page.get_by_label("Entries", exact=True).select_option("")
    page.get_by_label("Holds and releases").check()
    expect(page.get_by_text("Not charged").first).to_be_visible()
    expect(page).to_have_url(re.compile("holds=1"))
    page.reload()
    expect(page.get_by_label("Holds and releases")).to_be_checked()
    expect(page.get_by_text("Not charged").first).to_be_visible()
