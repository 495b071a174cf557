"""What admins see of credits and what they set: every number, every form, and how often the database is asked."""

import csv
import io
import re
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from billing.models import Budget, BudgetPeriod, LedgerEntry, Rate
from billing.services import (
    Capture,
    adjust_credits,
    capture_holds,
    freeze_account,
    grant_credits,
    open_hold,
    refund_capture,
    set_budget,
    set_rate,
)
from billing.spending import spending_in
from billing.statement import ledger_page
from tests.billing.conftest import request_for
from tests.factories.billing import CreditAccountFactory, HoldFactory

pytestmark = pytest.mark.django_db

OVERVIEW, LEDGER = "/billing/", "/billing/ledger/"


@pytest.fixture
def browser(client_for):
    return client_for("admin")


def text_of(response):
    """The page's words, without tags and with single spaces."""
    body = response.content.decode()
    body = re.sub(r"<(svg|script|head)\b.*?</\1>", " ", body, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def rows_of(response):
    body = response.content.decode()
    table = body[body.index('id="ledger-table"') :]
    rows = re.findall(r'<tr id="entry-\d+">(.*?)</tr>', table, re.S)
    return [
        [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in re.findall(r"<td.*?</td>", row, re.S)]
        for row in rows
    ]


def billing_queries(client, url):
    """How often the page asks billing's tables; the session and the rest of the shell are counted elsewhere."""
    client.get(url)
    with CaptureQueriesContext(connection) as queries:
        client.get(url)
    return sum("billing_" in query["sql"] for query in queries)


# Overview ----------------------------------------------------------------------------------------


def test_balance_held_and_spent_are_three_numbers(browser, workspace):
    HoldFactory(workspace=workspace, captured={"phone": "prospeo"})
    page = text_of(browser.get(OVERVIEW))
    assert "Balance 982 credits 975 left to use" in page
    assert "Held 7 credits" in page
    assert "18 spent, no monthly limit" in page
    assert "Values found 1 18.0 credits each" in page


def test_the_budget_says_what_is_spent_left_and_when_it_alerts(browser, workspace):
    set_budget(workspace=workspace, monthly_limit=600, alert_percent=70, actor=None)
    HoldFactory(workspace=workspace, captured={"phone": "prospeo", "work_email": "hunter"})
    response = browser.get(OVERVIEW)
    page = text_of(response)
    assert "22 spent of 600" in page
    assert "575 left, " in page
    assert "Alert at 70%" in page
    assert 'aria-label="22 credits spent and 3 held of 600"' in response.content.decode()


def test_an_overview_without_anything_reads_well(browser):
    page = text_of(browser.get(OVERVIEW))
    assert "Balance 0 credits" in page
    assert "No entries yet. Grant credits to begin." in page
    assert "Nothing was spent in" in page


def test_looking_writes_nothing(browser, workspace):
    browser.get(OVERVIEW)
    assert not workspace.budget_periods.exists()


@pytest.mark.parametrize(("by", "expected"), [("channel", "Phone 18"), ("provider", "Prospeo 22")])
def test_the_days_spend_is_drawn_and_told(browser, workspace, by, expected):
    HoldFactory(
        workspace=workspace,
        captured={"phone": "prospeo", "work_email": "prospeo"},
        prices={"phone": {"prospeo": 18}, "work_email": {"prospeo": 4}},
    )
    body = browser.get(OVERVIEW, {"by": by}).content.decode()
    today = timezone.now().strftime("%a %-d %b")
    assert re.search(rf"<title>{today}: 22 credits, [^<]*{expected}", body)
    assert body.count('class="hit"') >= 28
    assert "style=" not in body


def test_a_refunded_charge_is_no_spending(browser, workspace):
    hold = HoldFactory(workspace=workspace, captured={"phone": "prospeo"}, closed=True)
    refund_capture(entry=hold.entries.get(kind="capture"), key="b", reason="Bounced")
    page = text_of(browser.get(OVERVIEW))
    assert "Values found 0" in page
    assert "0 spent, no monthly limit" in page


def test_rates_name_the_providers_that_differ(browser, workspace):
    set_rate(
        workspace=workspace,
        channel="phone",
        provider="prospeo",
        provider_name="Prospeo",
        credits=9,
        actor=None,
    )
    page = text_of(browser.get(OVERVIEW))
    assert re.search(r"Phone 18 0 .*?Prospeo 9", page)
    assert re.search(r"Work email 4 0", page)


def test_a_frozen_account_says_so_and_thaws_once_the_books_are_sound(browser, workspace):
    account = CreditAccountFactory(workspace=workspace)
    freeze_account(workspace_id=workspace.pk, reason="held = sum of open holds: account 7")
    assert "New spending is stopped." in text_of(browser.get(OVERVIEW))
    assert browser.post(reverse("billing:unfreeze")).status_code == 302
    account.refresh_from_db()
    assert account.frozen_reason == ""
    assert "New spending is allowed again" in browser.get(OVERVIEW).content.decode()


def test_the_overview_asks_the_database_a_fixed_number_of_times(browser, workspace):
    set_budget(workspace=workspace, monthly_limit=900, actor=None)
    # Account, budget, period, spending, rates, entries, balances; and two for the card in the sidebar.
    for holds in (3, 8):
        for _ in range(holds):
            HoldFactory(workspace=workspace, captured={"phone": "prospeo"}, closed=True)
        assert billing_queries(browser, OVERVIEW) == 7 + 2


# Ledger ------------------------------------------------------------------------------------------


def test_a_charge_names_its_lead_channel_provider_amount_and_balance(browser, workspace):
    HoldFactory(workspace=workspace, subject_id=118, captured={"phone": "people_data_labs"})
    response = browser.get(LEDGER)
    charge, grant = rows_of(response)
    assert charge[2] == "Ines Moreau"
    assert charge[3:] == ["Phone · People Data Labs", "−20", "980"]
    assert grant[4:] == ["+1,000", "1,000"]
    assert 'href="/leads/118/"' in response.content.decode()


def test_holds_and_releases_show_on_request_and_change_no_balance(browser, workspace):
    HoldFactory(workspace=workspace, captured={"phone": "prospeo"}, closed=True)
    assert [row[1].split()[0] for row in rows_of(browser.get(LEDGER))] == ["Charge", "Grant"]
    rows = rows_of(browser.get(LEDGER, {"holds": "1"}))
    assert [row[1].split()[0] for row in rows] == ["Release", "Charge", "Hold", "Grant"]
    assert [row[4:] for row in rows] == [["7", "982"], ["−18", "982"], ["25", "1,000"], ["+1,000", "1,000"]]
    assert "Not charged" in rows[0][1]


def test_the_ledger_can_be_narrowed_to_one_kind_with_true_balances(browser, workspace):
    grant_credits(workspace=workspace, amount=10, actor=None, key="a", note="First")
    adjust_credits(workspace=workspace, amount=-3, actor=None, key="b", note="Slip")
    grant_credits(workspace=workspace, amount=5, actor=None, key="c", note="Second")
    rows = rows_of(browser.get(LEDGER, {"kind": "grant"}))
    assert [(row[2], row[4], row[5]) for row in rows] == [("Second", "+5", "12"), ("First", "+10", "10")]
    assert [row[4:] for row in rows_of(browser.get(LEDGER, {"kind": "adjust"}))] == [["−3", "7"]]


def test_pages_follow_each_other_without_gap_or_repeat(browser, workspace):
    for n in range(120):
        grant_credits(workspace=workspace, amount=1, actor=None, key=str(n))
    seen, url, balances = [], LEDGER, []
    while url:
        response = browser.get(url)
        seen += [int(pk) for pk in re.findall(r'id="entry-(\d+)"', response.content.decode())]
        balances += [int(row[5]) for row in rows_of(response)]
        older = re.search(r'id="ledger-older" href="([^"]*)"', response.content.decode())
        url = LEDGER + older[1].replace("&amp;", "&") if older else ""
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == len(set(seen)) == 120
    assert balances == list(range(120, 0, -1))
    newer = re.search(r'id="ledger-newer" href="([^"]*)"', response.content.decode())[1]
    back = re.findall(r'id="entry-(\d+)"', browser.get(LEDGER + newer.replace("&amp;", "&")).content.decode())
    assert [int(pk) for pk in back] == seen[50:100]
    # Entries with their holds, balances; the card in the sidebar.
    assert billing_queries(browser, LEDGER) == 2 + 1


def test_a_balance_is_the_sum_of_everything_up_to_the_row(workspace):
    for n in range(9):
        HoldFactory(workspace=workspace, captured={"phone": "prospeo"}, closed=bool(n % 2))
    hold = HoldFactory(workspace=workspace, captured={"work_email": "hunter"})
    refund_capture(entry=hold.entries.get(kind="capture"), key="b", reason="Bounced")
    running, expected = 0, {}
    for entry in LedgerEntry.objects.filter(workspace=workspace).order_by("pk"):
        running += entry.effect
        expected[entry.pk] = running
    for options in ({}, {"with_holds": True}, {"kind": "refund"}, {"kind": "capture", "before": 10**9}):
        page = ledger_page(workspace=workspace, size=4, **options)
        while page.rows:
            assert {row.pk: row.balance for row in page.rows} == {
                row.pk: expected[row.pk] for row in page.rows
            }
            if page.older is None:
                break
            page = ledger_page(workspace=workspace, size=4, **options | {"before": page.older})


@pytest.mark.parametrize(
    "query",
    [
        "kind=nothing",
        "before=x",
        "before=-1",
        "before=99999999999999999999999",
        "after=1e9",
        "kind=grant&kind=x",
    ],
)
def test_a_query_that_makes_no_sense_is_ignored(browser, workspace, query):
    grant_credits(workspace=workspace, amount=10, actor=None, key="a")
    assert browser.get(f"{LEDGER}?{query}").status_code == 200


def test_the_ledger_of_another_workspace_stays_there(browser, workspace, other_workspace):
    HoldFactory(workspace=other_workspace, captured={"phone": "prospeo"}, subject_label="Somebody Else")
    for url in (OVERVIEW, LEDGER, reverse("billing:ledger_csv")):
        response = browser.get(url)
        body = b"".join(response.streaming_content) if response.streaming else response.content
        assert b"Somebody Else" not in body
        assert b"1,000" not in body


def test_htmx_gets_the_part_it_swaps(client_for, workspace):
    htmx = client_for("admin", htmx=True)
    assert htmx.get(LEDGER).content.lstrip().startswith(b'<div class="fill" id="ledger"')
    assert htmx.get(OVERVIEW).content.lstrip().startswith(b'<section id="spend-by-day"')


# CSV ---------------------------------------------------------------------------------------------


def exported(browser, **query):
    response = browser.get(reverse("billing:ledger_csv"), query)
    assert response.streaming
    assert response["Content-Type"].startswith("text/csv")
    assert "attachment" in response["Content-Disposition"]
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))


def test_the_export_is_the_ledger_oldest_first(browser, workspace):
    HoldFactory(workspace=workspace, captured={"phone": "people_data_labs"}, closed=True)
    grant, charge = exported(browser)
    assert (grant["Amount"], grant["Balance"]) == ("1000", "1000")
    assert (charge["Amount"], charge["Balance"]) == ("-20", "980")
    assert (charge["Channel"], charge["Provider"], charge["Lead"]) == (
        "Phone",
        "People Data Labs",
        "Ines Moreau",
    )
    assert [row["Entry"] for row in exported(browser, holds="1")] == ["Grant", "Hold", "Charge", "Release"]
    assert [row["Balance"] for row in exported(browser, kind="capture")] == ["980"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", " =", "|", "%"])
def test_no_cell_of_the_export_is_a_formula(browser, workspace, start):
    evil = f"{start}cmd|' /C calc'!A0"
    grant_credits(workspace=workspace, amount=1_000, actor=None, key="g", note=evil)
    HoldFactory(
        workspace=workspace,
        account=None,
        captured={"phone": "prospeo"},
        subject_label=evil,
        provider_names={"prospeo": evil},
    )
    grant, charge = exported(browser)
    for cell in (grant["Note"], charge["Lead"], charge["Provider"]):
        assert cell.startswith("'")


# Forms -------------------------------------------------------------------------------------------


def grant_data(**changes):
    return {"amount": "500", "note": "Welcome", "key": str(uuid.uuid4())} | changes


def test_a_grant_sent_twice_is_granted_once(browser, workspace, admin, books):
    data = grant_data()
    for _ in range(2):
        response = browser.post(reverse("billing:grant"), data)
        assert (response.status_code, response.url) == (302, OVERVIEW)
    assert books(workspace) == (500, 0, 0)
    entry = LedgerEntry.objects.get(workspace=workspace)
    assert (entry.actor, entry.note) == (admin, "Welcome")
    assert "500 credits added." in browser.get(OVERVIEW).content.decode()


def test_a_grant_under_a_used_key_is_refused(browser, workspace, books):
    data = grant_data()
    browser.post(reverse("billing:grant"), data)
    response = browser.post(reverse("billing:grant"), data | {"amount": "501"})
    assert response.status_code == 422
    assert "already done with other values" in text_of(response)
    assert books(workspace) == (500, 0, 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", "0"), ("amount", "-5"), ("amount", "10000001"), ("amount", "1.5"), ("amount", "many"),
        ("amount", ""), ("amount", "9" * 400), ("note", "x" * 201), ("note", "a\x00b"), ("key", "k"), ("key", ""),
    ],
)  # fmt: skip
def test_a_grant_that_makes_no_sense_is_refused_beside_its_field(browser, workspace, field, value):
    response = browser.post(reverse("billing:grant"), grant_data(**{field: value}))
    assert response.status_code == 422
    if field != "key":
        assert f'id="grant-{field}_error"' in response.content.decode()
    assert not LedgerEntry.objects.exists()


def test_the_budget_is_set_changed_and_lifted(browser, workspace):
    url = reverse("billing:edit_budget")
    data = {"monthly_limit": "600", "renewal_day": "15", "alert_percent": "75"}
    assert browser.post(url, data).status_code == 302
    budget = Budget.objects.get(workspace=workspace)
    assert (budget.monthly_limit, budget.renewal_day, budget.alert_percent) == (600, 15, 75)
    assert 'value="600"' in browser.get(url).content.decode()
    browser.post(url, data | {"monthly_limit": ""})
    budget.refresh_from_db()
    assert budget.monthly_limit is None


@pytest.mark.parametrize(
    ("field", "value"),
    [("monthly_limit", "-1"), ("monthly_limit", "x"), ("renewal_day", "0"), ("renewal_day", "32"),
     ("renewal_day", ""), ("alert_percent", "0"), ("alert_percent", "101")],
)  # fmt: skip
def test_a_budget_that_makes_no_sense_is_refused_beside_its_field(browser, workspace, field, value):
    data = {"monthly_limit": "600", "renewal_day": "1", "alert_percent": "80"} | {field: value}
    response = browser.post(reverse("billing:edit_budget"), data)
    assert response.status_code == 422
    assert f'id="budget-{field}_error"' in response.content.decode()
    assert not Budget.objects.exists()


def test_rates_are_set_for_all_and_for_one_provider_and_taken_away(browser, workspace):
    HoldFactory(workspace=workspace)
    url = reverse("billing:edit_rate", args=["phone"])
    names = {"hunter": "", "people_data_labs": "", "prospeo": "9"}
    data = {"credits": "15"} | {f"provider:{slug}": value for slug, value in names.items()}
    assert "People Data Labs" in browser.get(url).content.decode()
    assert browser.post(url, data | {"new_provider": "apollo", "new_credits": "0"}).status_code == 302
    rates = dict(Rate.objects.filter(workspace=workspace).values_list("provider", "credits"))
    assert rates == {"": 15, "prospeo": 9, "apollo": 0}
    assert Rate.objects.get(provider="prospeo").provider_name == "Prospeo"
    browser.post(url, data | {"provider:apollo": "0", "provider:prospeo": ""})
    assert not Rate.objects.filter(provider="prospeo").exists()


@pytest.mark.parametrize(
    "change",
    [{"credits": ""}, {"credits": "-1"}, {"credits": "100001"}, {"new_provider": "apollo"}, {"new_credits": "3"},
     {"new_provider": "A B", "new_credits": "3"}],
)  # fmt: skip
def test_a_rate_that_makes_no_sense_is_refused(browser, workspace, change):
    response = browser.post(reverse("billing:edit_rate", args=["phone"]), {"credits": "15"} | change)
    assert response.status_code == 422
    assert "_error" in response.content.decode()
    assert not Rate.objects.exists()


def test_a_channel_that_does_not_exist_has_no_rates(browser):
    assert browser.get(reverse("billing:edit_rate", args=["fax"])).status_code == 404


# The sidebar's card ------------------------------------------------------------------------------


def card(client):
    return text_of(client.get(reverse("billing:balance_card")))


@pytest.mark.parametrize("role", ["admin", "rep", "viewer"])
def test_every_role_sees_what_is_left(client_for, workspace, role):
    grant_credits(workspace=workspace, amount=1_840, actor=None, key="a")
    response = client_for(role).get(reverse("billing:balance_card"))
    assert "1,840 credits left" in text_of(response)
    assert ('href="/billing/"' in response.content.decode()) is (role == "admin")


def test_the_card_of_a_workspace_without_an_account(client_for):
    assert card(client_for("viewer")) == "Credits 0 credits left"


def test_the_card_of_a_budget(client_for, workspace):
    set_budget(workspace=workspace, monthly_limit=60, actor=None)
    HoldFactory(workspace=workspace, captured={"phone": "prospeo"})
    month = timezone.now().strftime("%B")
    assert re.fullmatch(rf"{month} budget 30% 18 of 60 credits \d+ days? left", card(client_for("rep")))


@pytest.mark.parametrize(("limit", "fill"), [(100, "accent"), (22, "warn"), (18, "bad"), (0, "bad")])
def test_the_card_warns_before_the_budget_is_used_up(client_for, workspace, limit, fill):
    HoldFactory(workspace=workspace, captured={"phone": "prospeo"}, closed=True)
    set_budget(workspace=workspace, monthly_limit=limit, actor=None)
    assert f"fill-{fill}" in client_for("rep").get(reverse("billing:balance_card")).content.decode()


def test_the_card_costs_two_queries(client_for, workspace):
    set_budget(workspace=workspace, monthly_limit=60, actor=None)
    HoldFactory(workspace=workspace)
    assert billing_queries(client_for("rep"), reverse("billing:balance_card")) == 2


# Days --------------------------------------------------------------------------------------------


def test_a_charge_after_midnight_counts_to_the_evening_its_hold_was_opened(workspace):
    """The day is the workspace's own, and a charge that lands in the next month shows on this one's last day."""
    hold = HoldFactory(workspace=workspace, captured={"phone": "prospeo"})
    today = timezone.now()
    BudgetPeriod.objects.filter(pk=hold.period_id).update(
        starts_at=today - timedelta(days=30), ends_at=today.replace(hour=0, minute=0, second=0, microsecond=0)
    )
    spending = spending_in(
        workspace=workspace, period=BudgetPeriod.objects.get(pk=hold.period_id), today=today.date()
    )
    assert list(spending.channels) == [(spending.days[-1], "phone")]


def test_open_work_of_a_lead_without_a_name_still_has_a_row(browser, workspace):
    CreditAccountFactory(workspace=workspace)
    request = request_for("x", phone=4)
    hold = open_hold(workspace=workspace, request=request, actor=None)
    capture_holds(captures=[Capture(hold.pk, "phone", "hunter")])
    assert len(rows_of(browser.get(LEDGER))) == 2
