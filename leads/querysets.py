"""Reads of leads and what hangs on them, each scoped to a workspace."""

import re

from django.contrib.postgres.search import SearchQuery
from django.db import models
from django.db.models import F, IntegerField, OuterRef, Subquery

from core.channels import Channel
from leads.text import fold
from workspaces.models import Workspace

# A search looks at this many words at most; each must begin a word of the lead.
SEARCH_WORDS = 8
LIVE_STATES = ("waiting", "admitted", "running")


class PrefixQuery(SearchQuery):
    """A full-text query whose words match by their beginnings: "hal gmb" finds Halden GmbH."""

    template = "CAST(%(expressions)s AS tsquery)"

    def __init__(self, words: list[str]) -> None:
        super().__init__(" & ".join(_prefix(word) for word in words), search_type="raw")


def _prefix(word: str) -> str:
    """A tsquery for one typed word: as it stands (an address, a domain), or part by part."""
    quoted = word.replace("\\", "\\\\").replace("'", "''")
    parts = re.findall(r"\w+", word)
    if not parts or parts == [word]:
        return f"'{quoted}':*"
    every_part = " & ".join(f"'{part}':*" for part in parts)
    return f"('{quoted}':* | ({every_part}))"


class CappedCount(Subquery):
    """How many rows a (sliced) query has: a count that stops at the slice's end."""

    template = "(SELECT count(*) FROM (%(subquery)s) capped)"
    output_field = IntegerField()


class LeadQuerySet(models.QuerySet["Lead"]):
    """Leads, always reached through their workspace."""

    def in_workspace(self, workspace: Workspace) -> "LeadQuerySet":
        """Only this workspace's leads."""
        return self.filter(workspace=workspace)

    def missing(self, channel: str) -> "LeadQuerySet":
        """Leads that require ``channel`` and do not have it."""
        bit = Channel(channel).bit
        return self.annotate(
            _required=F("required_channels").bitand(bit), _present=F("present_channels").bitand(bit)
        ).filter(_required=bit, _present=0)

    def search(self, text: str) -> "LeadQuerySet":
        """Leads in which every word of ``text`` begins a word of name, title, company, …; accents do not count."""
        words = [word for word in fold(text).split() if re.search(r"\w", word)]
        if not words:
            return self.none()
        return self.filter(search_vector=PrefixQuery(words[:SEARCH_WORDS]))

    def matching(
        self, *, text: str = "", status: str = "", audience: int | None = None, missing: str = ""
    ) -> "LeadQuerySet":
        """Leads that pass every filter that is given."""
        rows = self
        if text:
            rows = rows.search(text)
        if status:
            rows = rows.filter(enrichment_status=status)
        if audience is not None:
            # By the name of the relation: audiences are an app above this one.
            rows = rows.filter(memberships__audience_id=audience)
        if missing:
            rows = rows.missing(missing)
        return rows

    def with_live_state(self) -> "LeadQuerySet":
        """Adds ``live_state``: the state of the enrichment under way, or None."""
        live = (
            self.model.objects.order_by()
            .filter(pk=OuterRef("pk"), run_items__state__in=LIVE_STATES)
            .values("run_items__state")[:1]
        )
        return self.annotate(live_state=Subquery(live))

    def capped_count(self, cap: int) -> CappedCount:
        """An expression for the number of rows, counted no further than ``cap`` + 1."""
        return CappedCount(self.order_by().values("pk")[: cap + 1])


class ContactPointQuerySet(models.QuerySet["ContactPoint"]):
    """Contact points."""

    def in_workspace(self, workspace: Workspace) -> "ContactPointQuerySet":
        """Only this workspace's contact points."""
        return self.filter(workspace=workspace)

    def active(self) -> "ContactPointQuerySet":
        """Those that count as present."""
        return self.filter(state="active")


class LeadEventQuerySet(models.QuerySet["LeadEvent"]):
    """Timeline lines."""

    def newest_first(self) -> "LeadEventQuerySet":
        """Latest line first."""
        return self.order_by("-id")
