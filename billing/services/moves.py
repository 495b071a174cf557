"""The four writes every movement of credits is made of, in the order in which they take their locks."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from django.db import connection

from billing.exceptions import KeyConflict
from billing.models import LedgerEntry
from core.channels import Channel
from workspaces.models import Workspace

MAX_KEY = 140


@dataclass(frozen=True, slots=True)
class Move:
    """One entry to be written. The order of the fields is the order of the columns in INSERT_ENTRIES."""

    workspace_id: int
    kind: str
    source: str
    target: str
    amount: int
    key: str
    fingerprint: str
    hold_id: int | None = None
    refunds_id: int | None = None
    channel: str = ""
    provider: str = ""
    note: str = ""
    actor_id: int | None = None


INSERT_ENTRIES = """
    INSERT INTO billing_ledgerentry
        (workspace_id, kind, source, target, amount, key, fingerprint,
         hold_id, refunds_id, channel, provider, note, actor_id)
    SELECT *
      FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[],
                  %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::bigint[])
    ON CONFLICT DO NOTHING
    RETURNING id, workspace_id, key, created_at
"""

# An unlimited period stays so; a limited one comes down to its wish as soon as what is used allows.
MOVE_PERIOD = """
    UPDATE billing_budgetperiod
       SET reserved = reserved + %(reserved)s,
           spent = spent + %(spent)s,
           hard_limit = CASE WHEN hard_limit IS NOT NULL AND %(reserved)s + %(spent)s < 0
                             THEN GREATEST(monthly_limit, reserved + spent + %(reserved)s + %(spent)s)
                             ELSE hard_limit END
     WHERE id = %(id)s
       AND (%(reserved)s + %(spent)s <= 0 OR hard_limit IS NULL
            OR reserved + spent + %(reserved)s + %(spent)s <= hard_limit)
"""

MOVE_ACCOUNT = """
    UPDATE billing_creditaccount
       SET available = available + %(available)s, held = held + %(held)s, spent = spent + %(spent)s,
           expired = expired + %(expired)s, issued = issued + %(issued)s
     WHERE workspace_id = %(workspace)s
       AND available + %(available)s >= 0 AND held + %(held)s >= 0 AND spent + %(spent)s >= 0
"""

BUCKETS = ("available", "held", "spent", "expired", "issued")


def insert_entries(moves: Sequence[Move]) -> list[LedgerEntry]:
    """Write the entries whose key is new, in order; returns those written. A twin's entry is not an error."""
    if not moves:
        return []
    columns = [[getattr(move, field.name) for move in moves] for field in fields(Move)]
    with connection.cursor() as cursor:
        cursor.execute(INSERT_ENTRIES, columns)
        written = {(workspace, key): (pk, at) for pk, workspace, key, at in cursor.fetchall()}
    entries = []
    for move in moves:
        # Popped: of twins within one call only the first was written.
        if (found := written.pop((move.workspace_id, move.key), None)) is not None:
            values = {field.name: getattr(move, field.name) for field in fields(Move)}
            entries.append(LedgerEntry(id=found[0], created_at=found[1], **values))
    for entry in entries:
        entry._state.adding, entry._state.db = False, "default"
    return entries


def move_period(period_id: int | None, *, reserved: int = 0, spent: int = 0) -> bool:
    """Move credits within a budget period; False (and nothing moved) where that would pass its limit."""
    if period_id is None or not (reserved or spent):
        return True
    with connection.cursor() as cursor:
        cursor.execute(MOVE_PERIOD, {"id": period_id, "reserved": reserved, "spent": spent})
        return cursor.rowcount == 1


def move_account(workspace_id: int, **changes: int) -> bool:
    """Move credits between the account's buckets; False (and nothing moved) where one would go negative."""
    unknown = set(changes) - set(BUCKETS)
    if unknown:
        raise ValueError(f"no such bucket: {', '.join(sorted(unknown))}")
    parameters = {"workspace": workspace_id, **dict.fromkeys(BUCKETS, 0), **changes}
    with connection.cursor() as cursor:
        cursor.execute(MOVE_ACCOUNT, parameters)
        return cursor.rowcount == 1


def fingerprint_of(**inputs: Any) -> str:
    """A short proof that two calls with one key asked for the same."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def check_key(key: str) -> str:
    """Return ``key``; ValueError where it could not be stored whole."""
    if not key or len(key) > MAX_KEY:
        raise ValueError(f"a key has 1 to {MAX_KEY} characters")
    return key


def entry_with_key(workspace: Workspace | int, key: str, fingerprint: str) -> LedgerEntry:
    """The entry already written under ``key``; KeyConflict if it was written for other inputs."""
    workspace_id = workspace if isinstance(workspace, int) else workspace.pk
    entry = LedgerEntry.objects.get(workspace_id=workspace_id, key=key)
    if entry.fingerprint != fingerprint:
        raise KeyConflict
    return entry


def sums_by(rows: Iterable[tuple[int | None, int]]) -> list[tuple[int | None, int]]:
    """Amounts added up by id, ascending: the order in which rows of one table are locked."""
    sums: dict[int | None, int] = {}
    for key, amount in rows:
        sums[key] = sums.get(key, 0) + amount
    return sorted(sums.items(), key=lambda item: item[0] or 0)


def as_json(prices: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Prices as they come back from the database; ValueError for an unknown channel or a negative price."""
    plain = {
        Channel(channel).value: {str(slug): int(n) for slug, n in by.items()}
        for channel, by in prices.items()
    }
    if any(price < 0 for by_provider in plain.values() for price in by_provider.values()):
        raise ValueError("a price is not negative")
    return plain
