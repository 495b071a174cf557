"""Encrypts small secrets (provider keys) with keys that live outside the database."""

import json
from copy import copy
from functools import lru_cache, partial
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.utils.functional import SimpleLazyObject


@lru_cache(maxsize=8)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError as error:
        raise ImproperlyConfigured("FIELD_ENCRYPTION_KEYS: each key is 32 url-safe base64 bytes") from error


def encrypt(data: Any) -> str:
    """Encrypt JSON-able ``data`` with the first of FIELD_ENCRYPTION_KEYS."""
    return _cipher(tuple(settings.FIELD_ENCRYPTION_KEYS)).encrypt(json.dumps(data).encode()).decode()


def decrypt(token: str) -> Any:
    """Decrypt with whichever configured key fits; ImproperlyConfigured when none does."""
    try:
        return json.loads(_cipher(tuple(settings.FIELD_ENCRYPTION_KEYS)).decrypt(token.encode()))
    except InvalidToken as error:
        raise ImproperlyConfigured("A stored secret fits none of FIELD_ENCRYPTION_KEYS") from error


class EncryptedJSONField(models.TextField):
    """A JSON value that is ciphertext in the database and never part of a query.

    It is decrypted when it is looked into, not when its row is read: most reads of a row never need the
    secret, and a page must not fail because a key is missing.
    """

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Any:
        """Decrypt at the first look."""
        return None if value is None else SimpleLazyObject(partial(decrypt, value))

    def get_prep_value(self, value: Any) -> str | None:
        """Encrypt on the way out."""
        if isinstance(value, SimpleLazyObject):
            bool(value)  # looked into, a copy of it is the plain value
            value = copy(value)
        return None if value is None else encrypt(value)
