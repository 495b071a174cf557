"""What one usable contact costs: per channel, and per provider where it differs."""

from collections.abc import Mapping, Sequence

from django.db import transaction

from billing.models import Rate
from core.channels import Channel
from workspaces.models import User, Workspace
from workspaces.services import record_audit

# Credits by provider slug, by channel.
Prices = dict[str, dict[str, int]]

DEFAULT_RATES: dict[str, int] = {
    Channel.WORK_EMAIL.value: 4,
    Channel.PERSONAL_EMAIL.value: 6,
    Channel.PHONE.value: 18,
    Channel.LINKEDIN_URL.value: 2,
}


@transaction.atomic
def set_rate(
    *,
    workspace: Workspace,
    channel: str,
    provider: str = "",
    provider_name: str = "",
    credits: int | None,
    actor: User | None,
) -> Rate | None:
    """Set what a contact on ``channel`` costs: the channel's default, or the rate of one ``provider`` (slug).

    ``credits=None`` takes the row away: a provider falls back to the channel's default, a channel to the
    product's. Holds that are open keep the prices they were opened with. Returns the rate, None if removed.
    """
    channel = Channel(channel).value
    rates = Rate.objects.filter(workspace=workspace, channel=channel, provider=provider)
    before = rates.values_list("credits", flat=True).first()
    if credits is None:
        rates.delete()
        rate = None
    else:
        names = {"provider_name": provider_name} if provider_name else {}
        rate, _ = Rate.objects.update_or_create(
            workspace=workspace, channel=channel, provider=provider, defaults={"credits": credits, **names}
        )
    if before != credits:
        label = (
            f"{Channel(channel).label}, {provider_name or provider}" if provider else Channel(channel).label
        )
        record_audit(
            workspace=workspace,
            actor=actor,
            action="rate.changed",
            object_label=label,
            before=before,
            after=credits,
        )
    return rate


@transaction.atomic
def set_rates(
    *,
    workspace: Workspace,
    channel: str,
    rates: Mapping[str, int | None],
    names: Mapping[str, str],
    actor: User | None,
) -> None:
    """Set several rates of one channel together: credits by provider slug, "" being the channel's default."""
    for provider, credits in rates.items():
        set_rate(
            workspace=workspace,
            channel=channel,
            provider=provider,
            provider_name=names.get(provider, ""),
            credits=credits,
            actor=actor,
        )


def prices_for(*, workspace: Workspace, channels: Mapping[str, Sequence[str]]) -> Prices:
    """Today's price of each provider (slug) on each channel: its own rate, else the channel's, else the product's."""
    rows = Rate.objects.filter(workspace=workspace, channel__in=list(channels))
    rates = {(rate.channel, rate.provider): rate.credits for rate in rows}
    return {
        str(channel): {
            slug: rates.get((channel, slug), rates.get((channel, ""), DEFAULT_RATES[Channel(channel).value]))
            for slug in slugs
        }
        for channel, slugs in channels.items()
    }


def worst_case(prices: Mapping[str, Mapping[str, int]]) -> int:
    """The most that ``prices`` can come to: the sum of each channel's dearest provider."""
    return sum(max(by_provider.values(), default=0) for by_provider in prices.values())
