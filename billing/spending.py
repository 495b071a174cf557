"""What a budget month was spent on: by day, by channel and by provider, net of refunds."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from django.db import connection

from billing.calendar import zone_of
from billing.models import BudgetPeriod, LedgerEntry, Rate
from core.channels import Channel
from workspaces.models import Workspace

# A refunded charge is no spending: neither on its day nor in a sum.
SPENT = """
    SELECT (charge.created_at AT TIME ZONE %(zone)s)::date AS day, charge.channel, charge.provider,
           SUM(charge.amount), COUNT(*)
      FROM billing_hold hold
      JOIN billing_ledgerentry charge ON charge.hold_id = hold.id AND charge.kind = 'capture'
      LEFT JOIN billing_ledgerentry refund ON refund.refunds_id = charge.id
     WHERE hold.period_id = %(period)s AND hold.captured > 0 AND refund.id IS NULL
     GROUP BY 1, 2, 3
"""


@dataclass(slots=True)
class Spending:
    """Credits of one month. ``days`` are all of its days; the counters are by (day, channel or provider slug)."""

    days: list[date]
    today: date
    values: int = 0
    channels: Counter = field(default_factory=Counter)
    providers: Counter = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """Everything spent this month."""
        return sum(self.channels.values())

    def of_channel(self, channel: str) -> int:
        """Spent on one channel this month."""
        return sum(amount for (_, name), amount in self.channels.items() if name == channel)

    @property
    def days_left(self) -> int:
        """Days of the month still to come, today included."""
        return sum(day >= self.today for day in self.days)


def spending_in(*, workspace: Workspace, period: BudgetPeriod, today: date) -> Spending:
    """What was spent in ``period``, which may be one that nobody needed to create yet."""
    zone = zone_of(workspace.timezone)
    first, after = period.starts_at.astimezone(zone).date(), period.ends_at.astimezone(zone).date()
    days = [first + timedelta(days=n) for n in range(max(1, (after - first).days))]
    spending = Spending(days=days, today=today)
    if period.pk is None:
        return spending
    with connection.cursor() as cursor:
        cursor.execute(SPENT, {"zone": zone.key, "period": period.pk})
        for day, channel, provider, amount, values in cursor.fetchall():
            # Charged after midnight for a hold of the evening before: still this month's.
            shown = min(max(day, days[0]), days[-1])
            spending.channels[shown, channel] += int(amount)
            spending.providers[shown, provider] += int(amount)
            spending.values += values
    return spending


@dataclass(frozen=True, slots=True)
class RateLine:
    """One channel's rate, what it cost this month, and the providers that differ."""

    channel: Channel
    credits: int
    spent: int
    providers: list[Rate]


def rate_lines(*, workspace: Workspace, defaults: Mapping[str, int], spending: Spending) -> list[RateLine]:
    """The price list, in the order of every list of channels."""
    rates = list(Rate.objects.filter(workspace=workspace))
    of_channel = {rate.channel: rate.credits for rate in rates if not rate.provider}
    return [
        RateLine(
            channel=channel,
            credits=of_channel.get(channel.value, defaults[channel.value]),
            spent=spending.of_channel(channel.value),
            providers=[rate for rate in rates if rate.channel == channel.value and rate.provider],
        )
        for channel in Channel
    ]


def known_providers(workspace: Workspace) -> dict[str, str]:
    """Names by slug of the providers that have a rate or that recent work could have asked."""
    names = {
        rate.provider: rate.display_name
        for rate in Rate.objects.filter(workspace=workspace).exclude(provider="")
    }
    recent = LedgerEntry.objects.of(workspace).filter(kind=LedgerEntry.Kind.RESERVE)
    for frozen in recent.order_by("-pk").values_list("hold__provider_names", flat=True)[:20]:
        for slug, name in frozen.items():
            names.setdefault(slug, name)
    return dict(sorted(names.items(), key=lambda item: item[1].lower()))
