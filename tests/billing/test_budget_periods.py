"""A month of a budget is one row, whatever the clocks, the calendar and the server did."""

from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest

from billing.calendar import month_bounds
from billing.exceptions import OverBudget
from billing.models import BudgetPeriod
from billing.services import (
    Capture,
    capture_holds,
    close_holds,
    current_period,
    open_hold,
    open_holds,
    refund_capture,
    room_for_holds,
    set_budget,
)
from tests.billing.conftest import request_for

pytestmark = pytest.mark.django_db


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def bounds(now, timezone="UTC", renewal_day=1):
    return [
        f"{moment:%Y-%m-%d %H:%M}"
        for moment in month_bounds(now=at(now), timezone=timezone, renewal_day=renewal_day)
    ]


@pytest.mark.parametrize(
    ("now", "timezone", "day", "starts", "ends"),
    [
        ("2026-11-24 08:00", "UTC", 1, "2026-11-01 00:00", "2026-12-01 00:00"),
        ("2026-11-01 00:00", "UTC", 1, "2026-11-01 00:00", "2026-12-01 00:00"),
        ("2026-10-31 23:59", "UTC", 1, "2026-10-01 00:00", "2026-11-01 00:00"),
        ("2026-12-31 23:30", "Europe/Berlin", 1, "2026-12-31 23:00", "2027-01-31 23:00"),
        # Day 31 is the last day of a shorter month.
        ("2026-02-28 12:00", "UTC", 31, "2026-02-28 00:00", "2026-03-31 00:00"),
        ("2026-02-27 12:00", "UTC", 31, "2026-01-31 00:00", "2026-02-28 00:00"),
        ("2026-04-29 12:00", "UTC", 31, "2026-03-31 00:00", "2026-04-30 00:00"),
        ("2028-02-29 12:00", "UTC", 31, "2028-02-29 00:00", "2028-03-31 00:00"),
        # 29 February exists every four years.
        ("2028-02-29 00:00", "UTC", 29, "2028-02-29 00:00", "2028-03-29 00:00"),
        ("2027-03-01 00:00", "UTC", 29, "2027-02-28 00:00", "2027-03-29 00:00"),
        # Clocks change within the month: both ends are local midnights.
        ("2026-03-29 12:00", "Europe/Berlin", 1, "2026-02-28 23:00", "2026-03-31 22:00"),
        ("2026-11-10 12:00", "America/New_York", 1, "2026-11-01 04:00", "2026-12-01 05:00"),
        # Midnight does not exist in Cairo on 24 April 2026: the month starts with the change.
        ("2026-04-24 12:00", "Africa/Cairo", 24, "2026-04-23 22:00", "2026-05-23 21:00"),
        # Midnight exists twice in Havana on 1 November 2026: the first counts.
        ("2026-11-01 04:30", "America/Havana", 1, "2026-11-01 04:00", "2026-12-01 05:00"),
        ("2026-11-24 08:00", "Nowhere/Here", 1, "2026-11-01 00:00", "2026-12-01 00:00"),
    ],
)
def test_a_month_is_from_local_midnight_to_local_midnight(now, timezone, day, starts, ends):
    assert bounds(now, timezone, day) == [starts, ends]


@pytest.mark.parametrize(
    "timezone", ["UTC", "Europe/Berlin", "Africa/Cairo", "Pacific/Apia", "America/Havana"]
)
@pytest.mark.parametrize("day", [1, 15, 29, 30, 31])
def test_months_join_without_gap_or_overlap(timezone, day):
    moment = at("2026-01-15 12:00")
    for _ in range(60):
        start, end = month_bounds(now=moment, timezone=timezone, renewal_day=day)
        assert start <= moment < end
        assert month_bounds(now=end - timedelta(seconds=1), timezone=timezone, renewal_day=day) == (
            start,
            end,
        )
        assert month_bounds(now=end, timezone=timezone, renewal_day=day)[0] == end
        moment = end


def test_the_first_who_asks_creates_the_row_and_there_is_one(workspace):
    first = current_period(workspace=workspace, now=at("2026-11-24 08:00"))
    again = current_period(workspace=workspace, now=at("2026-11-30 23:59"))
    assert first == again
    assert current_period(workspace=workspace, now=at("2026-12-01 00:00")) != first
    assert BudgetPeriod.objects.count() == 2


def test_months_the_server_was_off_leave_no_row_and_no_harm(workspace):
    set_budget(workspace=workspace, monthly_limit=50, actor=None)
    current_period(workspace=workspace, now=at("2026-11-24 08:00"))
    later = current_period(workspace=workspace, now=at("2027-03-02 09:00"))
    assert later.starts_at == at("2027-03-01 00:00")
    assert (later.hard_limit, later.reserved, later.spent) == (50, 0, 0)
    assert BudgetPeriod.objects.count() == 2


def test_a_changed_renewal_day_counts_from_the_next_period(workspace):
    current_period(workspace=workspace, now=at("2026-11-24 08:00"))
    set_budget(workspace=workspace, monthly_limit=50, renewal_day=15, actor=None)
    assert current_period(workspace=workspace, now=at("2026-11-29 08:00")).ends_at == at("2026-12-01 00:00")
    following = current_period(workspace=workspace, now=at("2026-12-03 08:00"))
    assert (following.starts_at, following.ends_at) == (at("2026-12-01 00:00"), at("2026-12-15 00:00"))


def test_periods_never_overlap_even_asked_for_backwards(workspace):
    workspace.timezone = "Pacific/Kiritimati"
    later = current_period(workspace=workspace, now=at("2026-11-30 11:00"))
    workspace.timezone = "UTC"
    earlier = current_period(workspace=workspace, now=at("2026-11-20 11:00"))
    assert earlier.ends_at <= later.starts_at or earlier == later


def test_a_hold_counts_to_the_period_it_was_opened_in(account, books):
    workspace = account.workspace
    set_budget(workspace=workspace, monthly_limit=20, actor=None)
    with mock.patch("django.utils.timezone.now", return_value=at("2026-11-30 23:59")):
        hold = open_hold(workspace=workspace, request=request_for("a", phone=18), actor=None)
    with mock.patch("django.utils.timezone.now", return_value=at("2026-12-01 00:01")):
        capture_holds(captures=[Capture(hold.pk, "phone", "hunter")])
        assert room_for_holds(workspace=workspace).budget_left == 20
        open_hold(workspace=workspace, request=request_for("b", phone=20), actor=None)
    november, december = BudgetPeriod.objects.order_by("starts_at")
    assert (november.reserved, november.spent) == (0, 18)
    assert (december.reserved, december.spent) == (20, 0)
    assert books(workspace) == (62, 20, 18)


def test_a_limit_below_what_is_used_stops_new_work_and_nothing_else(account, books):
    workspace = account.workspace
    hold = open_hold(workspace=workspace, request=request_for("a", phone=18, work_email=4), actor=None)
    set_budget(workspace=workspace, monthly_limit=5, actor=None)
    assert room_for_holds(workspace=workspace).credits == 0
    with pytest.raises(OverBudget):
        open_hold(workspace=workspace, request=request_for("b", phone=1), actor=None)
    capture_holds(captures=[Capture(hold.pk, "work_email", "hunter")])
    close_holds(hold_ids=[hold.pk])
    # What was given back does not become room above the lowered limit.
    period = current_period(workspace=workspace)
    assert (period.hard_limit, period.reserved, period.spent) == (5, 0, 4)
    with pytest.raises(OverBudget):
        open_hold(workspace=workspace, request=request_for("c", phone=2), actor=None)
    open_hold(workspace=workspace, request=request_for("d", phone=1), actor=None)
    assert books(workspace) == (95, 1, 4)


def test_raising_or_lifting_the_limit_lets_work_start(account):
    workspace = account.workspace
    set_budget(workspace=workspace, monthly_limit=0, actor=None)
    assert open_holds(workspace=workspace, requests=[request_for("a", phone=18)], actor=None) == []
    set_budget(workspace=workspace, monthly_limit=18, actor=None)
    assert len(open_holds(workspace=workspace, requests=[request_for("a", phone=18)], actor=None)) == 1
    assert open_holds(workspace=workspace, requests=[request_for("b", phone=18)], actor=None) == []
    set_budget(workspace=workspace, monthly_limit=None, actor=None)
    assert len(open_holds(workspace=workspace, requests=[request_for("b", phone=18)], actor=None)) == 1


def test_an_unlimited_month_stays_unlimited_as_holds_give_back(account, books):
    hold = open_hold(workspace=account.workspace, request=request_for("a", phone=18), actor=None)
    close_holds(hold_ids=[hold.pk])
    assert current_period(workspace=account.workspace).hard_limit is None
    assert books(account.workspace) == (100, 0, 0)


def test_a_refund_gives_the_month_its_room_back(account):
    workspace = account.workspace
    set_budget(workspace=workspace, monthly_limit=18, actor=None)
    hold = open_hold(workspace=workspace, request=request_for("a", phone=18), actor=None)
    charge = capture_holds(captures=[Capture(hold.pk, "phone", "hunter")])[hold.pk, "phone"]
    assert room_for_holds(workspace=workspace).credits == 0
    refund_capture(entry=charge, key="bounce:1", reason="Bounced")
    assert room_for_holds(workspace=workspace).credits == 18


def test_a_budget_that_was_never_touched_still_limits_the_first_look(workspace, account):
    set_budget(workspace=workspace, monthly_limit=7, actor=None)
    assert not BudgetPeriod.objects.exists()
    assert room_for_holds(workspace=workspace).credits == 7
    assert not BudgetPeriod.objects.exists()
