"""Workspaces, the people in them, their roles, and the trail of what they changed."""

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.db import models
from django.db.models import Exists, ExpressionWrapper, OuterRef, Q, Value
from django.db.models.functions import Coalesce, Lower, NullIf

from core.channels import ALL_CHANNELS, Channel, channels_in, mask_of


class UserManager(BaseUserManager["User"]):
    """Creates users and finds them by e-mail, whatever its capitals."""

    def create_user(self, *, email: str, password: str | None = None, name: str = "") -> "User":
        """Create a person who signs in with ``email``."""
        user = self.model(email=self.normalize_email(email).strip().lower(), name=name)
        user.set_password(password)
        user.save()
        return user

    def get_by_natural_key(self, username: str | None) -> "User":
        """Look up by e-mail, ignoring case."""
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser):
    """A person who signs in with an e-mail address."""

    email = models.EmailField(max_length=254)
    name = models.CharField(max_length=200, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_unique")]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def display_name(self) -> str:
        """The name, or the e-mail where none was given."""
        return self.name or self.email


class WorkspaceQuerySet(models.QuerySet["Workspace"]):
    """Reads of workspaces."""

    def visible_to(self, user: User) -> "WorkspaceQuerySet":
        """The workspaces ``user`` is a member of."""
        return self.filter(memberships__user=user)


def default_channel_mask() -> int:
    """A new workspace asks for a work e-mail and a LinkedIn URL."""
    return mask_of([Channel.WORK_EMAIL, Channel.LINKEDIN_URL])


class Workspace(models.Model):
    """A team's own leads, providers, credits and settings; nothing crosses its border."""

    name = models.CharField(max_length=120)
    default_channels = models.PositiveSmallIntegerField(default=default_channel_mask)
    timezone = models.CharField(max_length=64, default="UTC")
    settings = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = WorkspaceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(default_channels__gte=1, default_channels__lte=ALL_CHANNELS),
                name="workspace_requires_a_channel",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def default_channel_list(self) -> list[Channel]:
        """The channels a lead needs while it is in no audience."""
        return channels_in(self.default_channels)


class MembershipQuerySet(models.QuerySet["Membership"]):
    """Reads of memberships."""

    def with_people(self) -> "MembershipQuerySet":
        """By name, each with its person and whether a new password link may be made for them.

        Such a link makes its holder that person, so only for someone who has no password and is in no
        other workspace (``services.renew_password_link`` decides; this is for what the page offers).
        """
        elsewhere = Membership.objects.filter(user=OuterRef("user")).exclude(pk=OuterRef("pk"))
        no_password = Q(user__password__startswith=UNUSABLE_PASSWORD_PREFIX)
        return (
            self.select_related("user")
            .annotate(may_get_link=ExpressionWrapper(no_password & ~Exists(elsewhere), models.BooleanField()))
            .order_by(Lower(Coalesce(NullIf("user__name", Value("")), "user__email")), "pk")
        )


class Membership(models.Model):
    """A person's role in a workspace."""

    class Role(models.TextChoices):
        """Admins decide, reps enrich, viewers look."""

        ADMIN = "admin", "Admin"
        REP = "rep", "Rep"
        VIEWER = "viewer", "Viewer"

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.REP)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "user"], name="membership_once_per_workspace"),
            models.CheckConstraint(
                condition=models.Q(role__in=["admin", "rep", "viewer"]), name="membership_role_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.workspace} ({self.role})"

    @property
    def is_admin(self) -> bool:
        """May change providers, waterfalls, budgets, audiences' scope, members."""
        return self.role == self.Role.ADMIN

    @property
    def can_enrich(self) -> bool:
        """May spend credits: admins and reps."""
        return self.role in (self.Role.ADMIN, self.Role.REP)


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    """Reads of the audit log."""

    def in_workspace(self, workspace: Workspace) -> "AuditEventQuerySet":
        """Only this workspace's events."""
        return self.filter(workspace=workspace)

    def older_than(self, cursor: str) -> "AuditEventQuerySet":
        """Newest first, from below the event with this id; anything but an id means from the top."""
        events = self.order_by("-id")
        if cursor.isascii() and cursor.isdigit() and len(cursor) < 19:
            events = events.filter(pk__lt=int(cursor))
        return events


class AuditEvent(models.Model):
    """Who changed what, for admins to read; ``action`` is dotted and in the past tense."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="audit_events")
    actor = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    action = models.CharField(max_length=80)
    object_label = models.CharField(max_length=200, blank=True)
    details = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["workspace", "-id"], name="audit_newest_first")]

    def __str__(self) -> str:
        return f"{self.action} {self.object_label}"

    @property
    def words(self) -> str:
        """The action as a person says it: "member.role_changed" is "Member role changed"."""
        return self.action.replace(".", " ").replace("_", " ").capitalize()

    @property
    def facts(self) -> list[tuple[str, str]]:
        """The details as words and values: row numbers left out, a change as "viewer → rep"."""
        told = {
            name: ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            for name, value in self.details.items()
            if name != "audience"
        }
        facts = [(name.replace("_", " "), value) for name, value in told.items()]
        if {"before", "after"} <= told.keys():
            change = f"{told['before']} → {told['after']}"
            facts = [("", change), *(fact for fact in facts if fact[0] not in ("before", "after"))]
        return facts
