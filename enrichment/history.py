"""A lead's history: what providers said, what it cost, and what people and imports did."""

from dataclasses import dataclass
from datetime import datetime

from billing.models import LedgerEntry
from core.channels import Channel
from enrichment.lead_record import LeadRecord
from enrichment.models import Lookup
from leads.models import LeadEvent

LINES_SHOWN = 10


@dataclass(frozen=True)
class HistoryLine:
    """One line of the history; ``tone`` picks the icon's colour, ``credits`` is negative for a refund."""

    at: datetime
    icon: str
    strong: str
    rest: str = ""
    credits: int = 0
    found: bool = False

    @property
    def refund(self) -> int:
        """Credits that came back, as a positive number."""
        return max(0, -self.credits)


def history_lines(record: LeadRecord) -> list[HistoryLine]:
    """Everything that happened to the lead, newest first."""
    lines = [_lookup_line(row) for row in record.lookups]
    lines += [_event_line(row) for row in record.events]
    lines += [_refund_line(entry) for entry in record.refunds]
    return sorted(lines, key=lambda line: line.at, reverse=True)


def _lookup_line(row: Lookup) -> HistoryLine:
    label, name = Channel(row.channel).label, row.provider.name
    said = f", {row.message}" if row.message else ""
    if row.result == Lookup.Result.FOUND:
        return HistoryLine(
            row.created_at, "check", f"{label} found", f"by {name}{said}", credits=row.credits, found=True
        )
    if row.result == Lookup.Result.NOT_FOUND:
        return HistoryLine(row.created_at, "x", label, f"not found at {name}")
    if row.result == Lookup.Result.UNUSABLE:
        return HistoryLine(row.created_at, "circle-slash", label, f"from {name} not used{said}")
    if row.result == Lookup.Result.ERROR:
        return HistoryLine(row.created_at, "triangle-alert", label, f"{name} could not answer{said}")
    return HistoryLine(row.created_at, "minus", label, f"{name} not asked{said}")


EVENT_ICONS = {
    "enrichment.started": "play",
    "enrichment.stopped": "square",
    "lead.imported": "upload",
    "contact.bounced": "circle-slash",
}


def _event_line(event: LeadEvent) -> HistoryLine:
    by = f"by {event.actor.display_name}" if event.actor else ""
    icon = EVENT_ICONS.get(event.kind, "circle-slash" if "bounce" in event.kind else "clock")
    return HistoryLine(event.created_at, icon, event.text, by)


def _refund_line(entry: LedgerEntry) -> HistoryLine:
    label = Channel(entry.channel).label if entry.channel else "Charge"
    return HistoryLine(entry.created_at, "rotate-ccw", f"{label} refunded", entry.note, credits=-entry.amount)
