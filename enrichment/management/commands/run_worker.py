"""Runs one RQ worker on the enrichment queue."""

import importlib
import logging
import os
import signal
import time
from types import FrameType

import django_rq
import redis
from django.core.management.base import BaseCommand
from rq import Worker
from rq.serializers import JSONSerializer

from enrichment.jobs import QUEUE, STOP_SIGNAL
from leads.services import is_disposable, normalize_email, normalize_phone

logger = logging.getLogger(__name__)

RESTART_SECONDS = 2.0


class EnrichmentWorker(Worker):
    """An RQ worker that passes a stop on to the job it runs, so that leases go back instead of running out."""

    stop_asked = False

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """First SIGINT or SIGTERM: finish what is under way, take nothing new."""
        self.stop_asked = True
        if self.horse_pid:
            os.kill(self.horse_pid, STOP_SIGNAL)
        super().request_stop(signum, frame)


def warm_up() -> None:
    """Load once what every job's process would otherwise load after its fork, while a person waits."""
    importlib.import_module("enrichment.engine.worker")
    normalize_phone("+1 202 555 0142", "United States")
    normalize_email("somebody@mailbox.example")
    is_disposable("mailbox.example")


class Command(BaseCommand):
    help = "Run one worker on the enrichment queue. Stop it with SIGTERM; work under way is recorded first."

    def handle(self, *args: object, **options: object) -> None:
        # Inherited by the job's process: a stop that comes before the job listens must not kill it.
        signal.signal(STOP_SIGNAL, signal.SIG_IGN)
        warm_up()
        while not work_until_it_ends():
            # Between two workers a stop has nothing to finish.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            time.sleep(RESTART_SECONDS)


def work_until_it_ends() -> bool:
    """Run one worker; True when it was asked to stop. It also ends by itself, when Redis goes at a bad moment."""
    worker = None
    try:
        queue = django_rq.get_queue(QUEUE)
        # A killed worker is off the books (/readyz) after 90 seconds instead of RQ's eight minutes.
        worker = EnrichmentWorker(
            [queue], connection=queue.connection, serializer=JSONSerializer, worker_ttl=30
        )
        worker.work(with_scheduler=False, logging_level="WARNING")
    except redis.RedisError as error:
        logger.warning("The worker cannot reach Redis, trying again: %s", error)
    return worker is not None and worker.stop_asked
