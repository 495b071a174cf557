"""What keeps a provider from being asked right now: its rate limit, a pause it demanded, an open breaker.

All of it is shared by every worker through Redis and none of it is truth: a wiped Redis forgets pauses
and counts, and an unreachable one lets calls through.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import django_rq
import redis
from django.conf import settings
from limits import RateLimitItem, parse, storage, strategies

logger = logging.getLogger(__name__)

WINDOW = 20
FAILURES_TO_OPEN = 5
OPEN_SECONDS = 60
PROBE_SECONDS = 30


@dataclass(frozen=True)
class Gate:
    """May the provider be asked? If not: how many seconds to wait, or that it is to be passed over."""

    open: bool
    wait: float = 0.0
    pass_over: bool = False


OPEN = Gate(open=True)


def check_gate(provider_id: int, limits: Sequence[str]) -> Gate:
    """Ask for one call's leave; being let through counts against the rate limit."""
    return Gatekeeper().check(provider_id, limits)


class Gatekeeper:
    """Lets many calls through in one pass, looking at each provider's pause and breaker only once.

    Each call still counts against the rate limit by itself, and an open breaker's probe is one call.
    """

    def __init__(self) -> None:
        self._standing: dict[int, Gate] = {}

    def check(self, provider_id: int, limits: Sequence[str]) -> Gate:
        """Ask for one call's leave."""
        try:
            standing = self._standing.get(provider_id)
            if standing is None:
                standing, keep = _look(provider_id)
                if keep:
                    self._standing[provider_id] = standing
            return _take(provider_id, limits) if standing.open else standing
        except redis.RedisError as error:
            logger.warning("Redis is unreachable, provider limits are not kept: %s", error)
            return OPEN


def pause_provider(provider_id: int, seconds: float) -> None:
    """The provider said to come back later: nobody asks it until then."""
    milliseconds = max(1, int(seconds * 1000))
    try:
        _redis().set(_key("pause", provider_id), "1", px=milliseconds)
    except redis.RedisError as error:
        logger.warning("Redis is unreachable, a provider's pause is not shared: %s", error)


def record_health(provider_id: int, outcomes: Sequence[bool]) -> None:
    """Count calls' health, True for healthy; five failures of the last twenty open the breaker for a minute."""
    try:
        _record(provider_id, outcomes)
    except redis.RedisError as error:
        logger.warning("Redis is unreachable, the breaker does not count: %s", error)


def reset_provider(provider_id: int) -> None:
    """Forget pauses and failures, after a passed test connection."""
    try:
        _redis().delete(*(_key(name, provider_id) for name in ("pause", "calls", "open", "tripped", "probe")))
    except redis.RedisError as error:
        logger.warning("Redis is unreachable, the breaker is not reset: %s", error)


def _look(provider_id: int) -> tuple[Gate, bool]:
    """The provider's pause and breaker, and whether that holds for more than one call."""
    pause, opened, tripped = (_key(name, provider_id) for name in ("pause", "open", "tripped"))
    with _redis().pipeline(transaction=False) as pipe:
        pipe.pttl(pause).pttl(opened).exists(tripped)
        paused_ms, open_ms, was_tripped = pipe.execute()
    if paused_ms > 0:
        return Gate(open=False, wait=paused_ms / 1000), True
    if open_ms > 0:
        return Gate(open=False, wait=open_ms / 1000, pass_over=True), True
    if not was_tripped:
        return OPEN, True
    if _redis().set(_key("probe", provider_id), "1", nx=True, ex=PROBE_SECONDS):
        return OPEN, False
    return Gate(open=False, wait=1.0, pass_over=True), True


def _take(provider_id: int, limits: Sequence[str]) -> Gate:
    limiter = _limiter()
    items = [_parsed(limit) for limit in limits]
    for item in items:
        if not limiter.test(item, str(provider_id)):
            reset = limiter.get_window_stats(item, str(provider_id)).reset_time
            return Gate(open=False, wait=max(0.02, reset - time.time()))
    for item in items:
        limiter.hit(item, str(provider_id))
    return OPEN


def _record(provider_id: int, outcomes: Sequence[bool]) -> None:
    calls, tripped = _key("calls", provider_id), _key("tripped", provider_id)
    with _redis().pipeline() as pipe:
        pipe.lpush(calls, *("1" if healthy else "0" for healthy in outcomes))
        pipe.ltrim(calls, 0, WINDOW - 1).expire(calls, 3600)
        pipe.lrange(calls, 0, -1).exists(tripped)
        *_, recent, was_tripped = pipe.execute()
    failed = not all(outcomes)
    if failed and (was_tripped or recent.count(b"0") >= FAILURES_TO_OPEN):
        with _redis().pipeline() as pipe:
            pipe.set(_key("open", provider_id), "1", ex=OPEN_SECONDS).set(tripped, "1", ex=3600)
            pipe.delete(_key("probe", provider_id)).execute()
    elif was_tripped and not failed:
        _redis().delete(tripped, calls, _key("probe", provider_id))


def _key(name: str, provider_id: int) -> str:
    return f"headwater:provider:{provider_id}:{name}"


@lru_cache(maxsize=1)
def _redis() -> redis.Redis:
    return django_rq.get_connection("enrichment")


@lru_cache(maxsize=1)
def _limiter() -> strategies.RateLimiter:
    shared = storage.RedisStorage(settings.REDIS_URL, connection_pool=_redis().connection_pool)
    return strategies.SlidingWindowCounterRateLimiter(shared)


@lru_cache(maxsize=256)
def _parsed(limit: str) -> RateLimitItem:
    return parse(limit)
