"""Who owns which run item: claims, heartbeats and returns, all by the database's clock and a fencing number."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import connection

LEASE_SECONDS = 25
MAX_CRASHES = 5

CLAIM = """
UPDATE enrichment_runitem AS item
   SET state = 'running', fence = item.fence + 1, owner = %s,
       lease_until = clock_timestamp() + make_interval(secs => %s)
  FROM (SELECT id FROM enrichment_runitem
         WHERE state = 'admitted' AND run_at <= clock_timestamp()
         ORDER BY run_at, priority, id
         LIMIT %s
           FOR UPDATE SKIP LOCKED) AS due
 WHERE item.id = due.id
RETURNING item.id, item.fence
"""

# Rows whose fence moved on are not ours any more: they are missing from what comes back.
HEARTBEAT = """
UPDATE enrichment_runitem AS item
   SET lease_until = clock_timestamp() + make_interval(secs => %s)
  FROM unnest(%s::bigint[], %s::int[]) AS mine(id, fence), enrichment_run AS run
 WHERE item.id = mine.id AND item.fence = mine.fence AND item.state = 'running' AND run.id = item.run_id
RETURNING item.id, run.state = 'cancelled'
"""

LOCK = """
SELECT item.id
  FROM enrichment_runitem AS item
  JOIN unnest(%s::bigint[], %s::int[]) AS mine(id, fence) ON item.id = mine.id AND item.fence = mine.fence
 WHERE item.state = 'running'
 ORDER BY item.id
   FOR UPDATE OF item
"""

GIVE_BACK = """
UPDATE enrichment_runitem AS item
   SET state = 'admitted', owner = '', lease_until = NULL,
       run_at = clock_timestamp() + make_interval(secs => mine.delay)
  FROM unnest(%s::bigint[], %s::int[], %s::float8[]) AS mine(id, fence, delay)
 WHERE item.id = mine.id AND item.fence = mine.fence AND item.state = 'running'
"""

EXPIRE = """
UPDATE enrichment_runitem AS item
   SET state = 'admitted', owner = '', lease_until = NULL, run_at = clock_timestamp(), crashes = item.crashes + 1
  FROM (SELECT id FROM enrichment_runitem
         WHERE state = 'running' AND lease_until < clock_timestamp()
         ORDER BY id FOR UPDATE SKIP LOCKED) AS lost
 WHERE item.id = lost.id
RETURNING item.id, item.crashes
"""

# Parked in the moment in which their run was stopped.
HURRY_STOPPED = """
UPDATE enrichment_runitem AS item
   SET run_at = clock_timestamp()
  FROM enrichment_run AS run
 WHERE item.state = 'admitted' AND item.run_at > clock_timestamp() AND run.id = item.run_id
   AND run.state = 'cancelled'
"""


@dataclass(frozen=True)
class Lease:
    """A claimed item and the fencing number the claim gave it."""

    item_id: int
    fence: int


def claim_items(*, owner: str, limit: int) -> list[Lease]:
    """Claim up to ``limit`` due items, best first; two workers never get the same one."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, [owner, LEASE_SECONDS, limit])
        return sorted((Lease(*row) for row in cursor.fetchall()), key=lambda lease: lease.item_id)


def extend_leases(leases: Iterable[Lease]) -> dict[int, bool]:
    """Extend the leases that are still ours: {item id: was its run cancelled?}. The others are lost."""
    ids, fences = _columns(leases)
    with connection.cursor() as cursor:
        cursor.execute(HEARTBEAT, [LEASE_SECONDS, ids, fences])
        return dict(cursor.fetchall())


def lock_leases(leases: Iterable[Lease]) -> set[int]:
    """Inside a transaction: lock the items that are still ours, in id order, and return their ids."""
    ids, fences = _columns(leases)
    with connection.cursor() as cursor:
        cursor.execute(LOCK, [ids, fences])
        return {row[0] for row in cursor.fetchall()}


def give_back(delays: Mapping[Lease, float]) -> None:
    """Return items to the line, claimable after so many seconds; items no longer ours are left alone."""
    leases = sorted(delays, key=lambda lease: lease.item_id)
    ids, fences = _columns(leases)
    with connection.cursor() as cursor:
        cursor.execute(GIVE_BACK, [ids, fences, [max(0.0, delays[lease]) for lease in leases]])


def expire_leases() -> list[tuple[int, int]]:
    """Return items whose owner stopped reporting to the line: [(item id, crashes so far)]."""
    with connection.cursor() as cursor:
        cursor.execute(EXPIRE)
        return cursor.fetchall()


def hurry_stopped() -> None:
    """Make items of stopped runs claimable now: their end and their credits do not wait for a provider."""
    with connection.cursor() as cursor:
        cursor.execute(HURRY_STOPPED)


def _columns(leases: Iterable[Lease]) -> tuple[list[int], list[int]]:
    rows = sorted(leases, key=lambda lease: lease.item_id)
    return [lease.item_id for lease in rows], [lease.fence for lease in rows]
