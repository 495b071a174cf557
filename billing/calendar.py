"""When a month of a budget begins and ends, in the workspace's own time."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from core.clock import zone_of


def month_bounds(*, now: datetime, timezone: str, renewal_day: int) -> tuple[datetime, datetime]:
    """Start and end (excluded) of the budget month around ``now``, in UTC.

    A month begins at the local midnight of ``renewal_day``, or of the month's last day where it is shorter.
    Where a clock change skips that midnight, at the moment of the change; where it repeats it, at the first.
    """
    zone = zone_of(timezone)
    today = now.astimezone(zone).date()
    begins = _renewal_in(today.year, today.month, renewal_day)
    if today < begins:
        last_month = today.replace(day=1) - timedelta(days=1)
        begins = _renewal_in(last_month.year, last_month.month, renewal_day)
    next_month = begins.replace(day=1) + timedelta(days=32)
    ends = _renewal_in(next_month.year, next_month.month, renewal_day)
    return _midnight(begins, zone), _midnight(ends, zone)


def _renewal_in(year: int, month: int, renewal_day: int) -> date:
    return date(year, month, min(renewal_day, monthrange(year, month)[1]))


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
