"""Slows down guessing of passwords before one is hashed; the lock on one account is django-axes'."""

from django.core.cache import cache
from django.http import HttpRequest
from redis import RedisError

FAILURES_PER_MINUTE = 60


def too_many_failures(*, who: str) -> bool:
    """True while ``who`` (an address, or a person) had more wrong passwords this minute than people have."""
    try:
        return cache.get(_key(who), 0) >= FAILURES_PER_MINUTE
    except RedisError:
        return False  # signing in works without Redis; axes still counts in the database


def count_failure(*, who: str) -> None:
    """Remember one wrong password of ``who`` until the minute that began with its first is over."""
    try:
        cache.add(_key(who), 0, timeout=60)
        cache.incr(_key(who))
    except (RedisError, ValueError):  # ValueError: the minute ended between the two
        return


def account_of_attempt(request: HttpRequest, credentials: dict[str, str] | None) -> str:
    """The account a sign-in aims at, for axes: the same however its e-mail is written."""
    name = (credentials or {}).get("username") or request.POST.get("username", "")
    return name.strip().lower()[:254]


def _key(who: str) -> str:
    return f"wrong-passwords:{who}"
