"""Creates workspaces and members, and records who changed what."""

from typing import Any

from django.db import transaction

from workspaces.models import AuditEvent, Membership, User, Workspace


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


def record_audit(
    *, workspace: Workspace, actor: User | None, action: str, object_label: str = "", **details: Any
) -> AuditEvent:
    """Record an admin's change. ``action`` is dotted and past tense; ``details`` never hold a secret."""
    return AuditEvent.objects.create(
        workspace=workspace, actor=actor, action=action, object_label=object_label[:200], details=details
    )
