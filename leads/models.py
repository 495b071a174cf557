"""Leads, the contact points found for them, and their timeline."""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Coalesce

from core.channels import ALL_CHANNELS, Channel, channels_in
from core.encryption import EncryptedJSONField
from leads.querysets import ContactPointQuerySet, LeadEventQuerySet, LeadQuerySet
from workspaces.models import User, Workspace


class Lead(models.Model):
    """A person a sales team wants to reach.

    ``required_channels`` and ``present_channels`` are masks kept by services in the same transaction
    as the memberships and contact points they sum up; ``enrichment_status`` follows both by itself.
    """

    class Status(models.TextChoices):
        """How much of what is required is there."""

        FULL = "full", "Full"
        PARTIAL = "partial", "Partial"
        EMPTY = "empty", "Empty"

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="leads")
    first_name = models.CharField(max_length=120, blank=True)
    last_name = models.CharField(max_length=120, blank=True)
    full_name = models.CharField(max_length=250)
    title = models.CharField(max_length=200, blank=True)
    seniority = models.CharField(max_length=40, blank=True)
    job_function = models.CharField(max_length=60, blank=True)
    company_name = models.CharField(max_length=200, blank=True)
    company_domain = models.CharField(max_length=253, blank=True)
    company_size = models.PositiveIntegerField(null=True, blank=True)
    industry = models.CharField(max_length=120, blank=True)
    city = models.CharField(max_length=120, blank=True)
    region = models.CharField(max_length=120, blank=True)
    country = models.CharField(max_length=80, blank=True)
    icp_score = models.PositiveSmallIntegerField(null=True, blank=True)
    required_channels = models.PositiveSmallIntegerField()
    present_channels = models.PositiveSmallIntegerField(default=0)
    enrichment_status = models.GeneratedField(
        expression=Case(
            When(
                Q(required_channels=F("required_channels").bitand(F("present_channels"))), then=Value("full")
            ),
            When(
                Q(
                    required_channels=F("required_channels").bitand(
                        Value(ALL_CHANNELS) - F("present_channels")
                    )
                ),
                then=Value("empty"),
            ),
            default=Value("partial"),
        ),
        output_field=models.CharField(max_length=8, choices=Status.choices),
        db_persist=True,
    )
    # 0 for score 100 … 100 for score 0, 101 for unscored: ascending with id this is the order leads are served in.
    priority = models.GeneratedField(
        expression=Value(100) - Coalesce(F("icp_score"), Value(-1)),
        output_field=models.SmallIntegerField(),
        db_persist=True,
    )
    # Lower-case, accents folded: what the search box looks through.
    search_text = models.TextField(blank=True)
    search_vector = models.GeneratedField(
        expression=SearchVector("search_text", config="simple"),
        output_field=SearchVectorField(),
        db_persist=True,
    )
    source = models.CharField(max_length=40, blank=True)
    # The latest file this lead came in or was named in.
    last_import = models.ForeignKey(
        "LeadImport", on_delete=models.SET_NULL, null=True, blank=True, related_name="leads"
    )
    enriched_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = LeadQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(icp_score__isnull=True) | Q(icp_score__lte=100), name="lead_icp_score_within_100"
            ),
            models.CheckConstraint(
                condition=Q(required_channels__gte=1, required_channels__lte=ALL_CHANNELS),
                name="lead_requires_a_channel",
            ),
            models.CheckConstraint(
                condition=Q(present_channels__lte=ALL_CHANNELS), name="lead_present_channels_known"
            ),
            models.CheckConstraint(condition=~Q(full_name=""), name="lead_has_a_name"),
        ]
        indexes = [
            models.Index(fields=["workspace", "priority", "id"], name="lead_by_priority"),
            models.Index(fields=["workspace", "full_name", "id"], name="lead_by_name"),
            models.Index(fields=["workspace", "company_name", "id"], name="lead_by_company"),
            models.Index(
                F("workspace"), F("enriched_at").desc(nulls_last=True), F("id"), name="lead_by_enriched"
            ),
            models.Index(fields=["workspace", "enrichment_status", "priority", "id"], name="lead_by_status"),
            GinIndex(fields=["search_vector"], name="lead_search"),
        ]

    def __str__(self) -> str:
        return self.full_name

    @property
    def required_list(self) -> list[Channel]:
        """The channels this lead's audiences require."""
        return channels_in(self.required_channels)

    @property
    def missing_mask(self) -> int:
        """Required and not present."""
        return self.required_channels & ~self.present_channels

    @property
    def missing_list(self) -> list[Channel]:
        """Required channels without an active contact point."""
        return channels_in(self.missing_mask)

    @property
    def status(self) -> str:
        """The status from the masks on this instance (the stored column lags until reloaded)."""
        if not self.missing_mask:
            return self.Status.FULL
        return self.Status.PARTIAL if self.required_channels & self.present_channels else self.Status.EMPTY


class ContactPoint(models.Model):
    """One value on one channel, with who supplied it and how sure we are."""

    class State(models.TextChoices):
        """Only an active contact point counts as present."""

        ACTIVE = "active", "Active"
        BOUNCED = "bounced", "Bounced"
        INVALID = "invalid", "Invalid"
        SUPERSEDED = "superseded", "Superseded"

    class Verification(models.TextChoices):
        """What is known about deliverability, in our words."""

        VALID = "valid", "Verified"
        CATCH_ALL = "catch_all", "Catch-all domain"
        RISKY = "risky", "Risky"
        INVALID = "invalid", "Invalid"
        UNKNOWN = "unknown", "Not verified"

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    lead = models.ForeignKey(Lead, on_delete=models.CASCADE, related_name="contact_points")
    channel = models.CharField(max_length=16, choices=Channel.choices)
    value = models.CharField(max_length=500)
    normalized = models.CharField(max_length=500)
    # The provider's slug, or "import" / "manual"; source_name is what people read.
    source = models.CharField(max_length=60)
    source_name = models.CharField(max_length=80)
    confidence = models.PositiveSmallIntegerField(null=True, blank=True)
    verification = models.CharField(max_length=10, choices=Verification.choices, default=Verification.UNKNOWN)
    state = models.CharField(max_length=10, choices=State.choices, default=State.ACTIVE)
    enriched_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, blank=True)

    objects = ContactPointQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["lead", "channel"], condition=Q(state="active"), name="contact_point_one_active"
            ),
            models.CheckConstraint(
                condition=Q(confidence__isnull=True) | Q(confidence__lte=100),
                name="contact_point_confidence_within_100",
            ),
            models.CheckConstraint(
                condition=Q(channel__in=Channel.values), name="contact_point_channel_known"
            ),
        ]
        indexes = [
            models.Index(fields=["workspace", "channel", "normalized"], name="contact_point_lookup"),
        ]

    def __str__(self) -> str:
        return f"{self.channel} of lead {self.lead_id}"


class LeadEvent(models.Model):
    """One line of a lead's timeline. ``kind`` is dotted and in the past tense."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    lead = models.ForeignKey(Lead, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=60)
    text = models.CharField(max_length=300)
    actor = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = LeadEventQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["lead", "-id"], name="lead_event_newest_first")]

    def __str__(self) -> str:
        return self.text


class Suppression(models.Model):
    """A person or domain that must never be looked up or synced, kept as a keyed hash."""

    class Kind(models.TextChoices):
        """What the hash was made from."""

        EMAIL = "email", "E-mail"
        DOMAIN = "domain", "Company domain"
        PHONE = "phone", "Phone"
        LINKEDIN = "linkedin", "LinkedIn URL"
        # Only for people of whom nothing but a name and a company is known.
        PERSON = "person", "Name at a company"

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="suppressions")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    digest = models.CharField(max_length=64)
    reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "kind", "digest"], name="suppression_once")
        ]

    def __str__(self) -> str:
        return f"{self.kind} suppression"


class SuppressionKey(models.Model):
    """The secret that a workspace's suppression hashes are made with.

    It is made once and stored encrypted, so that changing FIELD_ENCRYPTION_KEYS re-encrypts it like every
    other secret and no suppression is lost; hashes made from an encryption key itself would be.
    """

    workspace = models.OneToOneField(Workspace, on_delete=models.CASCADE, related_name="+")
    key = EncryptedJSONField()

    def __str__(self) -> str:
        return f"suppression key of workspace {self.workspace_id}"


class LeadImport(models.Model):
    """One uploaded file: what came in, what was updated, which rows were refused and why."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="lead_imports")
    file_name = models.CharField(max_length=200)
    # Made by the server with the form: the same form sent twice is one import; another file with it is refused.
    idempotency_key = models.UUIDField()
    fingerprint = models.CharField(max_length=64, default="", blank=True)
    columns = models.JSONField(default=list)
    ignored_columns = models.JSONField(default=list)
    created_count = models.PositiveIntegerField(default=0)
    updated_count = models.PositiveIntegerField(default=0)
    unchanged_count = models.PositiveIntegerField(default=0)
    # [{"line": 12, "reason": "…", "row": ["first cell", …]}], at most the first 1,000.
    refused_rows = models.JSONField(default=list)
    refused_count = models.PositiveIntegerField(default=0)
    # [{"line": 12, "reason": "…"}], at most the first 1,000: values left out of rows that were kept.
    warnings = models.JSONField(default=list)
    warning_count = models.PositiveIntegerField(default=0)
    imported_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "idempotency_key"], name="lead_import_once")
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.file_name
