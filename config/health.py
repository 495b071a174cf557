"""Says whether this process is up (/healthz) and whether the product can do its work (/readyz)."""

from collections.abc import Callable

import redis
from django.conf import settings
from django.db import connection
from django.db.utils import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from rq import Worker

SCHEDULER_HEARTBEAT = "headwater:scheduler:heartbeat"
REDIS_SECONDS = 2


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers; asks nobody else, since a restart would not cure their outage."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when every part the product needs is there, else 503; the body names each part and what ails it."""
    parts = {"database": database(), "redis": "ok", "workers": "unknown", "scheduler": "unknown"}
    client = redis.from_url(
        settings.REDIS_URL, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS
    )
    with client:
        for part, look in REDIS_PARTS.items():
            try:
                parts[part] = look(client)
            except redis.RedisError:
                parts["redis"] = "unreachable"
                break
    ready = all(state == "ok" for state in parts.values())
    return JsonResponse(
        {"status": "ok" if ready else "unavailable", "parts": parts}, status=200 if ready else 503
    )


def database() -> str:
    """Whether the database answers a query."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        connection.close()
        return "unreachable"
    return "ok"


def workers(client: redis.Redis) -> str:
    """Whether a worker is registered; a registration expires when its worker stops renewing it."""
    return "ok" if Worker.all(connection=client) else "none running"


def scheduler(client: redis.Redis) -> str:
    """Whether the scheduler goes round; the mark it renews each time expires when it stops."""
    return "ok" if client.exists(SCHEDULER_HEARTBEAT) else "not running"


REDIS_PARTS: dict[str, Callable[[redis.Redis], str]] = {"workers": workers, "scheduler": scheduler}
