"""Credits are set aside before the work, charged once per channel found, and given back for the rest."""

import pytest

from billing.exceptions import (
    AccountFrozen,
    HoldClosed,
    InsufficientCredits,
    KeyConflict,
    OverBudget,
    UnknownPrice,
)
from billing.models import Hold, LedgerEntry
from billing.services import (
    Capture,
    HoldRequest,
    capture_holds,
    close_holds,
    freeze_account,
    open_hold,
    open_holds,
    refund_capture,
    set_budget,
    unfreeze_account,
)
from tests.billing.conftest import request_for

pytestmark = pytest.mark.django_db

PRICES = {"work_email": {"hunter": 4, "prospeo": 5}, "phone": {"prospeo": 18}}


@pytest.fixture
def hold(account):
    return open_hold(workspace=account.workspace, request=HoldRequest("item:1", PRICES), actor=None)


def kinds(workspace):
    return list(LedgerEntry.objects.filter(workspace=workspace).order_by("pk").values_list("kind", "amount"))


def test_the_worst_case_is_set_aside(hold, books):
    assert hold.reserved == 23
    assert books(hold.workspace) == (77, 23, 0)


def test_a_charge_is_the_frozen_price_of_the_provider_that_answered(hold, books):
    charges = capture_holds(captures=[Capture(hold.pk, "work_email", "hunter")])
    assert charges[hold.pk, "work_email"].amount == 4
    assert books(hold.workspace) == (77, 19, 4)
    assert close_holds(hold_ids=[hold.pk]) == 19
    assert books(hold.workspace) == (96, 0, 4)
    assert kinds(hold.workspace) == [("grant", 100), ("reserve", 23), ("capture", 4), ("release", 19)]


def test_a_charge_told_twice_is_one_charge(hold, books):
    capture = Capture(hold.pk, "phone", "prospeo")
    first = capture_holds(captures=[capture, capture])[hold.pk, "phone"]
    again = capture_holds(captures=[capture])[hold.pk, "phone"]
    assert first == again
    assert books(hold.workspace) == (77, 5, 18)


def test_a_repeat_after_the_close_still_answers(hold, books):
    capture = Capture(hold.pk, "phone", "prospeo")
    first = capture_holds(captures=[capture])
    close_holds(hold_ids=[hold.pk])
    assert capture_holds(captures=[capture]) == first
    assert books(hold.workspace) == (82, 0, 18)


def test_one_channel_is_not_charged_for_two_providers(hold, books):
    capture_holds(captures=[Capture(hold.pk, "work_email", "hunter")])
    with pytest.raises(KeyConflict):
        capture_holds(captures=[Capture(hold.pk, "work_email", "prospeo")])
    with pytest.raises(KeyConflict):
        capture_holds(
            captures=[Capture(hold.pk, "phone", "prospeo"), Capture(hold.pk, "work_email", "prospeo")]
        )
    assert books(hold.workspace) == (77, 19, 4)


def test_a_closed_hold_pays_for_nothing_new(hold, books):
    close_holds(hold_ids=[hold.pk])
    with pytest.raises(HoldClosed):
        capture_holds(captures=[Capture(hold.pk, "work_email", "hunter")])
    assert books(hold.workspace) == (100, 0, 0)


def test_closing_twice_gives_back_once(hold, books):
    assert close_holds(hold_ids=[hold.pk, hold.pk]) == 23
    assert close_holds(hold_ids=[hold.pk]) == 0
    hold.refresh_from_db()
    assert hold.state == Hold.State.CLOSED
    assert hold.closed_at is not None
    assert books(hold.workspace) == (100, 0, 0)


@pytest.mark.parametrize("capture", [("phone", "hunter"), ("personal_email", "hunter")])
def test_nothing_is_charged_without_an_agreed_price(hold, capture):
    with pytest.raises(UnknownPrice):
        capture_holds(captures=[Capture(hold.pk, *capture)])


def test_nothing_is_charged_to_a_hold_that_is_not_there(account):
    with pytest.raises(UnknownPrice):
        capture_holds(captures=[Capture(987_654, "phone", "prospeo")])


def test_a_free_contact_has_no_entry(account, books):
    request = HoldRequest("free", {"linkedin_url": {"hunter": 0}})
    hold = open_hold(workspace=account.workspace, request=request, actor=None)
    assert capture_holds(captures=[Capture(hold.pk, "linkedin_url", "hunter")]) == {
        (hold.pk, "linkedin_url"): None
    }
    assert close_holds(hold_ids=[hold.pk]) == 0
    assert kinds(account.workspace) == [("grant", 100)]
    assert books(account.workspace) == (100, 0, 0)


def test_a_purpose_is_one_hold(hold, books):
    again = open_hold(workspace=hold.workspace, request=HoldRequest("item:1", PRICES), actor=None)
    assert again == hold
    with pytest.raises(KeyConflict):
        open_hold(workspace=hold.workspace, request=request_for("item:1", phone=1), actor=None)
    assert books(hold.workspace) == (77, 23, 0)


def test_a_hold_the_account_cannot_pay_names_what_is_missing(account, books):
    with pytest.raises(InsufficientCredits) as refused:
        open_hold(workspace=account.workspace, request=request_for("big", phone=130), actor=None)
    assert refused.value.shortfall == 30
    assert str(refused.value) == "30 credits short. Ask an admin to add credits."
    assert not Hold.objects.exists()
    assert books(account.workspace) == (100, 0, 0)


def test_a_hold_past_the_budget_names_what_is_over(account, books):
    set_budget(workspace=account.workspace, monthly_limit=10, actor=None)
    with pytest.raises(OverBudget) as refused:
        open_hold(workspace=account.workspace, request=request_for("big", phone=18), actor=None)
    assert refused.value.shortfall == 8
    assert books(account.workspace) == (100, 0, 0)


def test_the_longest_prefix_that_fits_is_admitted_and_nothing_behind_it(account, books):
    requests = [request_for(f"item:{n}", phone=price) for n, price in enumerate([40, 40, 30, 1])]
    holds = open_holds(workspace=account.workspace, requests=requests, actor=None)
    assert [hold.purpose for hold in holds] == ["item:0", "item:1"]
    assert books(account.workspace) == (20, 80, 0)


def test_the_budget_cuts_the_prefix_too(account, books):
    set_budget(workspace=account.workspace, monthly_limit=45, actor=None)
    requests = [request_for(f"item:{n}", phone=20) for n in range(4)]
    assert len(open_holds(workspace=account.workspace, requests=requests, actor=None)) == 2
    assert books(account.workspace) == (60, 40, 0)


def test_holds_that_exist_cost_nothing_again(account, books):
    requests = [request_for(f"item:{n}", phone=40) for n in range(3)]
    first = open_holds(workspace=account.workspace, requests=requests, actor=None)
    again = open_holds(workspace=account.workspace, requests=requests, actor=None)
    assert [hold.pk for hold in first] == [hold.pk for hold in again]
    assert len(first) == 2
    assert books(account.workspace) == (20, 80, 0)


def test_an_empty_batch_and_an_empty_account_open_nothing(workspace):
    assert open_holds(workspace=workspace, requests=[], actor=None) == []
    assert open_holds(workspace=workspace, requests=[request_for("a", phone=1)], actor=None) == []
    assert not Hold.objects.exists()


def test_a_frozen_account_reserves_nothing_and_finishes_what_runs(hold, books):
    workspace = hold.workspace
    assert freeze_account(workspace_id=workspace.pk, reason="held = sum of open holds: account 3")
    assert not freeze_account(workspace_id=workspace.pk, reason="again")
    with pytest.raises(AccountFrozen):
        open_hold(workspace=workspace, request=request_for("new", phone=1), actor=None)
    with pytest.raises(AccountFrozen):
        open_holds(workspace=workspace, requests=[request_for("new", phone=1)], actor=None)
    assert open_hold(workspace=workspace, request=HoldRequest("item:1", PRICES), actor=None) == hold
    capture_holds(captures=[Capture(hold.pk, "phone", "prospeo")])
    close_holds(hold_ids=[hold.pk])
    assert books(workspace) == (82, 0, 18)
    assert unfreeze_account(workspace_id=workspace.pk, reason="checked")
    open_hold(workspace=workspace, request=request_for("new", phone=1), actor=None)


def test_a_refund_gives_a_charge_back_once(hold, books):
    charge = capture_holds(captures=[Capture(hold.pk, "phone", "prospeo")])[hold.pk, "phone"]
    close_holds(hold_ids=[hold.pk])
    refund = refund_capture(entry=charge, key="bounce:7", reason="Bounced")
    assert refund.amount == 18
    assert refund.refunds_id == charge.pk
    assert refund_capture(entry=charge, key="bounce:7", reason="Bounced") == refund
    with pytest.raises(KeyConflict):
        refund_capture(entry=charge, key="bounce:8", reason="Bounced")
    with pytest.raises(KeyConflict):
        refund_capture(entry=charge, key="bounce:7", reason="Another reason")
    assert books(hold.workspace) == (100, 0, 0)


def test_a_refund_key_serves_one_charge(hold, books):
    captures = [Capture(hold.pk, "phone", "prospeo"), Capture(hold.pk, "work_email", "hunter")]
    charges = capture_holds(captures=captures)
    refund_capture(entry=charges[hold.pk, "phone"], key="bounce:7", reason="Bounced")
    with pytest.raises(KeyConflict):
        refund_capture(entry=charges[hold.pk, "work_email"], key="bounce:7", reason="Bounced")
    assert books(hold.workspace) == (95, 1, 4)


def test_only_a_charge_can_be_refunded(hold):
    with pytest.raises(ValueError, match="charge"):
        refund_capture(entry=LedgerEntry.objects.get(kind="reserve"), key="x", reason="")


def test_one_batch_may_span_workspaces(hold, other_workspace, books):
    from tests.factories.billing import HoldFactory

    other = HoldFactory(workspace=other_workspace)
    captures = [Capture(other.pk, "phone", "prospeo"), Capture(hold.pk, "phone", "prospeo")]
    assert len(capture_holds(captures=captures)) == 2
    assert close_holds(hold_ids=[hold.pk, other.pk]) == 5 + 7
    assert books(hold.workspace) == (82, 0, 18)
    assert books(other_workspace) == (982, 0, 18)


def test_one_round_of_statements_whatever_the_size(account, django_assert_num_queries):
    requests = [request_for(f"item:{n}", phone=1) for n in range(50)]
    open_holds(workspace=account.workspace, requests=requests[:1], actor=None)
    with django_assert_num_queries(11):
        holds = open_holds(workspace=account.workspace, requests=requests, actor=None)
    with django_assert_num_queries(7):
        capture_holds(captures=[Capture(hold.pk, "phone", "hunter") for hold in holds])
    with django_assert_num_queries(4):
        close_holds(hold_ids=[hold.pk for hold in holds])
