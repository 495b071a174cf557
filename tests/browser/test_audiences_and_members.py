"""Audiences, members and signing in, as a person meets them: by mouse and keyboard, with and without script."""

import re

import pytest
from playwright.sync_api import expect

from leads.models import Lead
from tests.factories import PASSWORD, AudienceFactory, LeadFactory, MembershipFactory
from workspaces.models import Membership

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def hot(workspace):
    leads = [
        LeadFactory(workspace=workspace, full_name=name, search_text=name.lower(), with_work_email=True)
        for name in ("Ines Moreau", "Łukasz Nowak")
    ]
    LeadFactory(workspace=workspace, full_name="Bo Li", search_text="bo li")
    return AudienceFactory(workspace=workspace, name="Hot EMEA", required=["work_email"], leads=leads)


@pytest.mark.parametrize("look", [{}, {"dark": True}, {"phone": True}], ids=["light", "dark", "phone"])
def test_the_pages_are_accessible_and_fit(
    open_page, assert_accessible, assert_no_sideways_scroll, hot, admin, workspace, look
):
    MembershipFactory(workspace=workspace, user__password=None, user__name="A person with rather a long name")
    page = open_page(admin, **look)
    for path in (
        "/audiences/",
        "/audiences/new/",
        f"/audiences/{hot.pk}/",
        f"/audiences/{hot.pk}/leads/",
        f"/audiences/{hot.pk}/delete/",
        "/audiences/default/",
        "/members/",
        "/audit/",
        "/password/",
    ):
        page.goto(path)
        expect(page.locator("h1")).to_have_count(1)
        assert_accessible(page)
        assert_no_sideways_scroll(page)
    nobody = open_page(None, **look)
    nobody.goto("/login/")
    assert_accessible(nobody)


def test_ticking_a_channel_tells_what_it_would_do_before_it_is_saved(open_page, hot, admin):
    page = open_page(admin)
    page.goto(f"/audiences/{hot.pk}/")
    page.get_by_label("Phone").check()
    expect(page.locator("#scope-preview")).to_have_text("Changing this makes 2 leads partial.")
    assert set(hot.leads.values_list("enrichment_status", flat=True)) == {"full"}
    page.get_by_role("button", name="Save channels").click()
    expect(page.get_by_text("The requirements of 2 leads changed.")).to_be_visible()
    expect(page.locator("#member-table").get_by_text("Partial")).to_have_count(2)


def test_search_as_you_type_then_add(open_page, hot, rep):
    page = open_page(rep)
    page.goto(f"/audiences/{hot.pk}/leads/")
    page.get_by_role("searchbox").press_sequentially("bo")
    page.get_by_role("checkbox", name="Bo Li").check()
    page.get_by_role("button", name="Add ticked leads").click()
    expect(page.get_by_text("1 lead added.")).to_be_visible()
    assert hot.leads.count() == 3


def test_joining_an_audience_in_the_panel_moves_the_circle_beside_it(open_page, hot, rep, workspace):
    lead = Lead.objects.get(full_name="Ines Moreau")
    AudienceFactory(workspace=workspace, name="Callers", required=["phone"])
    page = open_page(rep)
    page.goto(f"/leads/{lead.pk}/")
    expect(page.locator("#lead-head .pill").first).to_contain_text("Full")
    page.get_by_label("Add to an audience").click()
    page.get_by_role("button", name="Callers").click()
    expect(page.locator("#lead-head .pill").first).to_contain_text("Partial · 1 of 2 required")
    expect(page.locator("#lead-audiences")).to_contain_text("Callers")
    page.get_by_label("Remove from Callers").click()
    expect(page.locator("#lead-head .pill").first).to_contain_text("Full")


def test_everything_works_without_script(open_page, hot, admin):
    page = open_page(admin, script=False)
    page.goto(f"/audiences/{hot.pk}/")
    page.get_by_label("Phone").check()
    page.get_by_role("button", name="Save channels").click()
    expect(page.locator("#member-table").get_by_text("Partial")).to_have_count(2)
    page.get_by_role("link", name="Add leads").first.click()
    page.get_by_role("searchbox").fill("bo")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("checkbox", name="Bo Li").check()
    page.get_by_role("button", name="Add ticked leads").click()
    expect(page.get_by_text("3 leads")).to_be_visible()


def test_a_new_member_chooses_a_password_and_is_in(open_page, admin, workspace):
    page = open_page(admin)
    page.goto("/members/")
    page.get_by_label("Email").fill("new@example.com")
    page.get_by_role("button", name="Add member").click()
    link = page.locator("#password-link code").inner_text()
    theirs = open_page(None)
    theirs.goto(re.sub(r"^https?://[^/]+", "", link))
    theirs.get_by_label("New password", exact=True).fill("a rather long phrase")
    theirs.get_by_label("New password, again").fill("a rather long phrase")
    theirs.get_by_role("button", name="Save and sign in").click()
    expect(theirs.get_by_role("heading", name="Leads", exact=True)).to_be_visible()
    assert Membership.objects.get(user__email="new@example.com").workspace == workspace


def test_signing_in_comes_back_to_the_page_that_was_asked_for(open_page, rep, hot):
    page = open_page(None)
    page.goto("/audiences/")
    page.get_by_label("Email").fill(rep.email.upper())
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/audiences/$"))


def test_a_page_whose_session_ended_leaves_for_sign_in_at_its_next_request(open_page, rep, hot):
    page = open_page(rep)
    page.goto(f"/audiences/{hot.pk}/leads/")
    page.context.clear_cookies()
    page.get_by_role("searchbox").press_sequentially("bo")
    expect(page).to_have_url(re.compile(rf"/login/\?next=%2Faudiences%2F{hot.pk}%2Fleads%2F"))
