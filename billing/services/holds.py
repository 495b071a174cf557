"""Credits set aside before a vendor is asked, charged per channel found, and given back for the rest."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.db import connection, transaction
from django.utils import timezone

from billing.exceptions import HoldClosed, KeyConflict, LedgerFault, UnknownPrice
from billing.models import BudgetPeriod, CreditAccount, Hold, LedgerEntry
from billing.services.accounts import open_account
from billing.services.budgets import current_period
from billing.services.moves import (
    Move,
    as_json,
    check_key,
    entry_with_key,
    fingerprint_of,
    insert_entries,
    move_account,
    move_period,
    sums_by,
)
from billing.services.rates import Prices, worst_case
from billing.services.room import Room, room_of
from core.channels import Channel
from workspaces.models import User, Workspace

Kind, Bucket = LedgerEntry.Kind, LedgerEntry.Bucket


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """What to set aside: ``prices`` are frozen with it, ``purpose`` (at most 120 characters) names it for ever."""

    purpose: str
    prices: Prices
    subject_id: int | None = None
    subject_label: str = ""
    provider_names: Mapping[str, str] = field(default_factory=dict)

    @property
    def reserve(self) -> int:
        """The most the work can cost."""
        return worst_case(self.prices)


@dataclass(frozen=True, slots=True)
class Capture:
    """A usable contact on ``channel``, supplied by ``provider`` (slug), to be paid from a hold."""

    hold_id: int
    channel: str
    provider: str

    @property
    def key(self) -> str:
        """The entry's key: one charge per hold and channel."""
        return f"hold:{self.hold_id}:capture:{Channel(self.channel).value}"


@transaction.atomic
def open_hold(*, workspace: Workspace, request: HoldRequest, actor: User | None) -> Hold:
    """Set one request's worst case aside, or raise InsufficientCredits, OverBudget or AccountFrozen.

    Idempotent by purpose: the hold that is there already is returned, KeyConflict if its prices differ.
    """
    holds, room = _open(workspace, [request], actor)
    if holds:
        return holds[0]
    raise room.refusal(request.reserve)


@transaction.atomic
def open_holds(*, workspace: Workspace, requests: Sequence[HoldRequest], actor: User | None) -> list[Hold]:
    """Set aside the worst case of the longest prefix of ``requests`` that fits; returns its holds, in order.

    Strictly in order: the first that does not fit the available credits or the month's budget stops it, and
    nothing behind is looked at. All or the prefix: compare the lengths. A purpose that has a hold already
    costs nothing and returns it (KeyConflict if its prices differ). A reserve of 0 is a hold without entry.
    AccountFrozen where the account is frozen and something new is asked for.
    """
    if not requests:
        return []
    holds, room = _open(workspace, requests, actor)
    if room.frozen and len(holds) < len(requests):
        raise room.refusal(0)
    return holds


def _open(
    workspace: Workspace, requests: Sequence[HoldRequest], actor: User | None
) -> tuple[list[Hold], Room]:
    known = _holds_for(workspace, requests)
    period = current_period(workspace=workspace)
    # A first look without locks, so that a full queue before an empty account writes nothing.
    account = CreditAccount.objects.filter(workspace=workspace).first() or open_account(workspace)
    room = room_of(account, period)
    prefix = requests[: room.fits(_cost(request, known) for request in requests)]
    new = {request.purpose: request for request in prefix if request.purpose not in known}
    if not new:
        return [known[request.purpose] for request in prefix], room
    fresh = _insert_holds(workspace, list(new.values()), period, actor)
    if len(fresh) < len(new):
        # Another transaction opened some of them a moment earlier; it has committed by now.
        known = _holds_for(workspace, [request for request in requests if request.purpose not in fresh])
    room = _lock_room(workspace, period)
    fitting = prefix[: room.fits(_cost(request, known) for request in prefix)]
    kept = {request.purpose for request in fitting}
    _delete_holds([hold.pk for purpose, hold in fresh.items() if purpose not in kept])
    fresh = {purpose: hold for purpose, hold in fresh.items() if purpose in kept}
    _reserve(workspace, [fresh[purpose] for purpose in new if purpose in fresh], period, actor)
    holds = known | fresh
    return [holds[request.purpose] for request in fitting], room


def _cost(request: HoldRequest, known: Mapping[str, Hold]) -> int | None:
    """Credits the request has to reserve; None where its hold is there already."""
    return None if request.purpose in known else request.reserve


def _holds_for(workspace: Workspace, requests: Sequence[HoldRequest]) -> dict[str, Hold]:
    """The holds that exist for the requests' purposes; KeyConflict where one has other prices."""
    purposes = {request.purpose: as_json(request.prices) for request in requests}
    if any(as_json(request.prices) != purposes[request.purpose] for request in requests):
        raise KeyConflict
    holds = {
        hold.purpose: hold for hold in Hold.objects.filter(workspace=workspace, purpose__in=list(purposes))
    }
    if any(hold.prices != purposes[purpose] for purpose, hold in holds.items()):
        raise KeyConflict
    return holds


def _insert_holds(
    workspace: Workspace, requests: Sequence[HoldRequest], period: BudgetPeriod, actor: User | None
) -> dict[str, Hold]:
    """Insert the holds whose purpose is new, in order of purpose, so that two batches wait in one direction."""
    rows = [
        Hold(
            workspace=workspace,
            period=period,
            purpose=request.purpose,
            prices=as_json(request.prices),
            provider_names=dict(request.provider_names),
            reserved=request.reserve,
            subject_id=request.subject_id,
            subject_label=request.subject_label[:250],
            opened_by=actor,
            opened_at=timezone.now(),
        )
        for request in sorted(requests, key=lambda request: request.purpose)
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO billing_hold
                (workspace_id, period_id, purpose, prices, provider_names, reserved, captured, released,
                 state, subject_id, subject_label, opened_by_id, opened_at)
            SELECT %s, %s, purpose, prices::jsonb, names::jsonb, reserved, 0, 0,
                   'open', subject_id, subject_label, %s, opened_at
              FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::text[],
                          %s::timestamptz[])
                AS new (purpose, prices, names, reserved, subject_id, subject_label, opened_at)
            ON CONFLICT (workspace_id, purpose) DO NOTHING
            RETURNING purpose, id
            """,
            [
                workspace.pk,
                period.pk,
                actor.pk if actor else None,
                [row.purpose for row in rows],
                [json.dumps(row.prices) for row in rows],
                [json.dumps(row.provider_names) for row in rows],
                [row.reserved for row in rows],
                [row.subject_id for row in rows],
                [row.subject_label for row in rows],
                [row.opened_at for row in rows],
            ],
        )
        ids = dict(cursor.fetchall())
    inserted = {row.purpose: row for row in rows if row.purpose in ids}
    for purpose, row in inserted.items():
        row.pk = ids[purpose]
        row._state.adding, row._state.db = False, "default"
    return inserted


def _delete_holds(hold_ids: list[int]) -> None:
    """Take back holds of this transaction that turned out not to fit; nobody has seen them."""
    if hold_ids:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM billing_hold WHERE id = ANY(%s)", [hold_ids])


def _lock_room(workspace: Workspace, period: BudgetPeriod) -> Room:
    """Lock the period, then the account, and return the room there is until this transaction ends."""
    locked = BudgetPeriod.objects.select_for_update(no_key=True).get(pk=period.pk)
    account = CreditAccount.objects.select_for_update(no_key=True).get(workspace=workspace)
    return room_of(account, locked)


def _reserve(workspace: Workspace, holds: Sequence[Hold], period: BudgetPeriod, actor: User | None) -> None:
    total = sum(hold.reserved for hold in holds)
    insert_entries(
        [
            Move(
                workspace_id=workspace.pk,
                kind=Kind.RESERVE.value,
                source=Bucket.AVAILABLE.value,
                target=Bucket.HELD.value,
                amount=hold.reserved,
                key=f"hold:{hold.pk}:reserve",
                fingerprint=fingerprint_of(hold=hold.pk, reserve=hold.reserved),
                hold_id=hold.pk,
                actor_id=actor.pk if actor else None,
            )
            for hold in holds
            if hold.reserved
        ]
    )
    if not total:
        return
    if not move_period(period.pk, reserved=total) or not move_account(
        workspace.pk, available=-total, held=total
    ):
        raise LedgerFault("credits that were locked are gone")


@transaction.atomic
def capture_holds(*, captures: Sequence[Capture]) -> dict[tuple[int, str], LedgerEntry | None]:
    """Charge for usable contacts, each at the price its hold froze for the provider that answered.

    Returns the entry by (hold id, channel); None where the price is 0. One charge per hold and channel:
    the same capture again returns the same entry, another provider's is a KeyConflict. HoldClosed where a
    closed hold would have to pay for something new, UnknownPrice where no price was frozen. The rest of
    the hold stays reserved until it is closed.
    """
    holds = _lock_holds(capture.hold_id for capture in captures)
    prices = {capture: _price(holds, capture) for capture in captures}
    by_key: dict[str, Move] = {}
    for capture, price in prices.items():
        if price:
            move = _capture_move(holds[capture.hold_id], capture, price)
            if by_key.setdefault(move.key, move) != move:
                raise KeyConflict
    open_moves = [move for move in by_key.values() if holds[move.hold_id].state == Hold.State.OPEN]
    charged = {entry.key: entry for entry in insert_entries(open_moves)}
    _settle(holds, list(charged.values()))
    charged |= _charged_before(holds, [move for key, move in by_key.items() if key not in charged])
    return {
        (capture.hold_id, str(Channel(capture.channel).value)): charged[capture.key] if price else None
        for capture, price in prices.items()
    }


def _price(holds: Mapping[int, Hold], capture: Capture) -> int:
    hold = holds.get(capture.hold_id)
    price = hold and hold.prices.get(Channel(capture.channel).value, {}).get(capture.provider)
    if price is None:
        raise UnknownPrice
    return price


def _capture_move(hold: Hold, capture: Capture, price: int) -> Move:
    return Move(
        workspace_id=hold.workspace_id,
        kind=Kind.CAPTURE.value,
        source=Bucket.HELD.value,
        target=Bucket.SPENT.value,
        amount=price,
        key=capture.key,
        fingerprint=fingerprint_of(capture=capture.key, provider=capture.provider, price=price),
        hold_id=hold.pk,
        channel=Channel(capture.channel).value,
        provider=capture.provider,
        actor_id=hold.opened_by_id,
    )


def _settle(holds: Mapping[int, Hold], entries: Sequence[LedgerEntry]) -> None:
    """Move what was charged from reserved to spent: on the holds, in their periods, in the accounts."""
    if not entries:
        return
    by_hold = sums_by((entry.hold_id, entry.amount) for entry in entries)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE billing_hold SET captured = captured + moved.amount
              FROM unnest(%s::bigint[], %s::bigint[]) AS moved (id, amount)
             WHERE billing_hold.id = moved.id
            """,
            [[pk for pk, _ in by_hold], [amount for _, amount in by_hold]],
        )
    for period_id, amount in sums_by((holds[pk].period_id, amount) for pk, amount in by_hold):
        if not move_period(period_id, reserved=-amount, spent=amount):
            raise LedgerFault(f"budget period {period_id} lacks {amount} reserved credits")
    for workspace_id, amount in sums_by((holds[pk].workspace_id, amount) for pk, amount in by_hold):
        if not move_account(workspace_id, held=-amount, spent=amount):
            raise LedgerFault(f"workspace {workspace_id} lacks {amount} held credits")


def _charged_before(holds: Mapping[int, Hold], moves: Sequence[Move]) -> dict[str, LedgerEntry]:
    """The entries of captures that were made earlier, from the same provider."""
    if not moves:
        return {}
    wanted = {move.key: move for move in moves}
    entries = {
        entry.key: entry
        for entry in LedgerEntry.objects.filter(
            kind=Kind.CAPTURE, hold_id__in={move.hold_id for move in moves}, key__in=list(wanted)
        )
    }
    if len(entries) < len(wanted):
        raise HoldClosed
    if any(entry.fingerprint != wanted[key].fingerprint for key, entry in entries.items()):
        raise KeyConflict
    return entries


@transaction.atomic
def close_holds(*, hold_ids: Iterable[int]) -> int:
    """Give back what the holds still set aside and close them for good; returns the credits given back.

    Holds that are closed already are left alone.
    """
    holds = {pk: hold for pk, hold in _lock_holds(hold_ids).items() if hold.state == Hold.State.OPEN}
    if not holds:
        return 0
    rest = {pk: hold.remaining for pk, hold in holds.items() if hold.remaining}
    insert_entries([_release_move(holds[pk], amount) for pk, amount in rest.items()])
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE billing_hold
               SET released = reserved - captured, state = 'closed', closed_at = statement_timestamp()
             WHERE id = ANY(%s)
            """,
            [list(holds)],
        )
    for period_id, amount in sums_by((holds[pk].period_id, amount) for pk, amount in rest.items()):
        if not move_period(period_id, reserved=-amount):
            raise LedgerFault(f"budget period {period_id} lacks {amount} reserved credits")
    for workspace_id, amount in sums_by((holds[pk].workspace_id, amount) for pk, amount in rest.items()):
        if not move_account(workspace_id, available=amount, held=-amount):
            raise LedgerFault(f"workspace {workspace_id} lacks {amount} held credits")
    return sum(rest.values())


def _release_move(hold: Hold, amount: int) -> Move:
    return Move(
        workspace_id=hold.workspace_id,
        kind=Kind.RELEASE.value,
        source=Bucket.HELD.value,
        target=Bucket.AVAILABLE.value,
        amount=amount,
        key=f"hold:{hold.pk}:release",
        fingerprint=fingerprint_of(hold=hold.pk, release=amount),
        hold_id=hold.pk,
        actor_id=hold.opened_by_id,
    )


def _lock_holds(hold_ids: Iterable[int]) -> dict[int, Hold]:
    """The holds by id, locked in ascending order of id until the transaction ends."""
    rows = Hold.objects.select_for_update(no_key=True).filter(pk__in=set(hold_ids)).order_by("pk")
    return {hold.pk: hold for hold in rows}


@transaction.atomic
def refund_capture(*, entry: LedgerEntry, key: str, reason: str, actor: User | None = None) -> LedgerEntry:
    """Give a charge back, whole and once. The same key again returns the same refund.

    A charge that was refunded under another key is a KeyConflict. The month the charge counted to gets
    its room back.
    """
    if entry.kind != Kind.CAPTURE:
        raise ValueError("only a charge can be refunded")
    stored_key = f"{Kind.REFUND.value}:{check_key(key)}"
    fingerprint = fingerprint_of(refund=entry.pk, reason=reason)
    move = Move(
        workspace_id=entry.workspace_id,
        kind=Kind.REFUND.value,
        source=Bucket.SPENT.value,
        target=Bucket.AVAILABLE.value,
        amount=entry.amount,
        key=stored_key,
        fingerprint=fingerprint,
        hold_id=entry.hold_id,
        refunds_id=entry.pk,
        channel=entry.channel,
        provider=entry.provider,
        note=reason[:200],
        actor_id=actor.pk if actor else None,
    )
    if not (written := insert_entries([move])):
        if not LedgerEntry.objects.filter(workspace_id=entry.workspace_id, key=stored_key).exists():
            raise KeyConflict("This charge was already refunded.")
        return entry_with_key(entry.workspace_id, stored_key, fingerprint)
    period_id = Hold.objects.values_list("period_id", flat=True).get(pk=entry.hold_id)
    if not move_period(period_id, spent=-entry.amount):
        raise LedgerFault(f"budget period {period_id} lacks {entry.amount} spent credits")
    if not move_account(entry.workspace_id, available=entry.amount, spent=-entry.amount):
        raise LedgerFault(f"workspace {entry.workspace_id} lacks {entry.amount} spent credits")
    return written[0]
