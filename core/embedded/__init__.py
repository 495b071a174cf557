"""The PostgreSQL and Redis that run beside the code when the environment names no others.

``database_url`` and ``redis_url`` answer in under a millisecond when the server runs, and start it when it
does not: whoever asks first starts it, everybody else waits for that start. Nothing here imports Django.
"""

from pathlib import Path

from core.embedded.postgres_server import ensure_postgres
from core.embedded.redis_server import ensure_redis

__all__ = ["database_url", "ensure_postgres", "ensure_redis", "redis_url"]


def database_url(var_dir: Path) -> str:
    """The URL of the embedded PostgreSQL of ``var_dir``, started if need be, or EmbeddedServiceError."""
    return ensure_postgres(var_dir)


def redis_url(var_dir: Path) -> str:
    """The URL of the embedded Redis of ``var_dir``, started if need be, or EmbeddedServiceError."""
    return ensure_redis(var_dir)
