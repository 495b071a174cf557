"""Reads of leads and what hangs on them, each scoped to a workspace."""

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F

from core.channels import Channel
from workspaces.models import Workspace

if TYPE_CHECKING:
    from leads.models import ContactPoint, Lead, LeadEvent


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
