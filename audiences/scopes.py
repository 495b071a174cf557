"""Required channels in set-based SQL: what each lead's audiences ask for, now and if a scope changed.

A lead's ``required_channels`` is the union of the scopes of its audiences, or its workspace's default when
it is in none. Everything that changes a scope or a membership first locks its workspace's row, so two changes
for one lead follow each other and the later recomputation sees the earlier change.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from audiences.models import Audience
from leads.models import Lead
from workspaces.models import Workspace

_IN_AUDIENCE = "lead.id IN (SELECT lead_id FROM audiences_membership WHERE audience_id = %(audience)s)"
_IN_NO_AUDIENCE = "NOT EXISTS (SELECT FROM audiences_membership m WHERE m.lead_id = lead.id)"
_LISTED = "lead.id = ANY(%(lead_ids)s::bigint[])"

# Locks the leads that change in ascending id, the order in which everything locks several leads.
_REFRESH = """
WITH stale AS (
    SELECT lead.id, fresh.mask
    FROM leads_lead lead
    JOIN (
        SELECT lead.id, COALESCE(bit_or(audience.required_channels), workspace.default_channels) AS mask
        FROM leads_lead lead
        JOIN workspaces_workspace workspace ON workspace.id = lead.workspace_id
        LEFT JOIN audiences_membership membership ON membership.lead_id = lead.id
        LEFT JOIN audiences_audience audience ON audience.id = membership.audience_id
        WHERE lead.workspace_id = %(workspace)s AND {which}
        GROUP BY lead.id, workspace.default_channels
    ) AS fresh ON fresh.id = lead.id
    WHERE lead.required_channels <> fresh.mask
    ORDER BY lead.id
    FOR NO KEY UPDATE OF lead
)
UPDATE leads_lead AS target SET required_channels = stale.mask, updated_at = now()
FROM stale
WHERE target.id = stale.id
"""

# What the others of a member's audiences require stays; only this audience's part is exchanged.
_PREVIEW = """
SELECT before, CASE
    WHEN needed & present_channels = needed THEN 'full'
    WHEN needed & present_channels = 0 THEN 'empty'
    ELSE 'partial' END AS after, count(*)
FROM (
    SELECT lead.enrichment_status AS before, lead.present_channels, %(mask)s | COALESCE((
        SELECT bit_or(other.required_channels)
        FROM audiences_membership membership
        JOIN audiences_audience other ON other.id = membership.audience_id
        WHERE membership.lead_id = lead.id AND other.id <> %(audience)s
    ), 0) AS needed
    FROM leads_lead lead
    WHERE lead.workspace_id = %(workspace)s AND {which}
) AS member
GROUP BY before, after
"""


@dataclass(frozen=True)
class ScopeChange:
    """How a change of scope would move leads between statuses: ``moves[before, after]`` is a count."""

    moves: dict[tuple[str, str], int]

    def before(self, status: str) -> int:
        """Leads that have ``status`` now."""
        return sum(count for (old, _), count in self.moves.items() if old == status)

    def after(self, status: str) -> int:
        """Leads that would have ``status``."""
        return sum(count for (_, new), count in self.moves.items() if new == status)

    def becoming(self, status: str) -> int:
        """Leads that would come to ``status`` from another one."""
        return sum(count for (old, new), count in self.moves.items() if new == status != old)

    @property
    def sentence(self) -> str:
        """What the change does, such as "Changing this makes 418 leads partial."."""
        parts = [
            f"{count:,} {'lead' if count == 1 else 'leads'} {status.label.lower()}"
            for status in Lead.Status
            if (count := self.becoming(status))
        ]
        if not parts:
            return "Changing this moves no lead to another status."
        return f"Changing this makes {' and '.join(parts) if len(parts) < 3 else ', '.join(parts)}."


def refresh_members(*, audience: Audience) -> int:
    """Recompute what each member of ``audience`` requires; the number of leads that changed."""
    return _refresh(audience.workspace_id, _IN_AUDIENCE, audience=audience.pk)


def refresh_listed(*, workspace: Workspace, lead_ids: Sequence[int]) -> int:
    """Recompute what these leads of ``workspace`` require; the number of leads that changed."""
    return _refresh(workspace.pk, _LISTED, lead_ids=list(lead_ids))


def refresh_unassigned(*, workspace: Workspace) -> int:
    """Recompute the leads that are in no audience; the number of leads that changed."""
    return _refresh(workspace.pk, _IN_NO_AUDIENCE)


def _refresh(workspace_id: int, which: str, **parameters: object) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_REFRESH.format(which=which), {"workspace": workspace_id, **parameters})
        return cursor.rowcount


def preview_members(*, audience: Audience, mask: int) -> ScopeChange:
    """What ``mask`` as the scope of ``audience`` would do to its members."""
    return _preview(audience.workspace_id, _IN_AUDIENCE, mask=mask, audience=audience.pk)


def preview_unassigned(*, workspace: Workspace, mask: int) -> ScopeChange:
    """What ``mask`` as the workspace's default would do to the leads in no audience."""
    return _preview(workspace.pk, _IN_NO_AUDIENCE, mask=mask, audience=0)


def _preview(workspace_id: int, which: str, **parameters: object) -> ScopeChange:
    with connection.cursor() as cursor:
        cursor.execute(_PREVIEW.format(which=which), {"workspace": workspace_id, **parameters})
        return ScopeChange({(before, after): count for before, after, count in cursor.fetchall()})
