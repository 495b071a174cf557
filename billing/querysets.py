"""Reads of the ledger: what people see of it, newest first, in pages that stay cheap at any length."""

from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from workspaces.models import Workspace

# Moves between "available" and "held": nothing is charged, so they show on request only.
INTERNAL_KINDS = ("reserve", "release")


class LedgerEntryQuerySet(models.QuerySet):
    """Ledger entries."""

    def of(self, workspace: "Workspace") -> "LedgerEntryQuerySet":
        """The entries of one workspace."""
        return self.filter(workspace=workspace)

    def visible(self, *, kind: str = "", with_holds: bool = False) -> "LedgerEntryQuerySet":
        """What people see: one ``kind``, or all of them; holds and releases only when asked for."""
        if kind:
            return self.filter(kind=kind)
        return self if with_holds else self.exclude(kind__in=INTERNAL_KINDS)

    def with_details(self) -> "LedgerEntryQuerySet":
        """With what a row names: the hold's lead, the person, the charge a refund is for."""
        return self.select_related("hold", "actor", "refunds")
