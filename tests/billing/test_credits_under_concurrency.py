"""Many connections at once: nothing is spent twice, overspent, or stuck."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection, connections, transaction

from billing.exceptions import HoldClosed, InsufficientCredits, KeyConflict
from billing.models import BudgetPeriod, CreditAccount, Hold, LedgerEntry
from billing.services import (
    Capture,
    capture_holds,
    close_holds,
    current_period,
    find_ledger_faults,
    grant_credits,
    open_hold,
    open_holds,
    refund_capture,
    run_in_transaction,
    set_budget,
)
from tests.billing.conftest import request_for
from tests.factories import WorkspaceFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrent]


def test_one_credit_and_twenty_who_want_it(workspace, at_once, books):
    grant_credits(workspace=workspace, amount=1, actor=None, key="one")
    # The period exists: creating it would make them wait in line, and prove nothing.
    current_period(workspace=workspace)
    results = at_once(
        *[
            lambda n=n: open_hold(workspace=workspace, request=request_for(f"item:{n}", phone=1), actor=None)
            for n in range(20)
        ]
    )
    assert sum(isinstance(result, Hold) for result in results) == 1
    assert sum(isinstance(result, InsufficientCredits) for result in results) == 19
    assert books(workspace) == (0, 1, 0)


def test_one_purpose_opened_twenty_times_is_one_hold(account, at_once, books):
    workspace = account.workspace
    results = at_once(
        *[lambda: open_hold(workspace=workspace, request=request_for("same", phone=18), actor=None)] * 20
    )
    assert len({result.pk for result in results}) == 1
    assert books(workspace) == (82, 18, 0)


def test_one_grant_sent_ten_times_at_once_is_one_grant(workspace, at_once, books):
    results = at_once(*[lambda: grant_credits(workspace=workspace, amount=7, actor=None, key="same")] * 10)
    assert len({result.pk for result in results}) == 1
    assert books(workspace) == (7, 0, 0)


def test_one_charge_made_ten_times_at_once_is_one_charge(account, at_once, books):
    hold = open_hold(
        workspace=account.workspace, request=request_for("a", phone=18, work_email=4), actor=None
    )
    capture = Capture(hold.pk, "phone", "hunter")
    results = at_once(*[lambda: capture_holds(captures=[capture])] * 10)
    assert len({result[hold.pk, "phone"].pk for result in results}) == 1
    assert books(account.workspace) == (78, 4, 18)


def test_one_charge_refunded_ten_times_at_once_is_one_refund(account, at_once, books):
    hold = open_hold(workspace=account.workspace, request=request_for("a", phone=18), actor=None)
    charge = capture_holds(captures=[Capture(hold.pk, "phone", "hunter")])[hold.pk, "phone"]
    results = at_once(
        *[lambda n=n: refund_capture(entry=charge, key=f"k{n % 2}", reason="Bounced") for n in range(10)]
    )
    refunds = [result for result in results if isinstance(result, LedgerEntry)]
    assert len({refund.pk for refund in refunds}) == 1
    assert all(isinstance(result, LedgerEntry | KeyConflict) for result in results)
    assert books(account.workspace) == (100, 0, 0)


def test_a_charge_and_the_close_of_its_hold_end_in_one_of_two_ways(account, at_once, books):
    expected = 100
    for n in range(15):
        hold = open_hold(workspace=account.workspace, request=request_for(f"item:{n}", phone=2), actor=None)
        charged, released = at_once(
            lambda hold=hold: capture_holds(captures=[Capture(hold.pk, "phone", "hunter")]),
            lambda hold=hold: close_holds(hold_ids=[hold.pk]),
        )
        if isinstance(charged, HoldClosed):
            assert released == 2
        else:
            assert charged[hold.pk, "phone"].amount == 2
            assert released == 0
            expected -= 2
        hold.refresh_from_db()
        assert (hold.state, hold.remaining) == ("closed", 0)
    assert books(account.workspace) == (expected, 0, 100 - expected)


def test_admitters_of_different_work_share_what_there_is_to_the_last_credit(account, at_once, books):
    workspace = account.workspace
    set_budget(workspace=workspace, monthly_limit=90, actor=None)
    current_period(workspace=workspace)
    for wave in range(6):
        batches = [[request_for(f"{wave}:{who}:{n}", phone=9) for n in range(12)] for who in range(4)]
        results = at_once(
            *[
                lambda batch=batch: open_holds(workspace=workspace, requests=batch, actor=None)
                for batch in batches
            ]
        )
        for holds, batch in zip(results, batches, strict=True):
            assert [hold.purpose for hold in holds] == [request.purpose for request in batch[: len(holds)]]
        assert sum(len(holds) for holds in results) == 10
        assert books(workspace) == (10, 90, 0)
        close_holds(hold_ids=[hold.pk for holds in results for hold in holds])


def test_admitters_of_the_same_work_neither_overshoot_nor_skip(account, at_once, books):
    workspace = account.workspace
    set_budget(workspace=workspace, monthly_limit=90, actor=None)
    for wave in range(5):
        purposes = [f"wave{wave}:{n}" for n in range(12)]
        requests = [request_for(purpose, phone=9) for purpose in purposes]
        results = at_once(
            *[lambda requests=requests: open_holds(workspace=workspace, requests=requests, actor=None)] * 4
        )
        for holds in results:
            assert [hold.purpose for hold in holds] == purposes[: len(holds)]
        opened = Hold.objects.filter(workspace=workspace, state="open")
        assert sorted(opened.values_list("purpose", flat=True)) == sorted(purposes[:10])
        assert max(len(holds) for holds in results) == 10
        assert books(workspace) == (10, 90, 0)
        close_holds(hold_ids=list(opened.values_list("pk", flat=True)))


def test_admitters_with_batches_in_opposite_order_do_not_block_each_other(account, at_once, books):
    workspace = account.workspace
    for wave in range(10):
        requests = [request_for(f"wave{wave}:{n}", phone=1) for n in range(8)]
        results = at_once(
            lambda requests=requests: open_holds(workspace=workspace, requests=requests, actor=None),
            lambda requests=requests: open_holds(workspace=workspace, requests=requests[::-1], actor=None),
        )
        assert [len(holds) for holds in results] == [8, 8]
    assert books(workspace) == (20, 80, 0)


def test_the_first_hold_of_a_month_asked_for_by_many_makes_one_period(account, at_once, books):
    workspace = account.workspace
    results = at_once(*[lambda: current_period(workspace=workspace)] * 10)
    assert len({period.pk for period in results}) == 1
    assert BudgetPeriod.objects.count() == 1


def test_a_budget_lowered_while_holds_open_is_never_passed_by_new_ones(account, at_once):
    workspace = account.workspace
    for wave in range(8):
        set_budget(workspace=workspace, monthly_limit=None, actor=None)
        at_once(
            lambda: set_budget(workspace=workspace, monthly_limit=5, actor=None),
            *[
                lambda wave=wave, n=n: open_hold(
                    workspace=workspace, request=request_for(f"{wave}:{n}", phone=3), actor=None
                )
                for n in range(4)
            ],
        )
        period = BudgetPeriod.objects.get(workspace=workspace)
        assert period.hard_limit == max(5, period.reserved + period.spent)
        assert find_ledger_faults(workspace) == []
        close_holds(
            hold_ids=Hold.objects.filter(workspace=workspace, state="open").values_list("pk", flat=True)
        )


def test_everything_at_once_on_two_accounts_meets_no_deadlock(at_once, books):
    """Six connections do every kind of move on the same holds, in random order, alone and in one transaction."""
    workspaces = [WorkspaceFactory(), WorkspaceFactory()]
    for workspace in workspaces:
        grant_credits(workspace=workspace, amount=3_000, actor=None, key="start")
        set_budget(workspace=workspace, monthly_limit=2_500, actor=None)
    holds = [
        open_hold(
            workspace=workspace, request=request_for(f"shared:{n}", phone=5, work_email=2), actor=None
        ).pk
        for workspace in workspaces
        for n in range(20)
    ]

    def work(seed):
        rng = random.Random(seed)
        for n in range(40):
            some = rng.sample(holds, 6)
            try:
                match rng.randrange(5):
                    case 0:
                        open_holds(
                            workspace=rng.choice(workspaces),
                            requests=[request_for(f"{seed}:{n}:{i}", phone=3) for i in range(4)],
                            actor=None,
                        )
                    case 1:
                        capture_holds(captures=[Capture(pk, "phone", "hunter") for pk in some])
                    case 2:
                        close_holds(hold_ids=some[:2])
                    case 3:
                        grant_credits(
                            workspace=rng.choice(workspaces), amount=1, actor=None, key=f"{seed}:{n}"
                        )
                    case 4:
                        with transaction.atomic():
                            capture_holds(captures=[Capture(pk, "work_email", "hunter") for pk in some])
                            close_holds(hold_ids=some)
            except HoldClosed:
                pass
        return seed

    deadlocks = deadlocks_so_far()
    assert at_once(*[lambda seed=seed: work(seed) for seed in range(6)]) == list(range(6))
    assert deadlocks_so_far() == deadlocks
    for workspace in workspaces:
        books(workspace)


def deadlocks_so_far():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return cursor.fetchone()[0]


def test_a_deadlock_of_the_callers_own_making_is_run_again(workspace, at_once, books):
    other = WorkspaceFactory()
    for each in (workspace, other):
        grant_credits(workspace=each, amount=1, actor=None, key="start")

    def in_order(first, second, key):
        return lambda: run_in_transaction(
            lambda: (
                grant_credits(workspace=first, amount=1, actor=None, key=key),
                grant_credits(workspace=second, amount=1, actor=None, key=key),
            )
        )

    for wave in range(6):
        results = at_once(
            in_order(workspace, other, f"there {wave}"), in_order(other, workspace, f"back {wave}")
        )
        assert all(isinstance(result, tuple) for result in results)
    assert books(workspace) == (13, 0, 0)
    assert books(other) == (13, 0, 0)


def test_inside_a_transaction_the_outermost_caller_has_to_repeat(workspace):
    runs = []

    def work():
        runs.append(1)
        with connection.cursor() as cursor:
            cursor.execute("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = 'deadlock_detected'; END $$")

    with pytest.raises(OperationalError), transaction.atomic():
        run_in_transaction(work)
    assert len(runs) == 1
    with pytest.raises(OperationalError):
        run_in_transaction(work, attempts=3)
    assert len(runs) == 4


def test_the_check_never_trips_over_work_in_flight(account):
    workspace = account.workspace
    stop = []

    def churn():
        try:
            for n in range(60):
                hold = open_hold(workspace=workspace, request=request_for(f"item:{n}", phone=1), actor=None)
                capture_holds(captures=[Capture(hold.pk, "phone", "hunter")])
                close_holds(hold_ids=[hold.pk])
        finally:
            stop.append(1)
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(churn)
        while not stop:
            assert find_ledger_faults(workspace) == []
        done.result()
    assert CreditAccount.objects.get(workspace=workspace).spent == 60
