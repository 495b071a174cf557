"""Changes to audiences: their names, scopes and members, and the required channels that follow."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from audiences import scopes
from audiences.exceptions import AudienceError
from audiences.models import Audience, Membership
from audiences.pasted import find_pasted
from audiences.scopes import ScopeChange
from core.channels import channels_in, mask_of
from leads.models import Lead
from workspaces.models import User, Workspace
from workspaces.services import lock_workspace, record_audit

__all__ = [
    "Added",
    "ScopeChange",
    "add_leads",
    "add_pasted",
    "create_audience",
    "delete_audience",
    "preview_default_change",
    "preview_scope_change",
    "refresh_required_channels",
    "remove_leads",
    "rename_audience",
    "set_default_channels",
    "set_required_channels",
]

# One statement: memberships that are new, and a timeline line for each of their leads.
_ADD = """
WITH added AS (
    INSERT INTO audiences_membership (audience_id, lead_id, added_by_id, added_at)
    SELECT %(audience)s, lead.id, %(actor)s, now()
    FROM leads_lead lead
    WHERE lead.workspace_id = %(workspace)s AND lead.id = ANY(%(lead_ids)s::bigint[])
    ORDER BY lead.id
    FOR KEY SHARE OF lead
    ON CONFLICT (audience_id, lead_id) DO NOTHING
    RETURNING lead_id
)
INSERT INTO leads_leadevent (workspace_id, lead_id, kind, text, actor_id, created_at)
SELECT %(workspace)s, lead_id, 'audience.joined', %(text)s, %(actor)s, now() FROM added
RETURNING lead_id
"""

_REMOVE = """
WITH removed AS (
    DELETE FROM audiences_membership
    WHERE audience_id = %(audience)s AND lead_id = ANY(%(lead_ids)s::bigint[])
    RETURNING lead_id
)
INSERT INTO leads_leadevent (workspace_id, lead_id, kind, text, actor_id, created_at)
SELECT %(workspace)s, lead_id, 'audience.left', %(text)s, %(actor)s, now() FROM removed
RETURNING lead_id
"""


@dataclass(frozen=True)
class Added:
    """What became of the leads that were to join an audience."""

    added: int
    already: int
    ignored: int


@transaction.atomic
def create_audience(
    *, workspace: Workspace, name: str, channels: Iterable[str], actor: User | None
) -> Audience:
    """Create an empty list audience. AudienceError: no name, a name in use, or no known channel."""
    mask = _scope_of(channels)
    audience = Audience(workspace=workspace, name=_clean_name(name), required_channels=mask, created_by=actor)
    _save_name(audience)
    record_audit(
        workspace=workspace,
        actor=actor,
        action="audience.created",
        object_label=audience.name,
        audience=audience.pk,
        channels=channels_in(mask),
    )
    return audience


@transaction.atomic
def rename_audience(*, audience: Audience, name: str, actor: User | None) -> Audience:
    """Give ``audience`` another name. AudienceError: no name, or a name in use."""
    cleaned = _clean_name(name)
    _lock(audience)
    before = audience.name
    if cleaned != before:
        audience.name = cleaned
        _save_name(audience)
        record_audit(
            workspace=audience.workspace,
            actor=actor,
            action="audience.renamed",
            object_label=audience.name,
            audience=audience.pk,
            before=before,
        )
    return audience


@transaction.atomic
def set_required_channels(*, audience: Audience, channels: Iterable[str], actor: User | None) -> int:
    """Replace the scope; every member's required channels follow. The number of leads that changed."""
    mask = _scope_of(channels)
    _lock(audience)
    before = audience.required_channels
    if mask == before:
        return 0
    audience.required_channels = mask
    audience.save(update_fields=["required_channels", "updated_at"])
    changed = scopes.refresh_members(audience=audience)
    record_audit(
        workspace=audience.workspace,
        actor=actor,
        action="audience.scope_changed",
        object_label=audience.name,
        audience=audience.pk,
        before=channels_in(before),
        after=channels_in(mask),
        leads_changed=changed,
    )
    return changed


def preview_scope_change(*, audience: Audience, channels: Iterable[str]) -> ScopeChange:
    """What ``channels`` as the scope would do to the members' statuses; changes nothing."""
    return scopes.preview_members(audience=audience, mask=_scope_of(channels))


@transaction.atomic
def add_leads(*, audience: Audience, lead_ids: Iterable[int], actor: User | None) -> Added:
    """Make leads of the audience's workspace its members; ids of no such lead are counted and ignored.

    A transaction that also writes leads locks the workspace (``lock_workspace``) before them.
    """
    asked = set(lead_ids)
    wanted = _ids_of_leads(asked)
    _lock(audience)
    known = Lead.objects.in_workspace(audience.workspace).filter(pk__in=wanted).count()
    joined = _move(_ADD, audience, wanted, actor, f"Added to {audience.name}")
    scopes.refresh_listed(workspace=audience.workspace, lead_ids=joined)
    _record_move("audience.leads_added", audience, actor, joined)
    return Added(added=len(joined), already=known - len(joined), ignored=len(asked) - known)


@transaction.atomic
def add_pasted(*, audience: Audience, text: str, actor: User | None) -> tuple[Added, list[str]]:
    """Add the leads that e-mail addresses and LinkedIn URLs belong to; also returns what belongs to none."""
    pasted = find_pasted(workspace=audience.workspace, text=text)
    return add_leads(audience=audience, lead_ids=pasted.lead_ids, actor=actor), pasted.unmatched


@transaction.atomic
def remove_leads(*, audience: Audience, lead_ids: Iterable[int], actor: User | None) -> int:
    """Take leads out of the audience; the number that were members."""
    _lock(audience)
    left = _move(_REMOVE, audience, _ids_of_leads(set(lead_ids)), actor, f"Removed from {audience.name}")
    scopes.refresh_listed(workspace=audience.workspace, lead_ids=left)
    _record_move("audience.leads_removed", audience, actor, left)
    return len(left)


@transaction.atomic
def delete_audience(*, audience: Audience, actor: User | None) -> None:
    """Delete the audience; its members stay leads and require what their other audiences do."""
    _lock(audience)
    members = list(Membership.objects.filter(audience=audience).values_list("lead_id", flat=True))
    pk = audience.pk
    audience.delete()
    scopes.refresh_listed(workspace=audience.workspace, lead_ids=members)
    record_audit(
        workspace=audience.workspace,
        actor=actor,
        action="audience.deleted",
        object_label=audience.name,
        audience=pk,
        members=len(members),
        channels=audience.required_list,
    )


@transaction.atomic
def set_default_channels(*, workspace: Workspace, channels: Iterable[str], actor: User | None) -> int:
    """Replace what leads in no audience require; the number of leads that changed."""
    mask = _scope_of(channels)
    locked = lock_workspace(workspace=workspace)
    before = locked.default_channels
    if mask == before:
        return 0
    workspace.default_channels = mask
    workspace.save(update_fields=["default_channels"])
    changed = scopes.refresh_unassigned(workspace=workspace)
    record_audit(
        workspace=workspace,
        actor=actor,
        action="workspace.default_channels_changed",
        object_label=workspace.name,
        before=channels_in(before),
        after=channels_in(mask),
        leads_changed=changed,
    )
    return changed


def preview_default_change(*, workspace: Workspace, channels: Iterable[str]) -> ScopeChange:
    """What ``channels`` as the default would do to the leads in no audience; changes nothing."""
    return scopes.preview_unassigned(workspace=workspace, mask=_scope_of(channels))


@transaction.atomic
def refresh_required_channels(
    *, workspace: Workspace, lead_ids: Iterable[int] | None = None, audience: Audience | None = None
) -> int:
    """Recompute the required channels of these leads, or of an audience's members, in one UPDATE.

    For callers that create leads or move them by other means; the number of leads that changed.
    """
    lock_workspace(workspace=workspace)
    if audience is not None:
        return scopes.refresh_members(audience=audience)
    return scopes.refresh_listed(workspace=workspace, lead_ids=list(lead_ids or ()))


def _lock(audience: Audience) -> None:
    """Wait for the workspace's other changes, then read the audience as they left it."""
    lock_workspace(workspace=audience.workspace)
    try:
        audience.refresh_from_db(fields=["name", "required_channels"])
    except Audience.DoesNotExist:
        raise AudienceError("That audience has been deleted.") from None


def _ids_of_leads(lead_ids: set[int]) -> list[int]:
    return sorted(lead_id for lead_id in lead_ids if 0 < lead_id < 2**63)


def _move(sql: str, audience: Audience, lead_ids: list[int], actor: User | None, text: str) -> list[int]:
    parameters = {
        "audience": audience.pk,
        "workspace": audience.workspace_id,
        "lead_ids": lead_ids,
        "actor": actor.pk if actor else None,
        "text": text,
    }
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return [lead_id for (lead_id,) in cursor.fetchall()]


def _record_move(action: str, audience: Audience, actor: User | None, lead_ids: list[int]) -> None:
    if not lead_ids:
        return
    Audience.objects.filter(pk=audience.pk).update(updated_at=Now())
    record_audit(
        workspace=audience.workspace,
        actor=actor,
        action=action,
        object_label=audience.name,
        audience=audience.pk,
        leads=len(lead_ids),
    )


def _scope_of(channels: Iterable[str]) -> int:
    try:
        mask = mask_of(channels)
    except ValueError:
        raise AudienceError("That is not a channel.") from None
    if not mask:
        raise AudienceError("Choose at least one channel.")
    return mask


def _clean_name(name: str) -> str:
    cleaned = " ".join(name.replace("\0", "").split())
    if not cleaned:
        raise AudienceError("Give the audience a name.")
    if len(cleaned) > 120:
        raise AudienceError("A name has at most 120 characters.")
    return cleaned


def _save_name(audience: Audience) -> None:
    try:
        with transaction.atomic():
            audience.save()
    except IntegrityError:
        raise AudienceError(f"There is already an audience named {audience.name}.") from None
