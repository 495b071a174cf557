"""Plans: for each missing channel of a lead, whom to ask in which order, and why somebody is left out."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db.models import Max
from django.utils import timezone

from core.channels import Channel
from core.clock import zone_of
from enrichment.adapters import ADAPTERS
from enrichment.adapters.base import Adapter, LeadQuery
from enrichment.models import Lookup, Provider, WaterfallStep
from leads.models import ContactPoint, Lead
from workspaces.models import Workspace

RECENT_MISS = "recent_miss"
MISSES = (Lookup.Result.NOT_FOUND, Lookup.Result.UNUSABLE)
BLOCKED_WORDS = {"key_rejected": "key rejected", "out_of_credit": "vendor account out of credit"}


@dataclass(frozen=True)
class PlanStep:
    """One provider's turn; ``skip`` is why it will not be asked ("" when it will) and ``skip_code`` its code."""

    provider_id: int
    slug: str
    name: str
    skip: str = ""
    skip_code: str = ""

    def as_json(self) -> dict[str, object]:
        """The shape ``ChannelEnrichment.plan`` freezes."""
        return {
            "provider": self.provider_id,
            "slug": self.slug,
            "name": self.name,
            "skip": self.skip,
            "skip_code": self.skip_code,
        }


Orders = dict[str, list[PlanStep]]


@dataclass(frozen=True)
class Planner:
    """A workspace's waterfalls, read once and used for any number of leads."""

    workspace: Workspace
    steps: dict[str, list[WaterfallStep]]

    @classmethod
    def of(cls, workspace: Workspace) -> "Planner":
        """Read the waterfalls: one query."""
        rows = (
            WaterfallStep.objects.filter(waterfall__workspace=workspace)
            .select_related("provider", "waterfall")
            .order_by("waterfall_id", "position")
        )
        steps: dict[str, list[WaterfallStep]] = defaultdict(list)
        for row in rows:
            steps[row.waterfall.channel].append(row)
        return cls(workspace, dict(steps))

    def plan(
        self,
        leads: Sequence[Lead],
        *,
        ask_again: bool = False,
        points: Iterable[ContactPoint] | None = None,
        lookups: Iterable[Lookup] | None = None,
    ) -> dict[int, Orders]:
        """The orders of each lead's missing channels: {lead id: {channel: steps}}; at most two queries.

        ``points`` are the leads' contact points in every state and ``lookups`` what providers said of
        them, where the caller has them already.
        """
        ids = [lead.pk for lead in leads]
        rows = list(ContactPoint.objects.filter(lead_id__in=ids) if points is None else points)
        misses = {} if ask_again else self._recent_misses(ids) if lookups is None else _misses(lookups)
        by_lead: dict[int, list[ContactPoint]] = defaultdict(list)
        for point in rows:
            by_lead[point.lead_id].append(point)
        return {lead.pk: self._orders(lead, by_lead[lead.pk], misses) for lead in leads}

    def _orders(self, lead: Lead, points: list[ContactPoint], misses: dict) -> Orders:
        query = build_query(lead, points)
        retired = {(p.channel, p.source) for p in points if p.state in ("bounced", "invalid")}
        return {
            channel.value: [
                self._step(lead, channel.value, step, query, retired, misses)
                for step in self.steps.get(channel.value, [])
            ]
            for channel in lead.missing_list
        }

    def _step(
        self, lead: Lead, channel: str, step: WaterfallStep, query: LeadQuery, retired: set, misses: dict
    ) -> PlanStep:
        provider = step.provider
        plain = PlanStep(provider.pk, provider.slug, provider.name)
        code, why = _standing_reason(step)
        adapter = ADAPTERS.get(provider.vendor)
        if not code and (adapter is None or channel not in adapter.channels):
            code, why = "not_offered", "does not offer this channel"
        if not code and (channel, provider.slug) in retired:
            code, why = "retired", "its earlier value was retired"
        if not code and (needs := adapter_needs(adapter, query, channel)):
            code, why = "missing_input", needs
        missed_at = misses.get((lead.pk, provider.pk, channel))
        if not code and missed_at and missed_at > timezone.now() - timedelta(days=provider.recheck_days):
            local = missed_at.astimezone(zone_of(self.workspace.timezone))
            code, why = RECENT_MISS, f"no match on {local.day} {local:%b}"
        return replace(plain, skip=why, skip_code=code)

    def _recent_misses(self, lead_ids: Sequence[int]) -> dict[tuple[int, int, str], datetime]:
        longest = max((s.provider.recheck_days for steps in self.steps.values() for s in steps), default=0)
        rows = (
            Lookup.objects.filter(
                lead_id__in=lead_ids,
                result__in=MISSES,
                created_at__gt=timezone.now() - timedelta(days=longest),
            )
            .values_list("lead_id", "provider_id", "channel")
            .annotate(latest=Max("created_at"))
        )
        return {(lead, provider, channel): latest for lead, provider, channel, latest in rows}


def _misses(lookups: Iterable[Lookup]) -> dict[tuple[int, int, str], datetime]:
    found: dict[tuple[int, int, str], datetime] = {}
    for row in lookups:
        key = (row.lead_id, row.provider_id, row.channel)
        if row.result in MISSES and (key not in found or row.created_at > found[key]):
            found[key] = row.created_at
    return found


def build_query(lead: Lead, points: Iterable[ContactPoint], *, ref: str = "") -> LeadQuery:
    """What a vendor is told about a lead: its details and the contact points it has."""
    have = {point.channel: point.value for point in points if point.state == ContactPoint.State.ACTIVE}
    return LeadQuery(
        ref=ref,
        first_name=lead.first_name,
        last_name=lead.last_name,
        full_name=lead.full_name,
        title=lead.title,
        company_name=lead.company_name,
        company_domain=lead.company_domain,
        country=lead.country,
        linkedin_url=have.get(Channel.LINKEDIN_URL, ""),
        work_email=have.get(Channel.WORK_EMAIL, ""),
        personal_email=have.get(Channel.PERSONAL_EMAIL, ""),
        phone=have.get(Channel.PHONE, ""),
    )


def adapter_needs(adapter: type[Adapter], query: LeadQuery, channel: str) -> str:
    """What ``adapter`` lacks to be asked about this lead, "" when nothing."""
    return adapter.needs(query, frozenset({channel})) or ""


def _standing_reason(step: WaterfallStep) -> tuple[str, str]:
    provider: Provider = step.provider
    if not (step.enabled and provider.enabled):
        return "off", "switched off"
    return provider.blocked_code, blocked_words(provider)


def blocked_words(provider: Provider) -> str:
    """Why the engine stopped asking ``provider`` by itself, "" when it did not."""
    return BLOCKED_WORDS.get(provider.blocked_code, "stopped") if provider.blocked_code else ""
