"""What the scheduler does again and again: returns lost leases, wakes workers, checks the ledger.

Guarded by a row per task, so any number of schedulers does each task once per interval.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import django_rq
import redis
from django.db import connection, transaction
from django.db.models.functions import Now

from enrichment.engine.leases import MAX_CRASHES, expire_leases, hurry_stopped
from enrichment.engine.verify import check_ledgers
from enrichment.jobs import QUEUE, wake_workers
from enrichment.models import RunItem
from enrichment.services.runs import close_unclaimed
from leads import services as lead_services
from leads.models import LeadEvent

logger = logging.getLogger(__name__)

CRASHED = "It crashed the worker five times."

TAKE_TURN = """
INSERT INTO enrichment_scheduledtask (name, ran_at) VALUES (%s, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET ran_at = clock_timestamp()
 WHERE enrichment_scheduledtask.ran_at IS NULL
    OR enrichment_scheduledtask.ran_at <= clock_timestamp() - make_interval(secs => %s)
"""


@dataclass(frozen=True)
class Task:
    """A periodic task: ``run`` every ``seconds``, by whoever comes first."""

    name: str
    seconds: float
    run: Callable[[], None]


def recover_lost_items() -> None:
    """Return items whose worker stopped reporting; one that crashed five workers fails and is released."""
    with transaction.atomic():
        returned = expire_leases()
        broken = [item_id for item_id, crashes in returned if crashes >= MAX_CRASHES]
        if broken:
            items = list(RunItem.objects.select_for_update().filter(pk__in=broken).order_by("pk"))
            lead_services.add_lead_events(
                [
                    LeadEvent(
                        workspace_id=item.workspace_id,
                        lead_id=item.lead_id,
                        kind="enrichment.failed",
                        text=f"Enrichment failed. {CRASHED}",
                    )
                    for item in items
                ]
            )
            close_unclaimed(items, RunItem.State.FAILED, CRASHED)
    if returned:
        logger.warning("Returned %d items whose worker stopped reporting", len(returned))
    hurry_stopped()
    wake_for_due_items()


def wake_for_due_items() -> None:
    """Queue a look when something is claimable and no look is queued already."""
    due = RunItem.objects.filter(state=RunItem.State.ADMITTED, run_at__lte=Now()).exists()
    try:
        if due and not django_rq.get_queue(QUEUE).count:
            wake_workers()
    except redis.RedisError as error:
        logger.warning("The queue is unreachable; trying again at the next pass: %s", error)


TASKS = (
    Task("recover lost items", 5, recover_lost_items),
    Task("check ledgers", 600, check_ledgers),
)


def run_due_tasks() -> list[str]:
    """Run each task whose turn it is; returns their names. A failing task does not keep the others from running."""
    ran = []
    for task in TASKS:
        if not _take_turn(task):
            continue
        try:
            task.run()
        except Exception:
            logger.exception("The task %r failed; it runs again in %s s", task.name, task.seconds)
        ran.append(task.name)
    return ran


def _take_turn(task: Task) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(TAKE_TURN, [task.name, task.seconds * 0.9])
        return cursor.rowcount == 1
