"""Runs a whole transaction again when PostgreSQL stopped it for a reason that passes."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connection, transaction

Result = TypeVar("Result")

# serialization_failure, deadlock_detected, lock_not_available.
PASSING = {"40001", "40P01", "55P03"}


def run_in_transaction(work: Callable[[], Result], *, attempts: int = 5) -> Result:
    """Run ``work`` in one transaction, again after a deadlock or a serialization failure.

    Only for the outermost caller: inside another transaction that one has to be repeated as a whole, so
    there the error passes through. ``work`` must do nothing but database work.
    """
    for attempt in range(attempts):
        try:
            with transaction.atomic():
                return work()
        except OperationalError as error:
            passing = getattr(error.__cause__, "sqlstate", None) in PASSING
            if not passing or connection.in_atomic_block or attempt == attempts - 1:
                raise
            time.sleep(random.uniform(0, 0.01 * 2**attempt))
    raise ValueError("attempts must be at least 1")
