"""The jobs on the queue. A job carries no work, it only says "look now"; the rows in the database are the work."""

import logging
import os
import signal
import socket
import threading
import uuid
from types import FrameType

import django_rq
import redis
from django.db import close_old_connections

logger = logging.getLogger(__name__)

QUEUE = "enrichment"
STOP_SIGNAL = signal.SIGUSR1

_stop_asked = threading.Event()


def wake_workers() -> None:
    """Tell a worker to look for claimable items. Lost with Redis, it costs a sweeper's pass and nothing else."""
    try:
        django_rq.get_queue(QUEUE).enqueue(drain, job_timeout=900, result_ttl=0, failure_ttl=86_400)
    except redis.RedisError as error:
        logger.warning("The queue is unreachable; the scheduler will find the work: %s", error)


def drain() -> int:
    """Work on claimable items until none is left or a stop is asked for; returns how many ended."""
    from enrichment.engine.worker import Worker

    parent = os.getppid()
    _stop_asked.clear()
    if threading.current_thread() is threading.main_thread():
        signal.signal(STOP_SIGNAL, _on_stop)
    close_old_connections()
    owner = f"{socket.gethostname()[:40]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    worker = Worker(owner=owner, should_stop=lambda: _stop_asked.is_set() or os.getppid() != parent)
    return worker.drain()


def _on_stop(signum: int, frame: FrameType | None) -> None:
    _stop_asked.set()
