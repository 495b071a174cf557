"""Reads of leads and what hangs on them, each scoped to a workspace."""

import re

from django.contrib.postgres.search import SearchQuery
from django.db import models
from django.db.models import Count, Exists, F, IntegerField, OuterRef, Q, Subquery

from core.channels import ALL_CHANNELS, Channel
from leads.normalize import InvalidValue, normalize_email, normalize_linkedin, normalize_phone
from leads.text import fold
from workspaces.models import Workspace

# A search looks at this many words at most; each must begin a word of the lead.
SEARCH_WORDS = 8
# PostgreSQL refuses a word of more than 2,046 bytes; folding makes some letters many.
SEARCH_WORD_LENGTH = 500
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


def _contact_value(text: str) -> tuple[tuple[Channel, ...], str] | None:
    """The channels and the normal form of ``text`` where the whole of it is one contact; None for other words."""
    try:
        if "@" in text:
            return (Channel.WORK_EMAIL, Channel.PERSONAL_EMAIL), normalize_email(text).normalized
        if "linkedin.com/" in text.lower():
            return (Channel.LINKEDIN_URL,), normalize_linkedin(text)
        if text.lstrip().startswith("+"):
            return (Channel.PHONE,), normalize_phone(text).normalized
    except InvalidValue:
        pass
    return None


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
        """Leads that require ``channel`` and do not have it.

        As lists of masks and not as bit arithmetic: only then does the planner know how many leads it will find.
        """
        bit = Channel(channel).bit
        masks = range(ALL_CHANNELS + 1)
        return self.filter(
            required_channels__in=[mask for mask in masks if mask & bit],
            present_channels__in=[mask for mask in masks if not mask & bit],
        )

    def search(self, text: str) -> "LeadQuerySet":
        """Leads in which every word of ``text`` begins a word of name, title, company, …; accents do not count.

        An e-mail address, a LinkedIn URL or a phone number with its country code finds who has or had it.
        """
        if address := _contact_value(text):
            channels, normalized = address
            # The workspace a second time, so that the index over the contact points is entered by it.
            owners = self.order_by().filter(
                contact_points__workspace=F("workspace"),
                contact_points__channel__in=channels,
                contact_points__normalized=normalized,
            )
            return self.filter(pk__in=owners.values("pk"))
        words = [word[:SEARCH_WORD_LENGTH] for word in fold(text).split() if re.search(r"\w", word)]
        if not words:
            return self.none()
        return self.filter(search_vector=PrefixQuery(words[:SEARCH_WORDS]))

    def matching(
        self,
        *,
        text: str = "",
        status: str = "",
        audience: int | None = None,
        missing: str = "",
        lead_import: int | None = None,
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
        if lead_import is not None:
            rows = rows.filter(last_import=lead_import)
        return rows

    def with_suppressions(self) -> "LeadQuerySet":
        """With ``any_suppressions``: whether the lead's workspace suppresses anybody at all."""
        suppressions = self.model._meta.apps.get_model("leads", "Suppression").objects
        return self.annotate(
            any_suppressions=Exists(suppressions.filter(workspace_id=OuterRef("workspace_id")))
        )

    def with_live_state(self) -> "LeadQuerySet":
        """Adds ``live_state``: the state of the enrichment under way, or None."""
        live = (
            self.model.objects.order_by()
            .filter(pk=OuterRef("pk"), run_items__state__in=LIVE_STATES)
            .values("run_items__state")[:1]
        )
        return self.annotate(live_state=Subquery(live))

    def found_first(self, at_most: int) -> "LeadQuerySet":
        """The same rows, for a query that has few (no more than ``at_most``): they are found, then ordered.

        Left alone, the planner may walk a whole index in list order in the hope of meeting them early.
        """
        return self.model.objects.filter(pk__in=self.order_by().values("pk")[:at_most])

    def count_by_status(self, cap: int) -> dict[str, int] | None:
        """How many rows have each status; None if there are more than ``cap`` in all (it stops looking there)."""
        counts = {
            status: Count("pk", filter=Q(enrichment_status=status)) for status in self.model.Status.values
        }
        found = self.order_by().only("pk", "enrichment_status")[: cap + 1].aggregate(**counts)
        return found if sum(found.values()) <= cap else None

    def capped_counts(self, statuses: list[str], cap: int) -> dict[str, int]:
        """How many rows have each of ``statuses``, counted no further than ``cap`` + 1 (one query)."""
        if not statuses:
            return {}
        counts = {
            status: CappedCount(self.filter(enrichment_status=status).order_by().values("pk")[: cap + 1])
            for status in statuses
        }
        # The three counts hang on any one row: nobody counts an empty table here.
        return self.model.objects.order_by().values(**counts)[:1].get()


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
