"""The geometry of billing's drawings: the spend of each day as stacked bars, and the budget's meter."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from billing.models import title_of
from billing.spending import Spending
from core.channels import Channel

# From the bottom of a bar upwards; the same channel has the same colour everywhere.
STACK = (Channel.WORK_EMAIL, Channel.PHONE, Channel.PERSONAL_EMAIL, Channel.LINKEDIN_URL)
FILLS = {
    Channel.WORK_EMAIL: "c1",
    Channel.PHONE: "c3",
    Channel.PERSONAL_EMAIL: "c2",
    Channel.LINKEDIN_URL: "c4",
}
PROVIDER_FILLS = ("c1", "c3", "c2", "c4", "warn", "bad")
OTHER = "other"

TOP, BASE = 10, 188
# Left of this share of the width stand the labels of the scale.
LEFT = 4.6
GAP = 1.0


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of the chart."""

    key: str
    label: str
    fill: str


@dataclass(frozen=True, slots=True)
class Segment:
    """One coloured piece of a bar, in pixels from the top."""

    fill: str
    y: str
    height: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One day: where it stands (per cent of the width), what it cost, and the pieces from the bottom up."""

    day: date
    center: str
    left: str
    label: str
    total: int
    amounts: list[tuple[str, int]]
    segments: list[Segment]


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything the template draws."""

    bars: list[Bar]
    series: list[Series]
    grid: list[tuple[str, int]]
    slot: str
    pace: str
    pace_credits: int
    left: str = f"{LEFT}%"


def spend_chart(
    *, spending: Spending, monthly_limit: int | None, names: Mapping[str, str] | None = None
) -> Chart:
    """The month's days as bars, with the pace of the budget: stacked by provider where their names are given."""
    series, amounts = _by_channel(spending) if names is None else _by_provider(spending, names)
    totals = {day: sum(amounts[day, one.key] for one in series) for day in spending.days}
    pace = monthly_limit / len(spending.days) if monthly_limit else 0
    step = scale_step(max([*totals.values(), pace, 1]))
    top = step * 4
    slot = (100 - LEFT) / len(spending.days)
    bars = [
        _bar(day, index, slot, [(one, amounts[day, one.key]) for one in series], totals[day], top)
        for index, day in enumerate(spending.days)
    ]
    return Chart(
        bars=bars,
        series=series,
        grid=[(f"{_y(value, top):.1f}", value) for value in range(0, top + 1, step)],
        slot=f"{slot:.3f}%",
        pace=f"{_y(pace, top):.1f}" if pace else "",
        pace_credits=round(pace),
    )


def scale_step(highest: float) -> int:
    """A round number of credits so that four of it reach ``highest``."""
    wanted = highest / 4
    power = 10 ** max(0, math.floor(math.log10(wanted))) if wanted >= 1 else 1
    return next(step * power for step in (1, 2, 5, 10) if step * power >= wanted)


def _y(value: float, top: int) -> float:
    return BASE - (BASE - TOP) * value / top


def _bar(day: date, index: int, slot: float, pieces: list[tuple[Series, int]], total: int, top: int) -> Bar:
    segments, below = [], 0
    for series, amount in pieces:
        if amount:
            upper, lower = _y(below + amount, top), _y(below, top)
            height = max(0.8, lower - upper - GAP)
            segments.append(Segment(series.fill, f"{lower - GAP - height + GAP / 2:.1f}", f"{height:.1f}"))
        below += amount
    label = f"{day.day} {day:%b}" if index == 0 or day.day == 1 else str(day.day)
    return Bar(
        day=day,
        center=f"{LEFT + slot * (index + 0.5):.3f}%",
        left=f"{LEFT + slot * index:.3f}%",
        label=label if index == 0 or day.day % 5 == 0 else "",
        total=total,
        amounts=[(series.label, amount) for series, amount in pieces],
        segments=segments,
    )


def _by_channel(spending: Spending) -> tuple[list[Series], Counter]:
    series = [Series(channel.value, str(channel.label), FILLS[channel]) for channel in STACK]
    return series, spending.channels


def _by_provider(spending: Spending, names: Mapping[str, str]) -> tuple[list[Series], Counter]:
    """The six dearest providers of the month, the rest together."""
    totals: Counter = Counter()
    for (_, provider), amount in spending.providers.items():
        totals[provider] += amount
    largest = [provider for provider, _ in totals.most_common(len(PROVIDER_FILLS))]
    series = [
        Series(provider, names.get(provider) or title_of(provider), fill)
        for provider, fill in zip(largest, PROVIDER_FILLS, strict=False)
    ]
    amounts: Counter = Counter()
    for (day, provider), amount in spending.providers.items():
        amounts[day, provider if provider in largest else OTHER] += amount
    if len(totals) > len(largest):
        series.append(Series(OTHER, "Other", "none"))
    return series, amounts


@dataclass(frozen=True, slots=True)
class MeterPiece:
    """A piece of the meter, in per cent of its width."""

    fill: str
    x: str
    width: str


def budget_meter(*, spending: Spending, held: int, limit: int) -> list[MeterPiece]:
    """What fills the month's budget: the channels in their order, then what is held."""
    whole = max(limit, spending.total + held, 1)
    amounts = [(FILLS[channel], spending.of_channel(channel.value)) for channel in STACK] + [("c0", held)]
    pieces, below = [], 0
    for fill, amount in amounts:
        if amount:
            pieces.append(MeterPiece(fill, f"{100 * below / whole:.2f}%", f"{100 * amount / whole:.2f}%"))
        below += amount
    return pieces
