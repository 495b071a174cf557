"""What the waterfall and provider pages show of providers' work: counts over look-ups, calls and prices."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Aggregate, Count, FloatField, Q, Sum
from django.utils import timezone

from billing import services as billing
from core.channels import Channel
from enrichment.adapters import ADAPTERS
from enrichment.models import ChannelEnrichment, Lookup, Provider, VendorCall, Waterfall
from enrichment.services.providers import BLOCK_LABELS
from enrichment.services.waterfalls import StepState, moved_providers
from workspaces.models import Workspace

WATERFALL_DAYS = 90
PROVIDER_DAYS = 30
SLOW_MS = 5_000
MIN_CALLS_TO_CALL_SLOW = 5


class Median(Aggregate):
    """The middle value, by the database."""

    function = "percentile_cont"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


@dataclass(frozen=True)
class HitRate:
    """Of ``asked`` look-ups, ``found`` gave a usable value."""

    asked: int = 0
    found: int = 0

    @property
    def percent(self) -> int | None:
        """Whole percent; None before anybody was asked."""
        return round(100 * self.found / self.asked) if self.asked else None


@dataclass(frozen=True)
class ProviderState:
    """A provider's condition: ``code`` for the icon and tag, ``label`` in words, ``title`` explains."""

    code: str
    label: str
    title: str = ""


@dataclass(frozen=True)
class WaterfallRow:
    """One provider in a waterfall, saved or in draft."""

    step: StepState
    position: int
    state: ProviderState
    hit_rate: HitRate
    price: int
    moved: bool = False
    was: int | None = None
    was_on: bool = False


@dataclass(frozen=True)
class LiveFigures:
    """What a channel's waterfall did lately."""

    leads: int
    found: int
    lookups: int
    credits: int

    @property
    def found_percent(self) -> int | None:
        """Share of the leads looked up for which somebody had a usable value."""
        return round(100 * self.found / self.leads) if self.leads else None

    @property
    def asked_per_lead(self) -> float | None:
        """Providers asked for one lead, on average."""
        return round(self.lookups / self.leads, 1) if self.leads else None

    @property
    def credits_per_hundred(self) -> int | None:
        """Credits paid for 100 leads looked up."""
        return round(100 * self.credits / self.leads) if self.leads else None


@dataclass(frozen=True)
class ProviderRow:
    """One provider in the list of providers."""

    provider: Provider
    channels: list[Channel]
    state: ProviderState
    hit_rate: HitRate
    median_ms: int | None
    last_error: VendorCall | None


def hit_rates(workspace: Workspace, *, days: int, channel: str | None = None) -> dict[int, HitRate]:
    """How often each provider had a usable value in the last ``days``: {provider id: rate}."""
    rows = Lookup.objects.filter(workspace=workspace, created_at__gt=timezone.now() - timedelta(days=days))
    if channel is not None:
        rows = rows.filter(channel=channel)
    counted = (
        rows.exclude(result=Lookup.Result.SKIPPED)
        .order_by()
        .values("provider_id")
        .annotate(asked=Count("pk"), found=Count("pk", filter=Q(result=Lookup.Result.FOUND)))
    )
    return {row["provider_id"]: HitRate(row["asked"], row["found"]) for row in counted}


def found_shares(workspace: Workspace) -> dict[str, HitRate]:
    """Of the leads looked up lately, how many got each channel: {channel: rate}."""
    counted = (
        ChannelEnrichment.objects.filter(
            item__workspace=workspace,
            settled_at__gt=timezone.now() - timedelta(days=WATERFALL_DAYS),
            state__in=_LOOKED_UP,
        )
        .values("channel")
        .annotate(asked=Count("pk"), found=Count("pk", filter=Q(state=ChannelEnrichment.State.FOUND)))
    )
    return {row["channel"]: HitRate(row["asked"], row["found"]) for row in counted}


def live_figures(workspace: Workspace, channel: str, share: HitRate, rates: Iterable[HitRate]) -> LiveFigures:
    """What the channel's waterfall did in the last 90 days, from counts the page has already."""
    since = timezone.now() - timedelta(days=WATERFALL_DAYS)
    rows = ChannelEnrichment.objects.filter(
        item__workspace=workspace,
        channel=channel,
        settled_at__gt=since,
        state=ChannelEnrichment.State.FOUND,
        credits__gt=0,
    )
    credits = rows.aggregate(total=Sum("credits"))["total"] or 0
    return LiveFigures(share.asked, share.found, sum(rate.asked for rate in rates), credits)


def waterfall_rows(
    *,
    waterfall: Waterfall,
    steps: Sequence[StepState],
    live: Sequence[StepState],
    providers: dict[int, Provider],
    rates: dict[int, HitRate],
) -> list[WaterfallRow]:
    """The rows of a waterfall's table: ``steps`` as shown, ``live`` as saved."""
    was = {step.provider: index for index, step in enumerate(live, start=1)}
    was_on = {step.provider for step in live if step.enabled}
    moved = moved_providers(live, steps)
    slugs = {waterfall.channel: [step.slug for step in steps]}
    prices = billing.prices_for(workspace=waterfall.workspace, channels=slugs)[waterfall.channel]
    return [
        WaterfallRow(
            step=step,
            position=position,
            state=provider_state(providers[step.provider]),
            hit_rate=rates.get(step.provider, HitRate()),
            price=prices[step.slug],
            moved=step.provider in moved,
            was=was.get(step.provider),
            was_on=step.provider in was_on,
        )
        for position, step in enumerate(steps, start=1)
    ]


def provider_state(provider: Provider, median_ms: float | None = None) -> ProviderState:
    """A provider's condition in one word."""
    if provider.vendor not in ADAPTERS:
        return ProviderState("bad", "Not supported", "This version has no adapter for this vendor.")
    if provider.blocked_code:
        label = BLOCK_LABELS.get(provider.blocked_code, "Stopped")
        return ProviderState("bad", label, "Not asked until a test of the key passes.")
    if not provider.enabled:
        return ProviderState("off", "Switched off", "Not asked in any waterfall.")
    if provider.last_test_ok is False:
        return ProviderState("warn", "Last test failed", provider.last_test_message)
    if median_ms is not None and median_ms >= SLOW_MS:
        return ProviderState(
            "warn", "Slow", f"Half of its answers take longer than {SLOW_MS // 1000} seconds."
        )
    return ProviderState("ok", "Healthy")


def provider_rows(workspace: Workspace) -> list[ProviderRow]:
    """Every provider of the workspace with what it did in the last 30 days."""
    providers = list(Provider.objects.in_workspace(workspace))
    rates = hit_rates(workspace, days=PROVIDER_DAYS)
    medians = median_answer_times(workspace)
    errors = _last_errors(workspace)
    return [
        ProviderRow(
            provider=provider,
            channels=channels_of(provider),
            state=provider_state(provider, _slow_by(medians.get(provider.pk))),
            hit_rate=rates.get(provider.pk, HitRate()),
            median_ms=round(medians[provider.pk][0]) if provider.pk in medians else None,
            last_error=errors.get(provider.pk),
        )
        for provider in providers
    ]


def channels_of(provider: Provider) -> list[Channel]:
    """The channels the provider's adapter can answer, in display order."""
    adapter = ADAPTERS.get(provider.vendor)
    return [channel for channel in Channel if adapter and channel.value in adapter.channels]


def prices_of(provider: Provider) -> list[tuple[Channel, int]]:
    """What one value found by the provider costs, per channel it serves, in credits."""
    served = channels_of(provider)
    prices = billing.prices_for(
        workspace=provider.workspace, channels={channel.value: [provider.slug] for channel in served}
    )
    return [(channel, prices[channel.value][provider.slug]) for channel in served]


def median_answer_times(workspace: Workspace) -> dict[int, tuple[float, int]]:
    """{provider id: (median milliseconds, answers counted)} of the last 30 days."""
    rows = (
        VendorCall.objects.filter(
            workspace=workspace,
            state=VendorCall.State.ANSWERED,
            latency_ms__isnull=False,
            asked_at__gt=timezone.now() - timedelta(days=PROVIDER_DAYS),
        )
        .order_by()
        .values("provider_id")
        .annotate(median=Median("latency_ms"), answers=Count("pk"))
    )
    return {row["provider_id"]: (row["median"], row["answers"]) for row in rows}


def recent_errors(provider: Provider, *, limit: int = 20) -> list[VendorCall]:
    """The provider's last failed calls, newest first."""
    rows = provider.calls.filter(workspace_id=provider.workspace_id, state__in=_FAILED)
    return list(rows.select_related("item__lead").order_by("-id")[:limit])


_FAILED = (VendorCall.State.FAILED, VendorCall.State.UNKNOWN, VendorCall.State.STALE)
_LOOKED_UP = (
    ChannelEnrichment.State.FOUND,
    ChannelEnrichment.State.NOT_FOUND,
    ChannelEnrichment.State.FAILED,
)


def _slow_by(median: tuple[float, int] | None) -> float | None:
    """The median, once there are enough answers to judge by."""
    return median[0] if median and median[1] >= MIN_CALLS_TO_CALL_SLOW else None


def _last_errors(workspace: Workspace) -> dict[int, VendorCall]:
    rows = (
        VendorCall.objects.filter(
            workspace=workspace,
            state__in=_FAILED,
            asked_at__gt=timezone.now() - timedelta(days=PROVIDER_DAYS),
        )
        .order_by("provider_id", "-id")
        .distinct("provider_id")
    )
    return {row.provider_id: row for row in rows}
