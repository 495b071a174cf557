"""Sessions in the database with a cache before it, found only by keys that can be ours."""

from typing import Any

from django.contrib.sessions.backends.cached_db import SessionStore as CachedDatabaseStore


class SessionStore(CachedDatabaseStore):
    """Django's own store; a made-up key (a NUL in it, which PostgreSQL refuses) is as if there were none."""

    def _validate_session_key(self, key: Any) -> bool:
        return bool(super()._validate_session_key(key)) and key.isascii() and key.isalnum() and len(key) <= 40
