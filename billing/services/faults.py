"""Proves the books on a live database: each rule is one query for the rows that break it."""

from dataclasses import dataclass

from django.db import connection

from workspaces.models import Workspace


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that breaks a rule, in words an admin can act on."""

    rule: str
    row: str
    text: str
    workspace_id: int


# Each rule: its name and a query for (workspace id, row, text). All of them are asked in one statement: it
# sees one moment, and every move of credits commits whole, so no rule trips over work in flight.
RULES: tuple[tuple[str, str], ...] = (
    (
        "credits are conserved",
        """
        SELECT workspace_id, 'account ' || id,
               available + held + spent + expired || ' credits in the buckets, ' || issued || ' issued'
          FROM billing_creditaccount
         WHERE available + held + spent + expired <> issued
        """,
    ),
    (
        "the account is the sum of its entries",
        """
        SELECT COALESCE(account.workspace_id, booked.workspace_id), 'account ' || COALESCE(account.id, 0),
               bucket.name || ' is ' || bucket.actual || ', its entries come to ' || bucket.booked
          FROM billing_creditaccount account
          FULL JOIN (
               SELECT workspace_id,
                      SUM(amount * ((target = 'available')::int - (source = 'available')::int)) AS available,
                      SUM(amount * ((target = 'held')::int - (source = 'held')::int)) AS held,
                      SUM(amount * ((target = 'spent')::int - (source = 'spent')::int)) AS spent,
                      SUM(amount * ((target = 'expired')::int - (source = 'expired')::int)) AS expired,
                      SUM(amount * ((source = 'issuer')::int - (target = 'issuer')::int)) AS issued
                 FROM billing_ledgerentry
                GROUP BY workspace_id) booked ON booked.workspace_id = account.workspace_id
         CROSS JOIN LATERAL (
               VALUES ('available', COALESCE(account.available, 0), COALESCE(booked.available, 0)),
                      ('held', COALESCE(account.held, 0), COALESCE(booked.held, 0)),
                      ('spent', COALESCE(account.spent, 0), COALESCE(booked.spent, 0)),
                      ('expired', COALESCE(account.expired, 0), COALESCE(booked.expired, 0)),
                      ('issued', COALESCE(account.issued, 0), COALESCE(booked.issued, 0))
               ) AS bucket (name, actual, booked)
         WHERE bucket.actual <> bucket.booked
        """,
    ),
    (
        "a hold is the sum of its entries",
        """
        SELECT hold.workspace_id, 'hold ' || hold.id,
               'says ' || hold.reserved || ' reserved, ' || hold.captured || ' captured, '
               || hold.released || ' released; its entries say ' || COALESCE(booked.reserved, 0) || ', '
               || COALESCE(booked.captured, 0) || ', ' || COALESCE(booked.released, 0)
          FROM billing_hold hold
          LEFT JOIN (
               SELECT hold_id,
                      SUM(amount) FILTER (WHERE kind = 'reserve') AS reserved,
                      SUM(amount) FILTER (WHERE kind = 'capture') AS captured,
                      SUM(amount) FILTER (WHERE kind = 'release') AS released
                 FROM billing_ledgerentry
                WHERE hold_id IS NOT NULL
                GROUP BY hold_id) booked ON booked.hold_id = hold.id
         WHERE hold.reserved <> COALESCE(booked.reserved, 0)
            OR hold.captured <> COALESCE(booked.captured, 0)
            OR hold.released <> COALESCE(booked.released, 0)
        """,
    ),
    (
        "an entry and its hold share a workspace",
        """
        SELECT entry.workspace_id, 'entry ' || entry.id, 'belongs to a hold of workspace ' || hold.workspace_id
          FROM billing_ledgerentry entry
          JOIN billing_hold hold ON hold.id = entry.hold_id
         WHERE hold.workspace_id <> entry.workspace_id
        """,
    ),
    (
        "what is held is the sum of open holds",
        """
        SELECT account.workspace_id, 'account ' || account.id,
               account.held || ' held, open holds come to ' || COALESCE(open.remaining, 0)
          FROM billing_creditaccount account
          LEFT JOIN (
               SELECT workspace_id, SUM(reserved - captured - released) AS remaining
                 FROM billing_hold
                WHERE state = 'open'
                GROUP BY workspace_id) open ON open.workspace_id = account.workspace_id
         WHERE account.held <> COALESCE(open.remaining, 0)
        """,
    ),
    (
        "a period is the sum of its holds",
        """
        SELECT period.workspace_id, 'budget period ' || period.id,
               'says ' || period.reserved || ' reserved and ' || period.spent || ' spent; its holds say '
               || COALESCE(used.reserved, 0) || ' and ' || COALESCE(used.spent, 0) - COALESCE(back.refunded, 0)
          FROM billing_budgetperiod period
          LEFT JOIN (
               SELECT period_id, SUM(reserved - captured - released) AS reserved, SUM(captured) AS spent
                 FROM billing_hold
                GROUP BY period_id) used ON used.period_id = period.id
          LEFT JOIN (
               SELECT hold.period_id, SUM(refund.amount) AS refunded
                 FROM billing_ledgerentry refund
                 JOIN billing_hold hold ON hold.id = refund.hold_id
                WHERE refund.kind = 'refund'
                GROUP BY hold.period_id) back ON back.period_id = period.id
         WHERE period.reserved <> COALESCE(used.reserved, 0)
            OR period.spent <> COALESCE(used.spent, 0) - COALESCE(back.refunded, 0)
        """,
    ),
    (
        "a hold and its period share a workspace",
        """
        SELECT hold.workspace_id, 'hold ' || hold.id, 'counts to a period of workspace ' || period.workspace_id
          FROM billing_hold hold
          JOIN billing_budgetperiod period ON period.id = hold.period_id
         WHERE period.workspace_id <> hold.workspace_id
        """,
    ),
    (
        "one charge per hold and channel",
        """
        SELECT MIN(workspace_id), 'hold ' || hold_id, COUNT(*) || ' charges for ' || channel
          FROM billing_ledgerentry
         WHERE kind = 'capture'
         GROUP BY hold_id, channel
        HAVING COUNT(*) > 1
        """,
    ),
    (
        "a charge is the price its hold froze",
        """
        SELECT entry.workspace_id, 'entry ' || entry.id,
               entry.amount || ' credits for ' || entry.channel || ' from ' || entry.provider || ', agreed were '
               || COALESCE(hold.prices -> entry.channel ->> entry.provider, 'none')
          FROM billing_ledgerentry entry
          JOIN billing_hold hold ON hold.id = entry.hold_id
         WHERE entry.kind = 'capture'
           AND entry.amount IS DISTINCT FROM (hold.prices -> entry.channel ->> entry.provider)::bigint
        """,
    ),
    (
        "a closed hold has no rest",
        """
        SELECT workspace_id, 'hold ' || id, 'closed with ' || reserved - captured - released || ' credits left'
          FROM billing_hold
         WHERE state = 'closed' AND reserved <> captured + released
        """,
    ),
    (
        "a refund is at most its charge",
        """
        SELECT refund.workspace_id, 'entry ' || refund.id,
               refund.amount || ' refunded of a ' || charge.kind || ' of ' || charge.amount
          FROM billing_ledgerentry refund
          JOIN billing_ledgerentry charge ON charge.id = refund.refunds_id
         WHERE refund.amount > charge.amount OR charge.kind <> 'capture'
            OR charge.workspace_id <> refund.workspace_id
            OR charge.hold_id IS DISTINCT FROM refund.hold_id
        """,
    ),
    (
        "one refund per charge",
        """
        SELECT MIN(workspace_id), 'entry ' || refunds_id, 'refunded ' || COUNT(*) || ' times'
          FROM billing_ledgerentry
         WHERE refunds_id IS NOT NULL
         GROUP BY refunds_id
        HAVING COUNT(*) > 1
        """,
    ),
    (
        "nothing is overspent",
        """
        SELECT workspace_id, 'account ' || id, 'a bucket is negative'
          FROM billing_creditaccount
         WHERE available < 0 OR held < 0 OR spent < 0 OR expired < 0
        """,
    ),
    (
        "nothing is overspent",
        """
        SELECT workspace_id, 'hold ' || id, 'more was charged and released than reserved'
          FROM billing_hold
         WHERE captured + released > reserved OR captured < 0 OR released < 0
        """,
    ),
    (
        "nothing is overspent",
        """
        SELECT workspace_id, 'budget period ' || id,
               reserved + spent || ' credits used of at most ' || COALESCE(hard_limit::text, 'any number')
          FROM billing_budgetperiod
         WHERE reserved + spent > hard_limit OR reserved < 0 OR spent < 0
            OR hard_limit <> GREATEST(monthly_limit, reserved + spent)
        """,
    ),
)


ALL_RULES = " UNION ALL ".join(
    f"SELECT {number}, workspace_id, fault, text FROM ({sql}) AS found (workspace_id, fault, text)"  # noqa: S608
    for number, (_, sql) in enumerate(RULES)
)


def find_ledger_faults(workspace: Workspace | None = None) -> list[Fault]:
    """Every row that breaks a rule of the ledger, in one workspace or in all; an empty list is the proof."""
    workspace_id = workspace.pk if workspace else None
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT * FROM ({ALL_RULES}) AS faults (rule, workspace_id, fault, text)"  # noqa: S608
            " WHERE %s::bigint IS NULL OR workspace_id = %s ORDER BY rule, fault",
            [workspace_id, workspace_id],
        )
        return [Fault(RULES[number][0], row, text, owner) for number, owner, row, text in cursor.fetchall()]
