"""Reads what vendors say without believing it: text is cleaned, and a wrong type counts as nothing."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

MAX_TEXT_LENGTH = 500
MAX_VALUES = 3
MAX_RETRY_AFTER = 3_600.0

# Control, format (right-to-left override, zero-width), lone surrogate and unassigned characters.
_REFUSED_CATEGORIES = frozenset(("Cc", "Cf", "Cs", "Cn", "Co"))
_NO_CREDITS = re.compile(
    r"(insufficient|not enough|no|no more|out of|(ran|run) out of|exceeded|exhausted)[ _](\w+[ _])?credits?\b"
    r"|credits?[ _](\w+[ _])?(exhausted|exceeded|depleted|used up)"
    r"|balance depleted",
    re.IGNORECASE,
)


def clean(text: str) -> str:
    """Return ``text`` in one line of at most 500 characters that any database and page can take."""
    text = text[: MAX_TEXT_LENGTH * 4]
    if not text.isascii() or not text.isprintable():
        text = unicodedata.normalize("NFC", text.replace("\n", " ").replace("\t", " "))
        text = "".join(c for c in text if unicodedata.category(c) not in _REFUSED_CATEGORIES)
    return text.strip()[:MAX_TEXT_LENGTH]


def present(**fields: str) -> dict[str, str]:
    """Return the named values that are not blank, cleaned: vendors take a blank one for a condition."""
    return {name: value for name, raw in fields.items() if (value := clean(raw))}


def bare_domain(domain: str) -> str:
    """``https://www.Example.com/about`` → ``example.com``; vendors match nothing on the rest."""
    host = re.sub(r"^[a-z][a-z0-9+.-]*://", "", clean(domain).lower())
    return re.split(r"[/?#:]", host, maxsplit=1)[0].removeprefix("www.").strip(".")


def linkedin_handle(url: str) -> str:
    """``https://www.linkedin.com/in/ada-byron/`` → ``ada-byron``, "" when it is no personal profile."""
    found = re.search(r"linkedin\.com/(?:in|pub)/([^/?#]+)", clean(url), re.IGNORECASE)
    return found[1] if found else ""


def with_scheme(url: str) -> str:
    """Some vendors leave out ``https://`` or still write ``http://``."""
    bare = re.sub(r"^https?://", "", url, flags=re.IGNORECASE)
    return f"https://{bare}" if bare else ""


def says_no_credits(text: str) -> bool:
    """Say whether an error's words mean that the vendor account is empty."""
    return bool(_NO_CREDITS.search(text))


def retry_after(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Return the wait that ``Retry-After`` asks for, in seconds from 0 to an hour; None if it says nothing.

    It may hold seconds or a date. Junk and negative numbers say nothing; a date that has passed is 0.
    """
    value = (headers.get("Retry-After") or "").strip()
    if re.fullmatch(r"[0-9]{1,400}(\.[0-9]{1,20})?", value):
        return min(float(value), MAX_RETRY_AFTER)
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    seconds = (until - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


class Shape:
    """Picks documented fields out of an answer.

    What is absent or null is "nothing"; what has another type than documented is "nothing" too, and
    sets ``changed``: the vendor's API is not what the adapter was written for.
    """

    def __init__(self) -> None:
        self.changed = False

    def whole(self, payload: Any) -> dict[str, Any]:
        """Return the answer itself, which must be an object with something in it."""
        return self._object(payload)

    def required(self, parent: dict[str, Any], name: str) -> dict[str, Any]:
        """Return an object that every answer of its kind has."""
        return self._object(parent.get(name)) if parent else {}

    def optional(self, parent: dict[str, Any], name: str) -> dict[str, Any]:
        """Return an object that may be null or absent."""
        return {} if parent.get(name) is None else self._object(parent[name])

    def text(self, parent: dict[str, Any], name: str) -> str:
        """Return a cleaned string."""
        return self._text(parent.get(name))

    def texts(self, parent: dict[str, Any], name: str) -> list[str]:
        """Return the first few strings of a list."""
        return [text for item in self._list(parent.get(name)) if (text := self._text(item))][:MAX_VALUES]

    def objects(self, parent: dict[str, Any], name: str) -> list[dict[str, Any]]:
        """Return the first few objects of a list."""
        items = [self._object(item) for item in self._list(parent.get(name))[:20]]
        return [item for item in items if item]

    def number(self, parent: dict[str, Any], name: str) -> float | None:
        """Return a number, which true and false are not."""
        value = parent.get(name)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        self.changed = True
        return None

    def _object(self, value: Any) -> dict[str, Any]:
        if isinstance(value, dict) and value:
            return value
        self.changed = True
        return {}

    def _text(self, value: Any) -> str:
        if isinstance(value, str):
            return clean(value)
        self.changed |= value is not None
        return ""

    def _list(self, value: Any) -> list[Any]:
        if isinstance(value, list):
            return value
        self.changed |= value is not None
        return []
