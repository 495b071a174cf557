"""Brings claimed run items back into memory: what was already answered, what is left to ask."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import OuterRef, Subquery
from django.utils import timezone

from enrichment.adapters.base import Answer, LeadQuery
from enrichment.engine.fall import Fall, Finding, Result, Step
from enrichment.engine.judging import LASTING_REFUSALS, LeadJudge, mark_taken
from enrichment.engine.leases import Lease
from enrichment.engine.plan import blocked_words, build_query
from enrichment.models import ChannelEnrichment, Lookup, Provider, Run, RunItem, VendorCall
from leads import services as lead_services
from leads.models import ContactPoint, Lead

# A code and its words.
Reason = tuple[str, str]

MAX_UNKNOWN = 2
UNKNOWN_MESSAGE = "asked twice, and both times the answer was lost"


@dataclass
class LiveItem:
    """A claimed item in a worker's hands; ``findings`` wait to be written, ``tries`` counts calls and
    ``latencies`` holds the last answer's milliseconds, both by provider."""

    item: RunItem
    lease: Lease
    fall: Fall
    judge: LeadJudge
    query: LeadQuery
    enrichments: dict[str, ChannelEnrichment]
    findings: list[Finding] = field(default_factory=list)
    tries: dict[int, int] = field(default_factory=dict)
    latencies: dict[int, int] = field(default_factory=dict)
    in_flight: int = 0
    stopping: bool = False
    suppressed: bool = False

    @property
    def id(self) -> int:
        """The run item's id."""
        return self.lease.item_id

    @property
    def over(self) -> bool:
        """Nothing is left to ask, or nothing more shall be asked, and no call is under way."""
        return self.in_flight == 0 and (self.fall.done or self.stopping or self.suppressed)


def load_items(leases: Sequence[Lease], providers: Mapping[int, Provider]) -> list[LiveItem]:
    """Load claimed items in a handful of queries, whatever their number.

    A call that an earlier owner left without an answer becomes "unknown" and may be asked once more;
    a recorded answer is used and never asked for again. ``providers`` are the workspaces' as they are now.
    """
    if not leases:
        return []
    by_id = {lease.item_id: lease for lease in leases}
    # Only those of earlier claims: if this lease is lost already, the calls under way are the next owner's.
    fence = Subquery(RunItem.objects.filter(pk=OuterRef("item_id")).values("fence"))
    VendorCall.objects.filter(item_id__in=by_id, state=VendorCall.State.INTENT, fence__lt=fence).update(
        state=VendorCall.State.UNKNOWN, answered_at=timezone.now()
    )
    items = list(RunItem.objects.filter(pk__in=by_id).select_related("run", "lead__workspace").order_by("pk"))
    leads = [item.lead for item in items]
    points = _grouped(ContactPoint.objects.filter(lead__in=leads), "lead_id")
    channels = _grouped(ChannelEnrichment.objects.filter(item_id__in=by_id), "item_id")
    calls = _grouped(VendorCall.objects.filter(item_id__in=by_id).order_by("attempt"), "item_id")
    lookups = _grouped(Lookup.objects.filter(item_id__in=by_id), "item_id")
    refused = _refused(leads)
    suppressed = lead_services.is_suppressed(leads)
    return [
        _live(
            item,
            by_id[item.pk],
            LeadJudge(item.lead, points[item.lead_id], refused[item.lead_id]),
            build_query(item.lead, points[item.lead_id]),
            channels[item.pk],
            calls[item.pk],
            lookups[item.pk],
            providers,
            item.lead_id in suppressed,
        )
        for item in items
    ]


def _live(
    item: RunItem,
    lease: Lease,
    judge: LeadJudge,
    query: LeadQuery,
    channels: list[ChannelEnrichment],
    calls: list[VendorCall],
    lookups: list[Lookup],
    providers: Mapping[int, Provider],
    suppressed: bool,
) -> LiveItem:
    pending = [row for row in channels if row.state == ChannelEnrichment.State.PENDING]
    answered = {call.provider_id for call in calls if call.state == VendorCall.State.ANSWERED}
    gone = {
        entry["provider"]: _gone(providers.get(entry["provider"])) for row in pending for entry in row.plan
    }
    gone |= dict.fromkeys(answered, ("", ""))
    fall = Fall.start({row.channel: _remaining(row, lookups, gone) for row in pending}, judge)
    for row in pending:
        asked = [x for x in lookups if x.channel == row.channel and x.result != Lookup.Result.SKIPPED]
        fall.resume(row.channel, asked=len(asked), errors=sum(x.result == Lookup.Result.ERROR for x in asked))
    live = LiveItem(item, lease, fall, judge, query, {row.channel: row for row in channels})
    live.stopping, live.suppressed = item.run.state == Run.State.CANCELLED, suppressed
    live.findings += fall.advance()
    for provider, history in _by_provider(calls).items():
        live.findings += _replay(live, provider, history)
    return live


def _replay(live: LiveItem, provider: int, history: list[VendorCall]) -> list[Finding]:
    """Feed one provider's recorded calls into the fall."""
    live.tries[provider] = len(history)
    last = history[-1]
    if last.latency_ms is not None:
        live.latencies[provider] = last.latency_ms
    if last.state == VendorCall.State.ANSWERED:
        answer = Answer.from_json(last.answer)
        mark_taken([(live.judge, answer.candidates)])
        return live.fall.answered(provider, answer.candidates)
    if last.state == VendorCall.State.FAILED and last.retry_at is None:
        return live.fall.failed(provider, last.error_code, last.error_message)
    lost = sum(call.state in (VendorCall.State.UNKNOWN, VendorCall.State.STALE) for call in history)
    if lost >= MAX_UNKNOWN:
        return live.fall.failed(provider, "no_answer", UNKNOWN_MESSAGE)
    if last.retry_at is not None:
        live.fall.wait(provider, last.retry_at.timestamp())
    return []


def _remaining(row: ChannelEnrichment, lookups: list[Lookup], gone: Mapping[int, Reason]) -> list[Step]:
    """The steps of the frozen order that have no result yet; a provider that went off since is passed over."""
    done = {lookup.provider_id for lookup in lookups if lookup.channel == row.channel}
    return [_step(entry, gone) for entry in row.plan if entry["provider"] not in done]


def _step(entry: dict[str, Any], gone: Mapping[int, Reason]) -> Step:
    code, why = (entry["skip_code"], entry["skip"]) if entry["skip"] else gone[entry["provider"]]
    return Step(entry["provider"], entry["name"], why, code)


def _gone(provider: Provider | None) -> Reason:
    """Why a provider of a frozen order may not be asked now, in code and words; both "" when it may."""
    if provider is None or not provider.enabled:
        return "off", "switched off"
    return provider.blocked_code, blocked_words(provider)


def _by_provider(calls: Iterable[VendorCall]) -> dict[int, list[VendorCall]]:
    grouped: dict[int, list[VendorCall]] = defaultdict(list)
    for call in calls:
        grouped[call.provider_id].append(call)
    return grouped


def _grouped(rows: Iterable[Any], key: str) -> dict[int, list[Any]]:
    grouped: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        grouped[getattr(row, key)].append(row)
    return grouped


def _refused(leads: Sequence[Lead]) -> dict[int, set[tuple[str, str]]]:
    """Values refused for good for these leads: {lead id: {(channel, normalized)}}."""
    refused: dict[int, set[tuple[str, str]]] = defaultdict(set)
    rows = Lookup.objects.filter(lead__in=leads, result=Result.UNUSABLE, reason__in=LASTING_REFUSALS)
    for lead_id, channel, normalized in rows.values_list("lead_id", "channel", "normalized"):
        refused[lead_id].add((channel, normalized))
    return refused
