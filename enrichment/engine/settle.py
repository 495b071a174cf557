"""Writes what a batch of items learned: answers, look-ups, contact points, charges and ends, in one transaction.

Lock order, the same everywhere: run items by id, leads by id, contact points, runs, then billing's rows.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection
from django.utils import timezone

from billing import services as billing
from enrichment.engine.fall import Finding, Result
from enrichment.engine.leases import lock_leases
from enrichment.engine.load import LiveItem
from enrichment.models import ChannelEnrichment, Lookup, Provider, RunItem
from enrichment.services.runs import finish_runs
from leads import services as lead_services
from leads.models import ContactPoint, Lead

CALLS_DONE = """
UPDATE enrichment_vendorcall AS call
   SET state = done.state, answer = done.answer, error_code = done.code, error_message = done.message,
       retry_at = done.retry_at, vendor_cost = done.cost, latency_ms = done.latency,
       answered_at = clock_timestamp()
  FROM unnest(%s::bigint[], %s::text[], %s::jsonb[], %s::text[], %s::text[], %s::timestamptz[],
              %s::numeric[], %s::int[])
       AS done(id, state, answer, code, message, retry_at, cost, latency)
 WHERE call.id = done.id AND call.state = 'intent'
"""

CALLS_STALE = """
UPDATE enrichment_vendorcall AS call
   SET state = 'stale', latency_ms = done.latency, answered_at = clock_timestamp()
  FROM unnest(%s::bigint[], %s::int[]) AS done(id, latency)
 WHERE call.id = done.id AND call.state IN ('intent', 'unknown')
"""

CHANNELS_ENDED = """
UPDATE enrichment_channelenrichment AS channel
   SET state = ended.state, provider_id = ended.provider, contact_point_id = ended.point,
       charge_id = ended.charge, credits = ended.credits, settled_at = clock_timestamp()
  FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::int[])
       AS ended(id, state, provider, point, charge, credits)
 WHERE channel.id = ended.id AND channel.state = 'pending'
"""

ITEMS_ENDED = """
UPDATE enrichment_runitem AS item
   SET state = ended.state, outcome = ended.outcome, failure = ended.failure, lease_until = NULL, owner = '',
       finished_at = clock_timestamp()
  FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[]) AS ended(id, state, outcome, failure)
 WHERE item.id = ended.id
"""


@dataclass(frozen=True)
class FinishedCall:
    """How one vendor call ended: an answer as JSON, or an error, perhaps with a time to try again."""

    call_id: int
    state: str
    latency_ms: int
    answer: dict | None = None
    error_code: str = ""
    error_message: str = ""
    retry_at: datetime | None = None
    vendor_cost: str | None = None


@dataclass
class Progress:
    """One item's news since it was last written: finished calls, and the findings in its ``LiveItem``."""

    live: LiveItem
    calls: list[FinishedCall] = field(default_factory=list)


@dataclass
class _Ending:
    """A channel that ends in this transaction."""

    row: ChannelEnrichment
    state: str
    provider: int | None = None
    point: ContactPoint | None = None
    charge_id: int | None = None
    credits: int = 0


def write_progress(batch: Sequence[Progress], providers: dict[int, Provider]) -> set[int]:
    """Write the batch; returns the ids of items that are not ours any more (their answers are stale).

    Atomic: a found value, its charge and its channel's state stand together or not at all. Doing it
    twice changes nothing. Deadlocks and serialization failures are tried again.
    """
    lost, endings = billing.run_in_transaction(lambda: _write(batch, providers))
    _remember(batch, endings)
    return lost


def _remember(batch: Sequence[Progress], endings: list["_Ending"]) -> None:
    """What is committed is no longer news."""
    for ending in endings:
        ending.row.state = ending.state
    for progress in batch:
        progress.live.findings.clear()


def _write(batch: Sequence[Progress], providers: dict[int, Provider]) -> tuple[set[int], list["_Ending"]]:
    mine = lock_leases([progress.live.lease for progress in batch])
    ours = [progress for progress in batch if progress.live.id in mine]
    lost = [progress for progress in batch if progress.live.id not in mine]
    write_stale([call for progress in lost for call in progress.calls])
    _write_calls([call for progress in ours for call in progress.calls])
    lives = sorted((progress.live for progress in ours), key=lambda live: live.id)
    endings = _endings(lives)
    credits = _settle_found(endings, lives, providers)
    _write_lookups(lives, credits)
    _write_channels(endings)
    _write_items([live for live in lives if live.over], {e.row.pk: e.state for e in endings})
    return {progress.live.id for progress in lost}, endings


def write_stale(calls: Sequence[FinishedCall]) -> None:
    """Note answers that came after the lease was lost: kept for the vendor's invoice, charged to nobody."""
    if calls:
        _execute(CALLS_STALE, [[c.call_id for c in calls], [c.latency_ms for c in calls]])


def _write_calls(calls: list[FinishedCall]) -> None:
    if not calls:
        return
    _execute(
        CALLS_DONE,
        [
            [c.call_id for c in calls],
            [c.state for c in calls],
            [None if c.answer is None else json.dumps(c.answer) for c in calls],
            [c.error_code for c in calls],
            [c.error_message[:300] for c in calls],
            [c.retry_at for c in calls],
            [c.vendor_cost for c in calls],
            [c.latency_ms for c in calls],
        ],
    )


def _endings(lives: list[LiveItem]) -> list[_Ending]:
    """Which channels end now: found, fallen through, or stopped with their run."""
    endings = []
    for live in lives:
        found = {f.channel: f.provider for f in live.findings if f.result is Result.FOUND}
        for channel, row in live.enrichments.items():
            if row.state != ChannelEnrichment.State.PENDING:
                continue
            outcome = live.fall.outcome(channel)
            if outcome != "pending":
                endings.append(_Ending(row, outcome, found.get(channel)))
            elif live.over:
                endings.append(_Ending(row, ChannelEnrichment.State.STOPPED))
    return endings


def _settle_found(
    endings: list[_Ending], lives: list[LiveItem], providers: dict[int, Provider]
) -> dict[tuple[int, str], int]:
    """Store found values and charge for them; returns the credits by (item id, channel)."""
    found = [ending for ending in endings if ending.state == ChannelEnrichment.State.FOUND]
    if not found:
        return {}
    by_item = {live.id: live for live in lives}
    taken = _already_there([by_item[ending.row.item_id].item.lead_id for ending in found])
    fresh: list[_Ending] = []
    for ending in found:
        live = by_item[ending.row.item_id]
        if live.suppressed or (live.item.lead_id, ending.row.channel) in taken:
            # Filled in by a person or an import meanwhile, or no longer wanted: kept out, and free.
            ending.state = (
                ChannelEnrichment.State.STOPPED if live.suppressed else ChannelEnrichment.State.NOT_NEEDED
            )
        else:
            fresh.append(ending)
    _record_points(fresh, by_item, providers)
    return _capture(fresh, by_item, providers)


def _already_there(lead_ids: list[int]) -> set[tuple[int, str]]:
    list(Lead.objects.select_for_update().filter(pk__in=lead_ids).order_by("pk").values_list("pk"))
    active = ContactPoint.objects.active().filter(lead_id__in=lead_ids)
    return set(active.values_list("lead_id", "channel"))


def _record_points(
    endings: list[_Ending], by_item: dict[int, LiveItem], providers: dict[int, Provider]
) -> None:
    if not endings:
        return
    now = timezone.now()
    points = []
    for ending in endings:
        live, provider = by_item[ending.row.item_id], providers[ending.provider]
        verdict = next(
            f.verdict for f in live.findings if f.channel == ending.row.channel and f.result is Result.FOUND
        )
        points.append(
            lead_services.NewContactPoint(
                workspace_id=live.item.workspace_id,
                lead_id=live.item.lead_id,
                channel=ending.row.channel,
                value=verdict.display,
                normalized=verdict.normalized,
                source=provider.slug,
                source_name=provider.name,
                confidence=verdict.confidence,
                verification=verdict.verification,
                enriched_at=now,
            )
        )
    for ending, point in zip(endings, lead_services.record_contact_points(points=points), strict=True):
        ending.point = point


def _capture(
    endings: list[_Ending], by_item: dict[int, LiveItem], providers: dict[int, Provider]
) -> dict[tuple[int, str], int]:
    captures = [
        billing.Capture(by_item[e.row.item_id].item.hold_id, e.row.channel, providers[e.provider].slug)
        for e in endings
    ]
    entries = billing.capture_holds(captures=captures) if captures else {}
    for ending, capture in zip(endings, captures, strict=True):
        entry = entries[capture.hold_id, capture.channel]
        ending.charge_id, ending.credits = (entry.pk, entry.amount) if entry else (None, 0)
    return {(ending.row.item_id, ending.row.channel): ending.credits for ending in endings}


def _write_lookups(lives: list[LiveItem], credits: dict[tuple[int, str], int]) -> None:
    rows = [
        _lookup(live, finding, credits.get((live.id, finding.channel), 0))
        for live in lives
        for finding in live.findings
    ]
    Lookup.objects.bulk_create(rows, ignore_conflicts=True)


def _lookup(live: LiveItem, finding: Finding, credits: int) -> Lookup:
    return Lookup(
        workspace_id=live.item.workspace_id,
        item_id=live.id,
        lead_id=live.item.lead_id,
        provider_id=finding.provider,
        channel=finding.channel,
        depth=finding.depth,
        result=finding.result,
        reason=finding.reason[:40],
        message=finding.message[:300],
        normalized=finding.verdict.normalized[:500] if finding.verdict else "",
        credits=credits if finding.result is Result.FOUND else 0,
        latency_ms=live.latencies.get(finding.provider),
    )


def _write_channels(endings: list[_Ending]) -> None:
    if not endings:
        return
    _execute(
        CHANNELS_ENDED,
        [
            [e.row.pk for e in endings],
            [e.state for e in endings],
            [e.provider if e.state == ChannelEnrichment.State.FOUND else None for e in endings],
            [e.point.pk if e.point else None for e in endings],
            [e.charge_id for e in endings],
            [e.credits for e in endings],
        ],
    )


def _write_items(over: list[LiveItem], ended: dict[int, str]) -> None:
    if not over:
        return
    states = [_final(live, ended) for live in over]
    _execute(
        ITEMS_ENDED,
        [
            [live.id for live in over],
            [state for state, _, _ in states],
            [outcome for _, outcome, _ in states],
            [failure for _, _, failure in states],
        ],
    )
    finish_runs({live.item.run_id for live in over})
    billing.close_holds(hold_ids=[live.item.hold_id for live in over if live.item.hold_id])


def _final(live: LiveItem, ended: dict[int, str]) -> tuple[str, str, str]:
    """(state, outcome, failure) of an item whose channels have all ended."""
    states = [ended.get(row.pk, row.state) for row in live.enrichments.values()]
    present = (ChannelEnrichment.State.FOUND, ChannelEnrichment.State.NOT_NEEDED)
    got = sum(state in present for state in states)
    outcome = (
        RunItem.Outcome.ALL if got == len(states) else RunItem.Outcome.SOME if got else RunItem.Outcome.NONE
    )
    if live.suppressed:
        return RunItem.State.CANCELLED, outcome, "This person is suppressed."
    if live.stopping and ChannelEnrichment.State.STOPPED in states:
        return RunItem.State.CANCELLED, outcome, ""
    if not got and all(state == ChannelEnrichment.State.FAILED for state in states):
        return RunItem.State.FAILED, outcome, "Every provider that was asked failed."
    return RunItem.State.DONE, outcome, ""


def _execute(sql: str, params: list) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
