"""Audiences: named sets of leads and the channels they require (their scope)."""

from django.db import models
from django.db.models import Count, Exists, OuterRef, Q

from core.channels import ALL_CHANNELS, Channel, channels_in
from leads.models import Lead
from workspaces.models import User, Workspace


class AudienceQuerySet(models.QuerySet["Audience"]):
    """Reads of audiences."""

    def in_workspace(self, workspace: Workspace) -> "AudienceQuerySet":
        """Only this workspace's audiences."""
        return self.filter(workspace=workspace)

    def with_counts(self) -> "AudienceQuerySet":
        """Adds ``member_count`` and ``full_count``, the members that have all they need."""
        full = Q(memberships__lead__enrichment_status=Lead.Status.FULL)
        return self.annotate(
            member_count=Count("memberships"), full_count=Count("memberships", filter=full)
        ).order_by("name", "id")

    def with_membership_of(self, lead_id: int) -> "AudienceQuerySet":
        """Adds ``is_member``: whether this lead is in it."""
        return self.annotate(
            is_member=Exists(Membership.objects.filter(audience=OuterRef("pk"), lead_id=lead_id))
        ).order_by("name", "id")


class Audience(models.Model):
    """A set of leads; each of its members needs every channel of its scope."""

    class Kind(models.TextChoices):
        """How members come in."""

        LIST = "list", "List"

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="audiences")
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.LIST)
    required_channels = models.PositiveSmallIntegerField()
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    leads = models.ManyToManyField(Lead, through="Membership", related_name="audiences")

    objects = AudienceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "name"], name="audience_name_unique"),
            models.CheckConstraint(
                condition=Q(required_channels__gte=1, required_channels__lte=ALL_CHANNELS),
                name="audience_requires_a_channel",
            ),
        ]
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def required_list(self) -> list[Channel]:
        """The scope as channels."""
        return channels_in(self.required_channels)

    @property
    def full_sentence(self) -> str:
        """How many members have all they need, in words; only after ``with_counts``."""
        return f"{self.full_count:,} of {self.member_count:,} members are full"


class Membership(models.Model):
    """A lead's place in an audience."""

    audience = models.ForeignKey(Audience, on_delete=models.CASCADE, related_name="memberships")
    lead = models.ForeignKey(Lead, on_delete=models.CASCADE, related_name="memberships")
    added_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    added_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["audience", "lead"], name="membership_once_per_audience")
        ]
        indexes = [models.Index(fields=["lead"], name="membership_by_lead")]

    def __str__(self) -> str:
        return f"lead {self.lead_id} in audience {self.audience_id}"
