"""Proves the promises about credits and runs on a live database: the rules and the rows that break them."""

import logging

from django.db import connection

from billing import services as billing
from billing.services import Fault

logger = logging.getLogger(__name__)

# Each rule: its name and a query for the rows that break it (workspace id, row, text). One statement each: it sees
# one moment. A lease whose row is locked is in somebody's hands: it is being written, extended or returned.
RULES: tuple[tuple[str, str], ...] = (
    (
        "charged if and only if delivered",
        """
        SELECT entry.workspace_id, 'ledger entry ' || entry.id, 'a charge without its contact point'
          FROM billing_ledgerentry entry
          LEFT JOIN enrichment_channelenrichment channel ON channel.charge_id = entry.id
          LEFT JOIN enrichment_runitem item ON item.id = channel.item_id
          LEFT JOIN leads_contactpoint point ON point.id = channel.contact_point_id
         WHERE entry.kind = 'capture'
           AND (point.id IS NULL OR item.hold_id IS DISTINCT FROM entry.hold_id
                OR channel.channel <> entry.channel OR channel.credits <> entry.amount
                OR point.channel <> entry.channel OR point.workspace_id <> entry.workspace_id
                OR item.workspace_id <> entry.workspace_id OR point.lead_id <> item.lead_id)
        """,
    ),
    (
        "charged if and only if delivered",
        """
        SELECT item.workspace_id, 'channel enrichment ' || channel.id, 'a found value that was not charged'
          FROM enrichment_channelenrichment channel
          JOIN enrichment_runitem item ON item.id = channel.item_id
          JOIN billing_hold hold ON hold.id = item.hold_id
          JOIN enrichment_provider provider ON provider.id = channel.provider_id
         WHERE channel.state = 'found' AND channel.charge_id IS NULL
           AND COALESCE((hold.prices -> channel.channel ->> provider.slug)::bigint, -1) <> 0
        """,
    ),
    (
        "an ended item has no open hold",
        """
        SELECT item.workspace_id, 'run item ' || item.id, 'ended with its hold still open'
          FROM enrichment_runitem item
          JOIN billing_hold hold ON hold.id = item.hold_id
         WHERE item.state IN ('done', 'failed', 'cancelled') AND hold.state = 'open'
        """,
    ),
    (
        "an open hold has an owner",
        """
        SELECT hold.workspace_id, 'hold ' || hold.id, 'open and owned by nobody'
          FROM billing_hold hold
          LEFT JOIN enrichment_runitem item ON item.hold_id = hold.id
         WHERE hold.state = 'open' AND item.id IS NULL
        """,
    ),
    (
        "a lost lease is returned within two minutes",
        """
        SELECT item.workspace_id, 'run item ' || item.id, 'its lease ran out over two minutes ago'
          FROM enrichment_runitem item
         WHERE item.state = 'running' AND item.lease_until < clock_timestamp() - interval '2 minutes'
           FOR UPDATE OF item SKIP LOCKED
        """,
    ),
    (
        "a paid call is settled",
        """
        SELECT call.workspace_id, 'vendor call ' || call.id, 'answered, but its item ended without a look-up of it'
          FROM enrichment_vendorcall call
          JOIN enrichment_runitem item ON item.id = call.item_id
         WHERE call.state = 'answered' AND item.state IN ('done', 'failed')
           AND NOT EXISTS (SELECT 1 FROM enrichment_lookup lookup
                            WHERE lookup.item_id = call.item_id AND lookup.provider_id = call.provider_id)
           AND NOT EXISTS (SELECT 1 FROM enrichment_channelenrichment channel
                            WHERE channel.item_id = call.item_id AND channel.state IN ('found', 'not_needed'))
        """,
    ),
    (
        "a provider answers at most once per item",
        """
        SELECT call.workspace_id, 'run item ' || call.item_id, 'asked provider ' || call.provider_id || ' too often'
          FROM enrichment_vendorcall call
         WHERE call.state IN ('answered', 'unknown', 'stale')
         GROUP BY call.workspace_id, call.item_id, call.provider_id
        HAVING count(*) FILTER (WHERE call.state = 'answered') > 1 OR count(*) > 3
        """,
    ),
    (
        "present channels are the active contact points",
        """
        SELECT lead.workspace_id, 'lead ' || lead.id, 'its present channels are not its active contact points'
          FROM leads_lead lead
          LEFT JOIN (SELECT lead_id, sum(CASE channel WHEN 'work_email' THEN 1 WHEN 'personal_email' THEN 2
                                                      WHEN 'phone' THEN 4 WHEN 'linkedin_url' THEN 8 END) AS mask
                       FROM leads_contactpoint WHERE state = 'active' GROUP BY lead_id) AS point
            ON point.lead_id = lead.id
         WHERE lead.present_channels <> COALESCE(point.mask, 0)
        """,
    ),
    (
        "required channels are the audiences' scopes",
        """
        SELECT lead.workspace_id, 'lead ' || lead.id, 'its required channels are not what its audiences require'
          FROM leads_lead lead
          JOIN workspaces_workspace workspace ON workspace.id = lead.workspace_id
          LEFT JOIN (SELECT membership.lead_id, bit_or(audience.required_channels) AS mask
                       FROM audiences_membership membership
                       JOIN audiences_audience audience ON audience.id = membership.audience_id
                      GROUP BY membership.lead_id) AS scope
            ON scope.lead_id = lead.id
         WHERE lead.required_channels <> COALESCE(scope.mask, workspace.default_channels)
        """,
    ),
)


def find_faults() -> list[Fault]:
    """Every row that breaks a rule, billing's own rules included; an empty list is the proof."""
    faults = list(billing.find_ledger_faults())
    with connection.cursor() as cursor:
        for rule, sql in RULES:
            cursor.execute(sql)
            faults += [Fault(rule, row, text, workspace) for workspace, row, text in cursor.fetchall()]
    return faults


def check_ledgers() -> None:
    """Find faults; each workspace that has one stops reserving credits until an admin looked."""
    for workspace_id, fault in {fault.workspace_id: fault for fault in find_faults()}.items():
        logger.error(
            "Ledger check, workspace %s: %s, %s: %s", workspace_id, fault.rule, fault.row, fault.text
        )
        billing.freeze_account(workspace_id=workspace_id, reason=f"{fault.rule}: {fault.row}")
