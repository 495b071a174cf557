"""A lead with everything known about its enrichment, read once however many parts of a page show it."""

from dataclasses import dataclass
from functools import cached_property

from billing.models import LedgerEntry
from enrichment.models import ChannelEnrichment, Lookup, RunItem, VendorCall
from leads.models import ContactPoint, Lead, LeadEvent

LOOKUPS_READ = 500
EVENTS_READ = 200


@dataclass
class LeadRecord:
    """A lead with everything known about its enrichment, each part read once and only when needed."""

    lead: Lead

    @cached_property
    def points(self) -> list[ContactPoint]:
        """Contact points in every state, newest first, with what was charged and refunded for them."""
        rows = self.lead.contact_points.select_related("channel_enrichment__charge__refund")
        return list(rows.order_by("-enriched_at", "-id"))

    @cached_property
    def latest_item(self) -> RunItem | None:
        """The newest run item, if the lead was ever enriched."""
        rows = RunItem.objects.filter(lead=self.lead, workspace_id=self.lead.workspace_id)
        return rows.select_related("run", "hold").order_by("-id").first()

    @cached_property
    def active_item(self) -> RunItem | None:
        """The item under way, if any."""
        item = self.latest_item
        return item if item is not None and item.state in RunItem.ACTIVE else None

    @cached_property
    def enrichments(self) -> dict[str, ChannelEnrichment]:
        """The channels of the item under way."""
        if self.active_item is None:
            return {}
        rows = ChannelEnrichment.objects.filter(item=self.active_item).select_related("provider")
        return {row.channel: row for row in rows}

    @cached_property
    def open_calls(self) -> dict[int, VendorCall]:
        """The item's last call to each provider that has not ended it: being asked now, or waiting."""
        if self.active_item is None:
            return {}
        rows = VendorCall.objects.filter(item=self.active_item).order_by("attempt", "id")
        return {row.provider_id: row for row in rows}

    @cached_property
    def lookups(self) -> list[Lookup]:
        """What providers answered about the lead, newest first."""
        rows = Lookup.objects.filter(lead=self.lead, workspace_id=self.lead.workspace_id)
        return list(rows.select_related("provider").order_by("-id")[:LOOKUPS_READ])

    @cached_property
    def events(self) -> list[LeadEvent]:
        """The timeline's own lines, newest first."""
        return list(self.lead.events.newest_first().select_related("actor")[:EVENTS_READ])

    def last_round(self, channel: str) -> list[Lookup]:
        """What the newest run that got to ``channel`` heard, in the order of asking."""
        rows = [row for row in self.lookups if row.channel == channel]
        latest = max((row.item_id for row in rows), default=None)
        return [row for row in reversed(rows) if row.item_id == latest]

    @property
    def spent(self) -> int:
        """Credits paid for this lead in all, refunds taken off."""
        return sum(row.credits for row in self.lookups) - sum(entry.amount for entry in self.refunds)

    @cached_property
    def refunds(self) -> list[LedgerEntry]:
        """The refunds of this lead's charges, newest first."""
        found = []
        for point in self.points:
            enrichment = getattr(point, "channel_enrichment", None)
            refund = getattr(enrichment.charge, "refund", None) if enrichment and enrichment.charge else None
            if refund is not None:
                found.append(refund)
        return sorted(found, key=lambda entry: entry.pk, reverse=True)
