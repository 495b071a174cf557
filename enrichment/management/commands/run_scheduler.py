"""Runs the scheduler: the sweeper and the periodic checks."""

import logging
import signal
import threading

import django_rq
import redis
from django.core.management.base import BaseCommand
from django.db import OperationalError, close_old_connections

from enrichment.engine.sweep import run_due_tasks

HEARTBEAT_KEY = "headwater:scheduler:heartbeat"
PASS_SECONDS = 2.0

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Return lost work to the line and check the ledger, for ever. More than one may run."

    def handle(self, *args: object, **options: object) -> None:
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        while not stop.is_set():
            self.run_pass()
            stop.wait(PASS_SECONDS)

    def run_pass(self) -> None:
        """One look at every task; an unreachable server is logged and tried again at the next pass."""
        close_old_connections()
        try:
            run_due_tasks()
            django_rq.get_connection("enrichment").set(HEARTBEAT_KEY, "1", ex=30)
        except (OperationalError, redis.RedisError) as error:
            logger.warning("The scheduler cannot reach a server, trying again: %s", error)
