"""What every adapter is: one vendor's API behind one question, with answers and errors in our words."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from core.http import (
    AddressRefused,
    BadBody,
    BadHeader,
    BadUrl,
    HttpClient,
    HttpError,
    NoAnswer,
    Redirected,
    Response,
    TooLarge,
    Unreachable,
    UnsafeConnection,
)
from enrichment.adapters.reading import clean, retry_after, says_no_credits

WORK_EMAIL = "work_email"
PERSONAL_EMAIL = "personal_email"
PHONE = "phone"
LINKEDIN_URL = "linkedin_url"

VERIFICATIONS = ("valid", "catch_all", "risky", "invalid", "unknown")
NO_MATCH = "no_match"

# Whether the same question is put again to the same vendor: "later" with growing waits, "once" more, "never".
RETRY = {
    "unreachable": "later",
    "no_answer": "once",
    "rate_limited": "later",
    "out_of_credit": "never",
    "key_rejected": "never",
    "refused": "never",
    "vendor_error": "later",
    "bad_answer": "once",
    "too_large": "never",
    "redirected": "never",
    "unsafe": "never",
    "suppressed": "never",
    "pending": "later",
    "misconfigured": "never",
}

MESSAGES = {
    "unreachable": "provider unreachable",
    "no_answer": "no answer in time",
    "rate_limited": "provider limit reached",
    "out_of_credit": "vendor account out of credit",
    "key_rejected": "key rejected",
    "refused": "provider refused this lead",
    "vendor_error": "provider has an error of its own",
    "bad_answer": "unexpected answer",
    "too_large": "answer too large",
    "redirected": "provider redirected",
    "unsafe": "connection not safe",
    "suppressed": "this person asked not to be looked up",
    "pending": "provider is still searching",
    "misconfigured": "provider is not set up correctly",
}

_CODE_OF_HTTP_ERROR: dict[type[HttpError], str] = {
    Unreachable: "unreachable",
    NoAnswer: "no_answer",
    BadBody: "bad_answer",
    TooLarge: "too_large",
    Redirected: "redirected",
    UnsafeConnection: "unsafe",
    AddressRefused: "misconfigured",
    BadUrl: "misconfigured",
    BadHeader: "misconfigured",
}
_CODE_OF_STATUS = {401: "key_rejected", 402: "out_of_credit", 403: "key_rejected", 404: NO_MATCH}
_CODE_OF_STATUS |= {408: "no_answer", 429: "rate_limited"}
# More of a vendor's credits is nonsense: it does not fit its column, or takes for ever to write out.
MAX_CREDITS = 10**8
_ERROR_FIELDS = ("error", "errors", "error_code", "error_message", "message")


class AdapterError(Exception):
    """The vendor could not be asked or did not answer; a miss is not an error.

    ``code`` is a key of RETRY, ``message`` fit for a rep and free of secrets, ``retry_after`` the
    seconds the vendor asked us to wait (None: it did not say).
    """

    def __init__(self, code: str, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(code, message or MESSAGES[code])
        self.code = code
        self.message = message or MESSAGES[code]
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class LeadQuery:
    """What is known about a lead; "" is unknown. ``ref`` is sent along as the request's id."""

    ref: str = ""
    first_name: str = ""
    last_name: str = ""
    full_name: str = ""
    title: str = ""
    company_name: str = ""
    company_domain: str = ""
    country: str = ""
    linkedin_url: str = ""
    work_email: str = ""
    personal_email: str = ""
    phone: str = ""

    @property
    def names(self) -> dict[str, str]:
        """``first_name`` and ``last_name`` where both are known, else the ``full_name`` in one piece."""
        if self.first_name and self.last_name:
            return {"first_name": self.first_name, "last_name": self.last_name}
        name = self.full_name or self.first_name or self.last_name
        return {"full_name": name} if name else {}

    @property
    def has_name_and_company(self) -> bool:
        """Enough to tell a person apart from namesakes."""
        return bool(self.names and (self.company_name or self.company_domain))


@dataclass(frozen=True)
class Candidate:
    """One value a vendor offers.

    ``verification`` is one of VERIFICATIONS, ``confidence`` the vendor's 0 to 100 or None, the names are
    of the person it says the value belongs to, ``kind`` is a phone's (mobile, landline, work_hq, …).
    """

    channel: str
    value: str
    verification: str = "unknown"
    confidence: int | None = None
    first_name: str = ""
    last_name: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Answer:
    """What a vendor said; no candidates is no match.

    ``vendor_cost`` and ``credits_left`` are in the vendor's own credits, None where it does not say.
    ``shape_changed``: something had another type than documented.
    """

    candidates: tuple[Candidate, ...] = ()
    vendor_cost: Decimal | None = None
    shape_changed: bool = False
    credits_left: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values that a database takes."""
        return {
            "candidates": [_cleaned(asdict(candidate)) for candidate in self.candidates],
            "vendor_cost": None if self.vendor_cost is None else str(self.vendor_cost),
            "shape_changed": self.shape_changed,
            "credits_left": self.credits_left,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Answer":
        """Return the answer that ``to_json`` gave; fields of another release are ignored."""
        known = Candidate.__dataclass_fields__
        cost = stored.get("vendor_cost")
        return cls(
            tuple(
                Candidate(**{name: value for name, value in row.items() if name in known})
                for row in stored.get("candidates", ())
            ),
            None if cost is None else Decimal(cost),
            bool(stored.get("shape_changed")),
            stored.get("credits_left"),
        )


def _cleaned(row: dict[str, Any]) -> dict[str, Any]:
    return {name: clean(value) if isinstance(value, str) else value for name, value in row.items()}


@dataclass(frozen=True)
class AccountStatus:
    """A test connection that worked."""

    message: str = "Connected."
    credits_left: int | None = None


@dataclass(frozen=True)
class Reply:
    """A successful answer as it came."""

    payload: Any
    headers: Mapping[str, str]

    def header_number(self, name: str) -> Decimal | None:
        """Return a header's number, None when it has none that could be a bill's."""
        try:
            number = Decimal((self.headers.get(name) or "").strip()[:20])
        except InvalidOperation:
            return None
        return number if number.is_finite() and 0 <= number < MAX_CREDITS else None


def percent(number: float | None) -> int | None:
    """Return a confidence as a whole number from 0 to 100."""
    return None if number is None else min(100, max(0, round(number)))


class Adapter(ABC):
    """One vendor. Instances hold credentials and may be used from many threads at once."""

    slug: ClassVar[str]
    name: ClassVar[str]
    website: ClassVar[str]
    default_base_url: ClassVar[str]
    channels: ClassVar[frozenset[str]]
    # (field name, label) of what an admin enters to connect.
    credential_fields: ClassVar[tuple[tuple[str, str], ...]] = (("api_key", "API key"),)
    # The vendor's documented rate limits per key, in the notation of the ``limits`` package.
    limits: ClassVar[tuple[str, ...]] = ()
    # Statuses that mean something else with this vendor than they usually do.
    own_codes: ClassVar[Mapping[int, str]] = {}

    def __init__(
        self, *, credentials: Mapping[str, str], base_url: str | None, http: HttpClient, timeout: float
    ) -> None:
        self._key = (credentials.get("api_key") or "").strip()
        self._base_url = (base_url or self.default_base_url).rstrip("/")
        self._http = http
        self._timeout = timeout

    @classmethod
    @abstractmethod
    def needs(cls, query: LeadQuery, channels: frozenset[str]) -> str | None:
        """Say what is missing to ask about this lead, or None when it can be asked."""

    @abstractmethod
    def find(self, query: LeadQuery, channels: frozenset[str]) -> Answer:
        """Ask once, for all of ``channels`` (a subset of the adapter's); raise AdapterError."""

    @abstractmethod
    def check(self) -> AccountStatus:
        """Test the key with a call that costs nothing; raise AdapterError."""

    @abstractmethod
    def _auth(self) -> dict[str, str]:
        """Return the headers that carry the key."""

    def _ask(
        self,
        method: str,
        path: str,
        *,
        ref: str = "",
        params: Mapping[str, Any] | None = None,
        json: Any = None,
    ) -> Reply | None:
        """Make one call; None is the vendor's "no match", anything but an answer an AdapterError."""
        return self._read(self._send(method, path, ref=ref, params=params, json=json))

    def _account(self, method: str, path: str) -> Reply:
        """Make a call about the account, which is always found."""
        reply = self._ask(method, path)
        if reply is None:
            raise AdapterError("misconfigured", f"nothing of {self.name} answers at this address")
        return reply

    def _send(
        self,
        method: str,
        path: str,
        *,
        ref: str = "",
        params: Mapping[str, Any] | None = None,
        json: Any = None,
    ) -> Response:
        if not self._key:
            raise AdapterError("misconfigured", "no key is stored")
        reference = "".join(c for c in ref if c.isascii() and c.isprintable())[:100]
        headers = self._auth() | ({"X-Request-Id": reference} if reference else {})
        try:
            return self._http.request(
                method,
                self._base_url + path,
                headers=headers,
                params=params,
                json=json,
                deadline=self._timeout,
            )
        except HttpError as error:
            code = _CODE_OF_HTTP_ERROR.get(type(error), "no_answer")
            words = str(error) if code == "misconfigured" else ""
        raise AdapterError(code, words)

    def _read(self, response: Response) -> Reply | None:
        code = self._code(response.status, response)
        if code == NO_MATCH:
            return None
        if code:
            raise AdapterError(code, retry_after=retry_after(response.headers))
        try:
            payload = response.json()
        except BadBody:
            payload = BadBody
        if payload is BadBody:
            raise AdapterError("bad_answer")
        code = self._refusal(payload) if isinstance(payload, dict) else ""
        if code == NO_MATCH:
            return None
        if code:
            raise AdapterError(code, retry_after=retry_after(response.headers))
        return Reply(payload, response.headers)

    def _code(self, status: int, response: Response) -> str:
        """Return an error code, NO_MATCH, or "" for a status that means success."""
        if status in self.own_codes:
            return self.own_codes[status]
        if status < 400:
            return ""
        if status >= 500:
            return "vendor_error"
        if status not in (404, 429) and says_no_credits(response.text()):
            return "out_of_credit"
        return _CODE_OF_STATUS.get(status, "refused")

    def _refusal(self, payload: dict[str, Any]) -> str:
        """Return the code of an error that came as a success, "" when there is none."""
        words = " ".join(str(payload[name])[:500] for name in _ERROR_FIELDS if payload.get(name))
        return "out_of_credit" if says_no_credits(words) else ""
