"""Providers, the waterfalls that order them, and the record of every enrichment run."""

from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from billing.models import Hold, LedgerEntry
from core.channels import Channel
from core.encryption import EncryptedJSONField
from leads.models import ContactPoint, Lead
from workspaces.models import User, Workspace


class ProviderQuerySet(models.QuerySet["Provider"]):
    """Reads of providers."""

    def in_workspace(self, workspace: Workspace) -> "ProviderQuerySet":
        """Only this workspace's providers."""
        return self.filter(workspace=workspace)

    def usable(self) -> "ProviderQuerySet":
        """Switched on and not stopped by a rejected key or an empty vendor account."""
        return self.filter(enabled=True, blocked_code="")


class Provider(models.Model):
    """A vendor a workspace has an account with."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="providers")
    # The adapter's slug; an adapter that is gone leaves the row readable and unusable.
    vendor = models.CharField(max_length=60)
    slug = models.CharField(max_length=60)
    name = models.CharField(max_length=80)
    credentials = EncryptedJSONField(default=dict)
    base_url = models.CharField(max_length=300, blank=True)
    enabled = models.BooleanField(default=False)
    # Why the engine stopped asking it by itself ("key_rejected", "out_of_credit"); a passed test clears it.
    blocked_code = models.CharField(max_length=20, blank=True)
    blocked_at = models.DateTimeField(null=True, blank=True)
    # Days for which "no match" is remembered before the same lead is asked about again.
    recheck_days = models.PositiveSmallIntegerField(default=30)
    timeout_seconds = models.PositiveSmallIntegerField(default=15)
    last_tested_at = models.DateTimeField(null=True, blank=True)
    last_test_ok = models.BooleanField(null=True)
    last_test_message = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ProviderQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "slug"], name="provider_slug_unique"),
            models.CheckConstraint(
                condition=Q(timeout_seconds__gte=1, timeout_seconds__lte=120), name="provider_timeout_is_sane"
            ),
        ]
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def key_hint(self) -> str:
        """The last four characters of the key, all that is ever shown of it; "" when it cannot be read."""
        try:
            key = str((self.credentials or {}).get("api_key", ""))
        except ImproperlyConfigured:
            return ""
        return key[-4:] if len(key) >= 12 else ""


class Waterfall(models.Model):
    """The order in which one channel's providers are asked."""

    class Mode(models.TextChoices):
        """Who decides the order."""

        MANUAL = "manual", "Manual"

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="waterfalls")
    channel = models.CharField(max_length=16, choices=Channel.choices)
    mode = models.CharField(max_length=8, choices=Mode.choices, default=Mode.MANUAL)
    version = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "channel"], name="waterfall_one_per_channel")
        ]

    def __str__(self) -> str:
        return f"{self.channel} waterfall"


class WaterfallStep(models.Model):
    """One provider's place in a waterfall."""

    waterfall = models.ForeignKey(Waterfall, on_delete=models.CASCADE, related_name="steps")
    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    enabled = models.BooleanField(default=True)
    pinned = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["waterfall", "provider"], name="waterfall_step_once"),
            models.UniqueConstraint(
                fields=["waterfall", "position"],
                name="waterfall_step_position_unique",
                deferrable=models.Deferrable.DEFERRED,
            ),
        ]
        ordering = ["position"]

    def __str__(self) -> str:
        return f"{self.position}. provider {self.provider_id}"


class WaterfallVersion(models.Model):
    """What a waterfall looked like after one saved change; number 1 is the first."""

    waterfall = models.ForeignKey(Waterfall, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    # [{"provider": 3, "slug": "hunter", "name": "Hunter", "enabled": true}], top first.
    steps = models.JSONField()
    summary = models.CharField(max_length=300)
    saved_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    saved_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["waterfall", "number"], name="waterfall_version_once")]
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"v{self.number}"


class Run(models.Model):
    """One request to enrich: a click on a lead, or a selection of many."""

    class Kind(models.TextChoices):
        """How it was asked for."""

        SINGLE = "single", "Enrich"
        BULK = "bulk", "Re-enrich"

    class State(models.TextChoices):
        """Where the run is."""

        RUNNING = "running", "Running"
        DONE = "done", "Done"
        CANCELLED = "cancelled", "Cancelled"

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="runs")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    # Made by the server with the form: the same form sent twice is the same run.
    idempotency_key = models.UUIDField()
    ask_again = models.BooleanField(default=False)
    started_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "idempotency_key"], name="run_once_per_key")
        ]

    def __str__(self) -> str:
        return f"run {self.pk}"


class RunItem(models.Model):
    """One lead in a run; the row is the job.

    A worker owns it while ``lease_until`` is ahead by the database's clock; ``fence`` grows with each
    claim and every write of the owner checks it.
    """

    class State(models.TextChoices):
        """waiting: no credits yet; admitted: may be claimed from ``run_at`` on; the rest is plain."""

        WAITING = "waiting", "Waits for credits"
        ADMITTED = "admitted", "In line"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    class Outcome(models.TextChoices):
        """What the lead got out of it: every missing channel, some, none."""

        ALL = "all", "Everything found"
        SOME = "some", "Some found"
        NONE = "none", "Nothing found"

    ACTIVE = (State.WAITING, State.ADMITTED, State.RUNNING)

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="items")
    lead = models.ForeignKey(Lead, on_delete=models.PROTECT, related_name="run_items")
    hold = models.OneToOneField(Hold, on_delete=models.PROTECT, null=True, related_name="run_item")
    state = models.CharField(max_length=10, choices=State.choices)
    outcome = models.CharField(max_length=5, choices=Outcome.choices, blank=True)
    failure = models.CharField(max_length=200, blank=True)
    priority = models.SmallIntegerField()
    fence = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    owner = models.CharField(max_length=80, blank=True)
    run_at = models.DateTimeField(db_default=Now())
    crashes = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["lead"],
                condition=Q(state__in=["waiting", "admitted", "running"]),
                name="run_item_one_active_per_lead",
            ),
            models.CheckConstraint(
                condition=~Q(state="running") | Q(lease_until__isnull=False),
                name="run_item_running_is_leased",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "admitted", "running"]) | Q(finished_at__isnull=False),
                name="run_item_ended_has_a_time",
            ),
        ]
        indexes = [
            models.Index(fields=["run_at", "id"], condition=Q(state="admitted"), name="run_item_claimable"),
            models.Index(fields=["lease_until"], condition=Q(state="running"), name="run_item_leased"),
            models.Index(fields=["lead", "-id"], name="run_item_by_lead"),
        ]

    def __str__(self) -> str:
        return f"run item {self.pk}"


class ChannelEnrichment(models.Model):
    """One channel of one run item: its frozen order and how far it fell."""

    class State(models.TextChoices):
        """pending is the only one that is not final; not_needed was filled by somebody else meanwhile."""

        PENDING = "pending", "Searching"
        FOUND = "found", "Found"
        NOT_FOUND = "not_found", "Not found"
        FAILED = "failed", "Failed"
        STOPPED = "stopped", "Stopped"
        NOT_NEEDED = "not_needed", "Already there"

    item = models.ForeignKey(RunItem, on_delete=models.CASCADE, related_name="channels")
    channel = models.CharField(max_length=16, choices=Channel.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    # The order when the run was started: [{"provider": 3, "slug": "hunter", "name": "Hunter",
    # "skip": "" | why it is not asked, "skip_code": "" | a code}], top first.
    plan = models.JSONField()
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, null=True, related_name="+")
    contact_point = models.OneToOneField(
        ContactPoint, on_delete=models.PROTECT, null=True, related_name="channel_enrichment"
    )
    charge = models.OneToOneField(
        LedgerEntry, on_delete=models.PROTECT, null=True, related_name="channel_enrichment"
    )
    credits = models.PositiveIntegerField(default=0)
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["item", "channel"], name="channel_enrichment_once"),
            models.CheckConstraint(
                condition=Q(state="found", contact_point__isnull=False)
                | (~Q(state="found") & Q(contact_point__isnull=True, charge__isnull=True, credits=0)),
                name="channel_enrichment_charged_only_if_found",
            ),
            models.CheckConstraint(
                condition=Q(credits=0) | Q(charge__isnull=False),
                name="channel_enrichment_credits_have_a_charge",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel} of item {self.item_id}"


class VendorCall(models.Model):
    """One request to a vendor, written before it is made, so that an invoice can be checked line by line."""

    class State(models.TextChoices):
        """unknown: we do not know whether it was answered; stale: answered after the lease was lost."""

        INTENT = "intent", "Asked"
        ANSWERED = "answered", "Answered"
        FAILED = "failed", "Failed"
        UNKNOWN = "unknown", "Unknown"
        STALE = "stale", "Too late"

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    item = models.ForeignKey(RunItem, on_delete=models.CASCADE, related_name="calls")
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="calls")
    attempt = models.PositiveSmallIntegerField()
    fence = models.PositiveIntegerField()
    # Sent along as the request id, and the same again when an unknown call is repeated.
    reference = models.CharField(max_length=60)
    channels = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.INTENT)
    # The adapter's Answer as JSON when answered; the error's code and message when failed.
    answer = models.JSONField(null=True, blank=True)
    error_code = models.CharField(max_length=20, blank=True)
    error_message = models.CharField(max_length=300, blank=True)
    retry_at = models.DateTimeField(null=True, blank=True)
    vendor_cost = models.DecimalField(max_digits=12, decimal_places=4, null=True, blank=True)
    latency_ms = models.PositiveIntegerField(null=True, blank=True)
    asked_at = models.DateTimeField(db_default=Now())
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["item", "provider", "attempt"], name="vendor_call_once"),
            models.UniqueConstraint(
                fields=["item", "provider"], condition=Q(state="answered"), name="vendor_call_one_answer"
            ),
        ]
        indexes = [models.Index(fields=["provider", "-id"], name="vendor_call_by_provider")]

    def __str__(self) -> str:
        return self.reference


class Lookup(models.Model):
    """What one provider said about one channel of one lead."""

    class Result(models.TextChoices):
        """A miss is not an error, an unusable answer is neither."""

        FOUND = "found", "Found"
        NOT_FOUND = "not_found", "No match"
        UNUSABLE = "unusable", "Not usable"
        ERROR = "error", "Failed"
        SKIPPED = "skipped", "Skipped"

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    item = models.ForeignKey(RunItem, on_delete=models.CASCADE, related_name="lookups")
    lead = models.ForeignKey(Lead, on_delete=models.CASCADE, related_name="lookups")
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="lookups")
    channel = models.CharField(max_length=16, choices=Channel.choices)
    # Providers already asked for this channel in this run.
    depth = models.PositiveSmallIntegerField()
    result = models.CharField(max_length=10, choices=Result.choices)
    # A code for machines and the sentence a rep reads.
    reason = models.CharField(max_length=40, blank=True)
    message = models.CharField(max_length=300, blank=True)
    # The found or refused value's normal form, so that the same answer is recognised again.
    normalized = models.CharField(max_length=500, blank=True)
    credits = models.PositiveIntegerField(default=0)
    latency_ms = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["item", "provider", "channel"], name="lookup_once"),
        ]
        indexes = [
            models.Index(fields=["lead", "-id"], name="lookup_by_lead"),
            models.Index(fields=["provider", "channel", "-id"], name="lookup_by_provider"),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.result}"


class ScheduledTask(models.Model):
    """The one row per periodic task that keeps two schedulers from doing it at once."""

    name = models.CharField(max_length=60, primary_key=True)
    ran_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name
