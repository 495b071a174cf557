"""Creates workspaces and members, changes roles and passwords, and records who changed what."""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.tokens import default_token_generator
from django.db import IntegrityError, transaction
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode

from workspaces.exceptions import MemberError
from workspaces.models import AuditEvent, Membership, User, Workspace


@dataclass(frozen=True)
class PasswordLink:
    """The two parts of a URL with which a new person chooses a password, once, within three days."""

    uid: str
    token: str


@transaction.atomic
def create_workspace(*, name: str, admin: User | None = None, timezone: str = "UTC") -> Workspace:
    """Create a workspace, with ``admin`` as its first member where given."""
    workspace = Workspace.objects.create(name=name, timezone=timezone)
    if admin is not None:
        add_member(workspace=workspace, user=admin, role=Membership.Role.ADMIN)
    return workspace


def lock_workspace(*, workspace: Workspace) -> Workspace:
    """Lock the workspace's row until the transaction ends, and return it as it is now.

    Changes that must follow each other within a workspace (members, audiences, default channels) begin
    with it, before they lock any lead. Rows may still be added to the workspace meanwhile.
    """
    return Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)


def add_member(*, workspace: Workspace, user: User, role: str) -> Membership:
    """Make ``user`` a member with ``role``; an existing member keeps one row and gets the new role."""
    membership, _ = Membership.objects.update_or_create(
        workspace=workspace, user=user, defaults={"role": role}
    )
    return membership


@transaction.atomic
def invite_member(
    *, workspace: Workspace, email: str, role: str, actor: User
) -> tuple[Membership, PasswordLink | None]:
    """Add the person with this e-mail; someone new also gets the link to choose a password.

    MemberError: already a member. No link is made for an account that has a password or belongs to
    another workspace too, for whoever holds the link becomes that person.
    """
    lock_workspace(workspace=workspace)
    user = _find_or_create_user(email.strip().lower())
    if Membership.objects.filter(workspace=workspace, user=user).exists():
        raise MemberError(f"{user.email} is already a member.")
    membership = add_member(workspace=workspace, user=user, role=role)
    record_audit(workspace=workspace, actor=actor, action="member.added", object_label=user.email, role=role)
    return membership, _new_password_link(membership)


@transaction.atomic
def renew_password_link(*, membership: Membership, actor: User) -> PasswordLink:
    """Make another link for a member who never chose a password; earlier links stop working.

    MemberError: the person has a password, or is in another workspace too.
    """
    lock_workspace(workspace=membership.workspace)
    link = _new_password_link(membership)
    if link is None:
        raise MemberError(f"{membership.user} signs in already, or belongs to another workspace too.")
    record_audit(
        workspace=membership.workspace,
        actor=actor,
        action="member.link_renewed",
        object_label=membership.user.email,
    )
    return link


@transaction.atomic
def change_role(*, membership: Membership, role: str, actor: User) -> Membership:
    """Give a member another role, at once. MemberError: the workspace would be left without an admin."""
    current = _locked(membership)
    before = current.role
    if role == before:
        return current
    if before == Membership.Role.ADMIN:
        _keep_an_admin(current)
    current.role = role
    current.save(update_fields=["role"])
    record_audit(
        workspace=current.workspace,
        actor=actor,
        action="member.role_changed",
        object_label=current.user.email,
        before=before,
        after=role,
    )
    return current


@transaction.atomic
def remove_member(*, membership: Membership, actor: User) -> None:
    """End a membership, at once. MemberError: the workspace would be left without an admin."""
    current = _locked(membership)
    if current.role == Membership.Role.ADMIN:
        _keep_an_admin(current)
    current.delete()
    record_audit(
        workspace=current.workspace,
        actor=actor,
        action="member.removed",
        object_label=current.user.email,
        role=current.role,
    )


def find_user_of_link(*, uid: str, token: str) -> User | None:
    """The person a password link is for; None for a link that was used, replaced, too old or made up."""
    try:
        user = User.objects.get(pk=int(urlsafe_base64_decode(uid).decode()), is_active=True)
    except (ValueError, OverflowError, User.DoesNotExist):
        return None
    return user if default_token_generator.check_token(user, token) else None


@transaction.atomic
def set_password(*, user: User, password: str, workspace: Workspace | None = None) -> None:
    """Give ``user`` a new password; every session signed in with the old one ends.

    Recorded in the workspace the person acts in, where there is one.
    """
    user.set_password(password)
    user.save(update_fields=["password"])
    if workspace is not None:
        record_audit(workspace=workspace, actor=user, action="member.password_set", object_label=user.email)


def record_audit(
    *, workspace: Workspace, actor: User | None, action: str, object_label: str = "", **details: Any
) -> AuditEvent:
    """Record an admin's change. ``action`` is dotted and past tense; ``details`` never hold a secret."""
    return AuditEvent.objects.create(
        workspace=workspace, actor=actor, action=action, object_label=object_label[:200], details=details
    )


def _find_or_create_user(email: str) -> User:
    if user := User.objects.filter(email=email).first():
        return user
    try:
        with transaction.atomic():
            return User.objects.create_user(email=email)
    except IntegrityError:  # added by another workspace at this moment
        return User.objects.get(email=email)


def _new_password_link(membership: Membership) -> PasswordLink | None:
    user = User.objects.select_for_update().get(pk=membership.user_id)
    elsewhere = Membership.objects.filter(user=user).exclude(pk=membership.pk)
    if user.has_usable_password() or elsewhere.exists():
        return None
    user.set_unusable_password()  # its random part is in the token: earlier links end here
    user.save(update_fields=["password"])
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    return PasswordLink(uid=uid, token=default_token_generator.make_token(user))


def _locked(membership: Membership) -> Membership:
    """The membership as earlier changes left it, with later ones kept waiting."""
    lock_workspace(workspace=membership.workspace)
    current = Membership.objects.select_related("user", "workspace").filter(pk=membership.pk).first()
    if current is None:
        raise MemberError(f"{membership.user} is no longer a member.")
    return current


def _keep_an_admin(leaving: Membership) -> None:
    others = Membership.objects.filter(workspace=leaving.workspace, role=Membership.Role.ADMIN)
    if not others.exclude(pk=leaving.pk).exists():
        raise MemberError("A workspace needs at least one admin. Make someone else an admin first.")
