"""Grants, adjustments and expiries happen once per key, and the price list answers with the nearest rate."""

import pytest

from billing.exceptions import InsufficientCredits, KeyConflict
from billing.models import LedgerEntry, Rate
from billing.services import (
    adjust_credits,
    expire_credits,
    grant_credits,
    open_account,
    prices_for,
    set_rate,
    worst_case,
)
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db


def test_opening_an_account_twice_is_one_account(workspace):
    assert open_account(workspace) == open_account(workspace)


def test_a_grant_told_twice_is_one_grant(workspace, admin, books):
    first = grant_credits(workspace=workspace, amount=500, actor=admin, key="k", note="Welcome")
    again = grant_credits(workspace=workspace, amount=500, actor=admin, key="k", note="Welcome")
    assert first == again
    assert books(workspace) == (500, 0, 0)
    assert AuditEvent.objects.filter(action="credits.granted").count() == 1


@pytest.mark.parametrize("change", [{"amount": 501}, {"note": "Other"}, {"actor": None}])
def test_the_same_key_for_another_grant_is_a_conflict(workspace, admin, books, change):
    inputs = {"workspace": workspace, "amount": 500, "actor": admin, "key": "k", "note": "Welcome"}
    grant_credits(**inputs)
    with pytest.raises(KeyConflict):
        grant_credits(**inputs | change)
    assert books(workspace) == (500, 0, 0)


def test_one_key_serves_two_workspaces(workspace, other_workspace, books):
    grant_credits(workspace=workspace, amount=5, actor=None, key="k")
    grant_credits(workspace=other_workspace, amount=7, actor=None, key="k")
    assert books(workspace) == (5, 0, 0)
    assert books(other_workspace) == (7, 0, 0)


@pytest.mark.parametrize("amount", [0, -1, 10_000_001])
def test_a_grant_has_bounds(workspace, amount):
    with pytest.raises(ValueError, match="grant"):
        grant_credits(workspace=workspace, amount=amount, actor=None, key="k")


@pytest.mark.parametrize("key", ["", "x" * 141])
def test_a_key_is_stored_whole_or_not_at_all(workspace, key):
    with pytest.raises(ValueError, match="key"):
        grant_credits(workspace=workspace, amount=1, actor=None, key=key)


def test_an_adjustment_goes_up_or_down_but_never_below_nothing(account, books):
    workspace = account.workspace
    adjust_credits(workspace=workspace, amount=10, actor=None, key="up")
    adjust_credits(workspace=workspace, amount=-30, actor=None, key="down", note="Booked twice")
    adjust_credits(workspace=workspace, amount=-30, actor=None, key="down", note="Booked twice")
    assert books(workspace) == (80, 0, 0)
    with pytest.raises(InsufficientCredits) as refused:
        adjust_credits(workspace=workspace, amount=-81, actor=None, key="too much")
    assert refused.value.shortfall == 1
    assert not LedgerEntry.objects.filter(key="adjust:too much").exists()
    assert books(workspace) == (80, 0, 0)


def test_credits_that_expire_leave_the_balance_and_stay_counted(account, books):
    expire_credits(workspace=account.workspace, amount=40, key="2026")
    expire_credits(workspace=account.workspace, amount=40, key="2026")
    account.refresh_from_db()
    assert (account.available, account.expired, account.issued) == (60, 40, 100)
    with pytest.raises(InsufficientCredits):
        expire_credits(workspace=account.workspace, amount=61, key="2027")
    assert books(account.workspace) == (60, 0, 0)


def test_a_price_is_the_providers_else_the_channels_else_the_products(workspace, admin, other_workspace):
    set_rate(workspace=workspace, channel="phone", credits=15, actor=admin)
    set_rate(workspace=workspace, channel="phone", provider="prospeo", credits=9, actor=admin)
    set_rate(workspace=other_workspace, channel="work_email", credits=99, actor=admin)
    asked = {"phone": ["prospeo", "hunter"], "work_email": ["hunter"], "linkedin_url": []}
    prices = prices_for(workspace=workspace, channels=asked)
    assert prices == {"phone": {"prospeo": 9, "hunter": 15}, "work_email": {"hunter": 4}, "linkedin_url": {}}
    assert worst_case(prices) == 19


def test_a_rate_may_be_nothing_and_may_be_taken_away(workspace, admin):
    set_rate(workspace=workspace, channel="phone", credits=0, actor=admin)
    assert prices_for(workspace=workspace, channels={"phone": ["hunter"]}) == {"phone": {"hunter": 0}}
    set_rate(workspace=workspace, channel="phone", credits=None, actor=admin)
    assert prices_for(workspace=workspace, channels={"phone": ["hunter"]}) == {"phone": {"hunter": 18}}
    assert not Rate.objects.exists()
    assert AuditEvent.objects.filter(action="rate.changed").count() == 2


def test_an_unknown_channel_has_no_rate(workspace):
    with pytest.raises(ValueError, match="fax"):
        set_rate(workspace=workspace, channel="fax", credits=1, actor=None)
