"""Credits: one account per workspace, an append-only ledger of moves between its buckets, holds and rates."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from billing.querysets import INTERNAL_KINDS, LedgerEntryQuerySet
from core.channels import Channel
from workspaces.models import User, Workspace


class CreditAccount(models.Model):
    """A workspace's credits, in whole credits.

    Every credit ever issued is in exactly one bucket; the row's own CHECK keeps that true. Balances
    move only through ``billing.services``, each move with its ledger entry in the same transaction.
    """

    workspace = models.OneToOneField(Workspace, on_delete=models.PROTECT, related_name="credit_account")
    available = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    spent = models.BigIntegerField(default=0)
    expired = models.BigIntegerField(default=0)
    issued = models.BigIntegerField(default=0)
    # Set when the ledger check found a fault: nothing new is reserved until an admin has looked.
    frozen_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(available__gte=0), name="account_available_not_negative"),
            models.CheckConstraint(condition=Q(held__gte=0), name="account_held_not_negative"),
            models.CheckConstraint(condition=Q(spent__gte=0), name="account_spent_not_negative"),
            models.CheckConstraint(condition=Q(expired__gte=0), name="account_expired_not_negative"),
            models.CheckConstraint(
                condition=Q(issued=F("available") + F("held") + F("spent") + F("expired")),
                name="account_conserves_credits",
            ),
        ]

    def __str__(self) -> str:
        return f"account of workspace {self.workspace_id}"


class Rate(models.Model):
    """Credits charged for one usable contact: per channel, and per provider where it differs."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="rates")
    channel = models.CharField(max_length=16, choices=Channel.choices)
    # A provider's slug; "" is the channel's default rate.
    provider = models.CharField(max_length=60, blank=True, default="")
    # How people call that provider; billing knows providers by slug only.
    provider_name = models.CharField(max_length=80, blank=True, default="")
    credits = models.PositiveIntegerField()
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "channel", "provider"], name="rate_once"),
            models.CheckConstraint(condition=Q(channel__in=Channel.values), name="rate_channel_known"),
            models.CheckConstraint(condition=Q(credits__lte=100_000), name="rate_is_sane"),
        ]
        ordering = ["channel", "provider"]

    def __str__(self) -> str:
        return f"{self.channel} {self.provider or 'default'}: {self.credits}"

    @property
    def display_name(self) -> str:
        """How people call its provider."""
        return self.provider_name or title_of(self.provider)


class Budget(models.Model):
    """The most a workspace lets itself spend in a month; no row or no limit means no monthly limit."""

    workspace = models.OneToOneField(Workspace, on_delete=models.CASCADE, related_name="budget")
    monthly_limit = models.BigIntegerField(null=True, blank=True)
    # Day of the month the period starts; in a shorter month, its last day.
    renewal_day = models.PositiveSmallIntegerField(default=1)
    alert_percent = models.PositiveSmallIntegerField(default=80)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(monthly_limit__isnull=True) | Q(monthly_limit__gte=0),
                name="budget_limit_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(renewal_day__gte=1, renewal_day__lte=31), name="budget_renewal_day_in_month"
            ),
            models.CheckConstraint(
                condition=Q(alert_percent__gte=1, alert_percent__lte=100), name="budget_alert_is_a_percentage"
            ),
        ]

    def __str__(self) -> str:
        return f"budget of workspace {self.workspace_id}"


class BudgetPeriod(models.Model):
    """One month of a budget, created when the first credit of that month is reserved.

    ``monthly_limit`` is what the budget asks for, ``hard_limit`` what is enforced: the greater of that and
    of what is already reserved and spent, so a lowered limit stops new work and nothing else. It comes down
    to the wish as holds give back. Null means unlimited. ``spent`` is net of refunds.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="budget_periods")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    monthly_limit = models.BigIntegerField(null=True, blank=True)
    hard_limit = models.BigIntegerField(null=True, blank=True)
    reserved = models.BigIntegerField(default=0)
    spent = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "starts_at"], name="budget_period_once"),
            models.CheckConstraint(
                condition=Q(reserved__gte=0, spent__gte=0), name="budget_period_not_negative"
            ),
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="budget_period_has_length"),
            models.CheckConstraint(
                condition=Q(hard_limit__isnull=True) | Q(hard_limit__gte=F("reserved") + F("spent")),
                name="budget_period_within_limit",
            ),
            models.CheckConstraint(
                condition=Q(hard_limit__isnull=True, monthly_limit__isnull=True)
                | Q(monthly_limit__isnull=False, monthly_limit__gte=0, hard_limit__gte=F("monthly_limit")),
                name="budget_period_limit_not_below_budget",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d} of workspace {self.workspace_id}"


class Hold(models.Model):
    """Credits set aside for one piece of work before any vendor is asked.

    ``prices`` are frozen here: {"work_email": {"hunter": 4, …}, …}; what is captured for a channel is
    the frozen price of the provider that answered. The reserve is the sum of each channel's dearest.
    """

    class State(models.TextChoices):
        """Closed is final."""

        OPEN = "open", "Open"
        CLOSED = "closed", "Closed"

    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="holds", db_index=False)
    period = models.ForeignKey(BudgetPeriod, on_delete=models.PROTECT, null=True, related_name="holds")
    # What the credits are for, e.g. "run-item:118"; the same purpose is the same hold.
    purpose = models.CharField(max_length=120)
    prices = models.JSONField()
    # {"hunter": "Hunter"}: what the ledger calls the providers, frozen beside their prices.
    provider_names = models.JSONField(default=dict, blank=True)
    reserved = models.BigIntegerField()
    captured = models.BigIntegerField(default=0)
    released = models.BigIntegerField(default=0)
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    # The lead it is for, as a number and a name: the ledger's rows never change, this label may be erased.
    subject_id = models.BigIntegerField(null=True, blank=True)
    subject_label = models.CharField(max_length=250, blank=True)
    opened_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    opened_at = models.DateTimeField(db_default=Now())
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "purpose"], name="hold_once_per_purpose"),
            models.CheckConstraint(
                condition=Q(reserved__gte=0, captured__gte=0, released__gte=0), name="hold_parts_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(reserved__gte=F("captured") + F("released")), name="hold_remaining_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(state="open") | Q(reserved=F("captured") + F("released")),
                name="hold_closed_has_no_rest",
            ),
        ]
        indexes = [
            models.Index(fields=["workspace"], condition=Q(state="open"), name="hold_open"),
            models.Index(fields=["workspace", "subject_id"], name="hold_by_subject"),
        ]

    def __str__(self) -> str:
        return self.purpose

    @property
    def remaining(self) -> int:
        """Credits still set aside."""
        return self.reserved - self.captured - self.released


class LedgerEntry(models.Model):
    """One immutable move of credits between two buckets; a trigger refuses UPDATE and DELETE."""

    class Kind(models.TextChoices):
        """Why credits moved."""

        GRANT = "grant", "Grant"
        RESERVE = "reserve", "Hold"
        CAPTURE = "capture", "Charge"
        RELEASE = "release", "Release"
        REFUND = "refund", "Refund"
        EXPIRE = "expire", "Expiry"
        ADJUST = "adjust", "Adjustment"

    class Bucket(models.TextChoices):
        """Where credits are; "issuer" is outside the account."""

        ISSUER = "issuer", "Issuer"
        AVAILABLE = "available", "Available"
        HELD = "held", "Held"
        SPENT = "spent", "Spent"
        EXPIRED = "expired", "Expired"

    workspace = models.ForeignKey(
        Workspace, on_delete=models.PROTECT, related_name="ledger_entries", db_index=False
    )
    kind = models.CharField(max_length=8, choices=Kind.choices)
    source = models.CharField(max_length=10, choices=Bucket.choices)
    target = models.CharField(max_length=10, choices=Bucket.choices)
    amount = models.BigIntegerField()
    # Same key, same fingerprint: the same move, told twice. Same key, other fingerprint: a conflict.
    key = models.CharField(max_length=160)
    fingerprint = models.CharField(max_length=64)
    hold = models.ForeignKey(
        Hold, on_delete=models.PROTECT, null=True, related_name="entries", db_index=False
    )
    refunds = models.OneToOneField("self", on_delete=models.PROTECT, null=True, related_name="refund")
    channel = models.CharField(max_length=16, blank=True)
    provider = models.CharField(max_length=60, blank=True)
    note = models.CharField(max_length=200, blank=True)
    actor = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    created_at = models.DateTimeField(db_default=Now())

    objects = LedgerEntryQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "key"], name="ledger_entry_key_once"),
            models.UniqueConstraint(
                fields=["hold", "channel"], condition=Q(kind="capture"), name="ledger_entry_one_capture"
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="ledger_entry_amount_positive"),
            models.CheckConstraint(
                condition=Q(kind="grant", source="issuer", target="available")
                | Q(kind="reserve", source="available", target="held", hold__isnull=False)
                | Q(kind="capture", source="held", target="spent", hold__isnull=False)
                | Q(kind="release", source="held", target="available", hold__isnull=False)
                | Q(kind="refund", source="spent", target="available", refunds__isnull=False)
                | Q(kind="expire", source="available", target="expired")
                | Q(kind="adjust", source="issuer", target="available")
                | Q(kind="adjust", source="available", target="issuer"),
                name="ledger_entry_move_is_legal",
            ),
            models.CheckConstraint(
                condition=~Q(kind="capture") | (Q(channel__in=Channel.values) & ~Q(provider="")),
                name="ledger_entry_charge_names_its_source",
            ),
        ]
        ordering = ["-id"]
        indexes = [
            # Covers the running balance of a page: one index-only scan.
            models.Index(
                fields=["workspace", "-id"],
                include=["source", "target", "amount"],
                name="ledger_entry_newest_first",
            ),
            models.Index(fields=["workspace", "kind", "-id"], name="ledger_entry_by_kind"),
            models.Index(fields=["hold"], name="ledger_entry_by_hold"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount}"

    @property
    def effect(self) -> int:
        """What the move does to the balance (available and held together): holds and releases do nothing."""
        owned = (self.Bucket.AVAILABLE, self.Bucket.HELD)
        return self.amount * ((self.target in owned) - (self.source in owned))

    @property
    def is_internal(self) -> bool:
        """Whether it is a hold or a release: nothing was charged."""
        return self.kind in INTERNAL_KINDS

    @property
    def provider_name(self) -> str:
        """How people call the provider: as frozen on the hold, else its slug in words."""
        names = self.hold.provider_names if self.hold_id else {}
        return names.get(self.provider) or title_of(self.provider)


def title_of(slug: str) -> str:
    """A provider's slug in words: "people_data_labs" is "People Data Labs"."""
    return slug.replace("-", " ").replace("_", " ").title()
