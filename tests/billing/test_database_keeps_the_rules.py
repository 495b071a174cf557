"""The database itself refuses what no service would do, and the check finds what got past it."""

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from billing.models import CreditAccount, Hold, LedgerEntry
from billing.services import Capture, capture_holds, find_ledger_faults, refund_capture
from tests.factories.billing import HoldFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def hold(workspace):
    return HoldFactory(workspace=workspace, captured={"phone": "prospeo"})


def run(sql, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def refused(sql, *parameters):
    """The message with which the database refuses; the test's own rows survive."""
    with pytest.raises(DatabaseError) as error, transaction.atomic():
        run(sql, *parameters)
    return str(error.value)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE billing_ledgerentry SET amount = 1",
        "UPDATE billing_ledgerentry SET note = 'x' WHERE kind = 'grant'",
        "UPDATE billing_ledgerentry SET note = 'x' WHERE false",
        "DELETE FROM billing_ledgerentry",
        "WITH gone AS (DELETE FROM billing_ledgerentry WHERE kind = 'capture' RETURNING 1) SELECT * FROM gone",
    ],
)
def test_an_entry_never_changes(hold, sql):
    assert "append-only" in refused(sql)


def test_the_ledger_cannot_be_emptied(hold):
    with transaction.atomic():
        run("SET CONSTRAINTS ALL IMMEDIATE")
        run("ALTER TABLE billing_ledgerentry ENABLE TRIGGER ledger_entry_never_truncated")
        assert "append-only" in refused("TRUNCATE billing_ledgerentry CASCADE")
        transaction.set_rollback(True)


def test_the_models_cannot_change_an_entry_either(hold):
    entry = LedgerEntry.objects.first()
    entry.note = "changed"
    with pytest.raises(DatabaseError), transaction.atomic():
        entry.save()
    with pytest.raises(DatabaseError), transaction.atomic():
        LedgerEntry.objects.filter(pk=entry.pk)._raw_delete("default")


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("UPDATE billing_creditaccount SET available = available + 1", "account_conserves_credits"),
        ("UPDATE billing_creditaccount SET issued = issued - 1", "account_conserves_credits"),
        (
            "UPDATE billing_creditaccount SET available = -1, issued = issued - available - 1",
            "available_not_neg",
        ),
        ("UPDATE billing_creditaccount SET held = -1, issued = issued - held - 1", "held_not_negative"),
        ("UPDATE billing_creditaccount SET spent = -1, issued = issued - spent - 1", "spent_not_negative"),
        ("UPDATE billing_hold SET captured = reserved + 1", "hold_remaining_not_negative"),
        ("UPDATE billing_hold SET state = 'closed'", "hold_closed_has_no_rest"),
        ("UPDATE billing_budgetperiod SET monthly_limit = 0, hard_limit = 0", "budget_period_within_limit"),
        ("UPDATE billing_budgetperiod SET hard_limit = 100", "budget_period_limit_not_below_budget"),
        ("UPDATE billing_budgetperiod SET ends_at = starts_at", "budget_period_has_length"),
    ],
)
def test_a_row_that_breaks_a_rule_is_refused(hold, sql, rule):
    assert rule in refused(sql)


def entry(of, **changes):
    values = {
        "workspace": of.workspace,
        "kind": "capture",
        "source": "held",
        "target": "spent",
        "amount": 1,
        "key": "new",
        "fingerprint": "f",
        "hold": of,
        "channel": "work_email",
        "provider": "hunter",
    }
    return LedgerEntry(**values | changes)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"channel": "phone"}, "ledger_entry_one_capture"),
        ({"amount": 0}, "ledger_entry_amount_positive"),
        ({"amount": -4}, "ledger_entry_amount_positive"),
        ({"target": "available"}, "ledger_entry_move_is_legal"),
        ({"kind": "reserve"}, "ledger_entry_move_is_legal"),
        ({"kind": "grant"}, "ledger_entry_move_is_legal"),
        ({"kind": "refund", "source": "spent", "target": "available"}, "ledger_entry_move_is_legal"),
        ({"hold": None}, "ledger_entry_move_is_legal"),
        ({"provider": ""}, "ledger_entry_charge_names_its_source"),
        ({"channel": "fax"}, "ledger_entry_charge_names_its_source"),
        ({"key": "hold:{hold}:reserve"}, "ledger_entry_key_once"),
    ],
)
def test_an_entry_that_breaks_a_rule_is_refused(hold, changes, rule):
    changes = {
        name: value.format(hold=hold.pk) if name == "key" else value for name, value in changes.items()
    }
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        entry(hold, **changes).save()


def test_a_charge_is_refunded_once(hold):
    charge = LedgerEntry.objects.get(kind="capture")
    refund_capture(entry=charge, key="a", reason="Bounced")
    second = entry(hold, kind="refund", source="spent", target="available", refunds=charge)
    with pytest.raises(IntegrityError, match="refunds"), transaction.atomic():
        second.save()


def test_sound_books_have_no_fault(hold, other_workspace):
    HoldFactory(workspace=other_workspace, closed=True)
    assert find_ledger_faults() == []


CONSERVED = "credits are conserved"
ACCOUNT = "the account is the sum of its entries"
HOLD = "a hold is the sum of its entries"
HELD = "what is held is the sum of open holds"
PERIOD = "a period is the sum of its holds"
OVERSPENT = "nothing is overspent"
REFUND = "a refund is at most its charge"
BORDERS = {"an entry and its hold share a workspace", "a hold and its period share a workspace"}

TWIN = """
    INSERT INTO billing_ledgerentry
        (workspace_id, kind, source, target, amount, key, fingerprint, hold_id, refunds_id, channel, provider, note)
    SELECT workspace_id, kind, source, target, amount, 'twin', '', hold_id, refunds_id, channel, provider, ''
      FROM billing_ledgerentry
     WHERE kind = """

TAMPERED = [
    ("UPDATE billing_creditaccount SET issued = issued + 1", {CONSERVED, ACCOUNT}),
    ("UPDATE billing_creditaccount SET available = available + 1, issued = issued + 1", {ACCOUNT}),
    ("UPDATE billing_creditaccount SET held = held - 1, spent = spent + 1", {ACCOUNT, HELD}),
    (
        "UPDATE billing_creditaccount SET available = -1, issued = issued - available - 1",
        {ACCOUNT, OVERSPENT},
    ),
    ("UPDATE billing_hold SET captured = captured - 1", {HOLD, HELD, PERIOD}),
    ("UPDATE billing_hold SET captured = reserved + 1", {HOLD, HELD, PERIOD, OVERSPENT}),
    ("UPDATE billing_hold SET state = 'closed'", {"a closed hold has no rest", HELD}),
    ("UPDATE billing_hold SET workspace_id = (SELECT MAX(id) FROM workspaces_workspace)", {HELD, *BORDERS}),
    ("UPDATE billing_hold SET reserved = reserved + 1", {HOLD, HELD, PERIOD}),
    ("UPDATE billing_hold SET released = released + 1", {HOLD, HELD, PERIOD}),
    ("UPDATE billing_budgetperiod SET spent = spent + 1", {PERIOD}),
    ("UPDATE billing_budgetperiod SET reserved = reserved + 1", {PERIOD}),
    ("UPDATE billing_budgetperiod SET monthly_limit = 5, hard_limit = 5", {OVERSPENT}),
    (
        "UPDATE billing_ledgerentry SET amount = 17 WHERE kind = 'capture'",
        {ACCOUNT, HOLD, "a charge is the price its hold froze", REFUND},
    ),
    ("UPDATE billing_ledgerentry SET amount = 19 WHERE kind = 'refund'", {ACCOUNT, REFUND, PERIOD}),
    (TWIN + "'capture'", {"one charge per hold and channel", ACCOUNT, HOLD}),
    (TWIN + "'refund'", {"one refund per charge", ACCOUNT, PERIOD}),
]


@pytest.fixture
def unguarded(hold, other_workspace):
    """The same tables with every constraint and trigger of ours gone, in a transaction that is undone."""
    capture_holds(captures=[Capture(hold.pk, "work_email", "hunter")])
    refund_capture(entry=LedgerEntry.objects.get(channel="phone"), key="a", reason="Bounced")
    assert find_ledger_faults() == []
    run("SET CONSTRAINTS ALL IMMEDIATE")
    run("DROP TRIGGER ledger_entry_never_changes ON billing_ledgerentry")
    for model in (CreditAccount, Hold, LedgerEntry, hold.period._meta.model):
        for constraint in model._meta.constraints:
            run(f"ALTER TABLE {model._meta.db_table} DROP CONSTRAINT IF EXISTS {constraint.name}")
            run(f"DROP INDEX IF EXISTS {constraint.name}")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = 'billing_ledgerentry'::regclass"
            " AND contype = 'u' AND conname LIKE '%%refunds%%'"
        )
        for (name,) in cursor.fetchall():
            run(f'ALTER TABLE billing_ledgerentry DROP CONSTRAINT "{name}"')


@pytest.mark.parametrize(("sql", "rules"), TAMPERED, ids=[" ".join(sql.split())[-70:] for sql, _ in TAMPERED])
def test_the_check_names_what_was_tampered_with(unguarded, workspace, sql, rules):
    run(sql)
    faults = find_ledger_faults()
    assert {fault.rule for fault in faults} == rules
    assert all(fault.row and fault.text for fault in faults)


def test_the_check_can_look_at_one_workspace(unguarded, workspace, other_workspace):
    run("UPDATE billing_creditaccount SET issued = issued + 1")
    assert {fault.workspace_id for fault in find_ledger_faults(workspace)} == {workspace.pk}
    assert find_ledger_faults(other_workspace) == []
