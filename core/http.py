"""The one guarded client through which everything outbound goes.

It is ``requests`` with kept connections, and these promises: a call ends by its deadline even if the
other side drips bytes; no more than ``max_bytes`` of decoded body is ever held; an address is checked
when it is connected to, so that a name which changes its mind in between gains nothing; redirects are
refused; TLS is always verified; no proxy, netrc or cookie of one call reaches another. Errors are
typed, and their words never hold a key, a header or a query string.
"""

import http.client
import json
import logging
import math
import os
import ssl
import threading
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, NoReturn

import urllib3
from requests import PreparedRequest
from requests.exceptions import RequestException

from core.http_addresses import is_public_address, refuse_odd_number, split_url, validate_outbound_url
from core.http_connections import GuardedAdapter, begin_call
from core.http_errors import (
    AddressRefused,
    BadBody,
    BadHeader,
    BadUrl,
    HttpError,
    NoAnswer,
    Redirected,
    TooLarge,
    Unreachable,
    UnsafeConnection,
)

__all__ = [
    "AddressRefused",
    "BadBody",
    "BadHeader",
    "BadUrl",
    "HttpClient",
    "HttpError",
    "NoAnswer",
    "Redirected",
    "Response",
    "TooLarge",
    "Unreachable",
    "UnsafeConnection",
    "is_public_address",
    "validate_outbound_url",
]

# At DEBUG urllib3 writes whole request lines, and some vendors take names and keys in the query string.
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)

READ_BYTES = 65_536
MAX_NUMBER_DIGITS = 40
DEFAULT_HEADERS = {"User-Agent": "Headwater", "Accept": "application/json", "Accept-Encoding": "gzip"}

# --- Answers ---------------------------------------------------------------------------------------------


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _whole_number(digits: str) -> int:
    if len(digits) > MAX_NUMBER_DIGITS:
        raise ValueError("number too long")
    return int(digits)


def _finite_number(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("number too large")
    return number


_decoder = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_int=_whole_number, parse_float=_finite_number
)


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer, whatever its status; ``elapsed`` is in seconds, ``headers`` ignores case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    elapsed: float

    def json(self) -> Any:
        """Return the parsed body; anything but one strict UTF-8 JSON value raises BadBody."""
        try:
            return _decoder.decode(self.body.decode("utf-8"))
        except (ValueError, RecursionError):
            pass
        # Raised outside the handler: the parser's error carries the whole body along.
        raise BadBody

    def text(self, limit: int = 2_000) -> str:
        """Return the start of the body as text, for telling error answers apart."""
        return self.body[:limit].decode("utf-8", errors="replace")


def _read_body(raw: urllib3.HTTPResponse, limit: int) -> bytes:
    """Return the decoded body, holding no more than ``limit`` bytes of it (and one chunk)."""
    encoding = (raw.headers.get("Content-Encoding") or "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise TooLarge("The answer is encoded in a way that is not read.")
    if (raw.length_remaining or 0) > limit:
        raise TooLarge
    chunks = _chunks(raw, limit)
    if "gzip" in encoding:
        chunks = _inflated(chunks, limit)
    return b"".join(chunks)


def _chunks(raw: urllib3.HTTPResponse, limit: int) -> Iterator[bytes]:
    size = 0
    while chunk := raw.read(READ_BYTES, decode_content=False):
        size += len(chunk)
        if size > limit:
            raise TooLarge
        yield chunk


def _inflated(chunks: Iterator[bytes], limit: int) -> Iterator[bytes]:
    """Yield the unpacked body; a few packed kilobytes may hold gigabytes, so never unpack past the limit."""
    room, member = limit, None
    for chunk in chunks:
        data = chunk
        while data:
            member = member or zlib.decompressobj(wbits=31)
            plain = member.decompress(data, room + 1)
            room -= len(plain)
            if room < 0:
                raise TooLarge
            yield plain
            data = member.unused_data if member.eof else b""
            member = None if member.eof else member
    if member is not None:
        raise NoAnswer


def _failure(error: BaseException) -> HttpError:
    """Say in our words what went wrong, from whatever is at the bottom of a chain of wrapped errors."""
    causes = list(_causes(error))
    if any(isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError) for cause in causes):
        return NoAnswer()
    cut_off = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError, http.client.IncompleteRead)
    if any(isinstance(cause, cut_off) for cause in causes):
        return NoAnswer()
    if any(isinstance(cause, ssl.SSLError | urllib3.exceptions.SSLError) for cause in causes):
        return UnsafeConnection()
    if any(isinstance(cause, http.client.HTTPException | zlib.error) for cause in causes):
        return BadBody("The answer is not valid HTTP.")
    return NoAnswer()


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(20):
        if error is None:
            return
        yield error
        wrapped = (getattr(error, "reason", None), *reversed(error.args), error.__cause__)
        error = next((cause for cause in wrapped if isinstance(cause, BaseException)), None)


# --- The client ------------------------------------------------------------------------------------------


class HttpClient:
    """Makes calls; one instance is meant to be kept and shared by all threads of a process.

    ``timeout`` is the longest a whole call may take, ``connect_timeout`` the part of it for finding and
    reaching the server, both in seconds. ``allow_private`` lets calls into private networks and is for
    the demo and tests.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        timeout: float = 10,
        connect_timeout: float = 5,
        max_bytes: int = 2_000_000,
        pool_size: int = 64,
    ) -> None:
        self.allow_private = allow_private
        self.timeout = timeout
        self.connect_timeout = connect_timeout
        self.max_bytes = max_bytes
        self.pool_size = pool_size
        self._lock = threading.Lock()
        self._transport: tuple[int, GuardedAdapter] | None = None

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        deadline: float | None = None,
    ) -> Response:
        """Make one call and return its answer, whatever the status; raise an HttpError if there is none.

        ``params`` become the query string, ``json`` the body. ``deadline`` is the longest this call may
        take in seconds, in place of the client's ``timeout``. Nothing is ever sent twice.
        """
        _, host, _ = split_url(url)
        if not self.allow_private:
            refuse_odd_number(host)
        prepared = _prepare(method, url, headers=headers, params=params, body=json)
        started = monotonic()
        seconds = self.timeout if deadline is None else deadline
        begin_call(seconds)
        raw, failure = None, None
        try:
            raw = self._adapter().send(prepared, stream=True, timeout=seconds)
            if 300 <= raw.status < 400 and raw.status != http.HTTPStatus.NOT_MODIFIED:
                raise Redirected
            body = _read_body(raw, self.max_bytes)
        except HttpError as error:
            failure = error
        except (RequestException, urllib3.exceptions.HTTPError, OSError, ValueError, zlib.error) as error:
            failure = _failure(error)
        except http.client.HTTPException as error:
            failure = _failure(error)
        if failure is None:
            return Response(raw.status, raw.headers, body, monotonic() - started)
        if raw is not None:
            # Not handed back to the pool: what the server still sends would be the next call's answer.
            raw.close()
        # Outside the handlers: the underlying errors name the whole URL.
        raise failure.with_traceback(None)

    def close(self) -> None:
        """Close the kept connections; the client stays usable."""
        with self._lock:
            transport, self._transport = self._transport, None
        if transport is not None:
            transport[1].close()

    def __enter__(self) -> "HttpClient":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _adapter(self) -> GuardedAdapter:
        """Return this process's transport: after a fork, two processes must not share one connection."""
        transport = self._transport
        if transport is not None and transport[0] == os.getpid():
            return transport[1]
        with self._lock:
            if self._transport is None or self._transport[0] != os.getpid():
                adapter = GuardedAdapter(
                    allow_private=self.allow_private,
                    connect_seconds=self.connect_timeout,
                    pool_size=self.pool_size,
                )
                self._transport = (os.getpid(), adapter)
            return self._transport[1]


def _prepare(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None,
    params: Mapping[str, Any] | None,
    body: Any,
) -> PreparedRequest:
    """Return the request ready to send, or raise BadHeader or BadUrl."""
    for value in (headers or {}).values():
        if not (value.isascii() and value.isprintable()):
            raise BadHeader
    prepared = PreparedRequest()
    try:
        prepared.prepare(
            method=method,
            url=url,
            headers={**DEFAULT_HEADERS, **(headers or {})},
            params=params,
            json=body,
        )
    except (RequestException, ValueError):
        prepared = None
    if prepared is None:
        raise BadUrl("This cannot be written as a web request.")
    return prepared
