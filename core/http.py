"""The one guarded client through which everything outbound goes.

It is ``requests`` with kept connections, and these promises: a call ends by its deadline even if the
other side drips bytes; no more than ``max_bytes`` of decoded body is ever held; an address is checked
when it is connected to, so that a name which changes its mind in between gains nothing; redirects are
refused; TLS is always verified; no proxy, netrc or cookie of one call reaches another. Errors are
typed, and their words never hold a key, a header or a query string.
"""

import http.client
import ipaddress
import json
import logging
import math
import os
import queue
import socket
import ssl
import threading
import unicodedata
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from time import monotonic
from typing import Any, NoReturn
from urllib.parse import urlsplit

import certifi
import urllib3
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from core.exceptions import DomainError

# At DEBUG urllib3 writes whole request lines, and some vendors take names and keys in the query string.
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)

READ_BYTES = 65_536
MAX_URL_LENGTH = 2_000
# Many servers close a connection that was idle for five seconds; a request must not race with that.
MAX_IDLE_SECONDS = 4.0
# A name may have any number of addresses: all are checked, this many are tried.
MAX_ADDRESSES_TRIED = 6
KEPT_HOSTS = 32
MAX_NUMBER_DIGITS = 40
DEFAULT_HEADERS = {"User-Agent": "Headwater", "Accept": "application/json", "Accept-Encoding": "gzip"}


class HttpError(DomainError):
    """The call did not end in a whole answer; ``str(error)`` is fit for a person and holds no secret."""


class BadUrl(HttpError):
    """The address cannot be used for a call."""

    default_message = "This is not a usable web address."


class BadHeader(HttpError):
    """A header, most likely a pasted key, holds characters that cannot be sent."""

    default_message = "The key holds characters that cannot be sent."


class AddressRefused(HttpError):
    """The address leads into a private network."""

    default_message = "This address leads to a private or reserved network and is not called."


class Unreachable(HttpError):
    """No connection was made, so nothing was asked."""

    default_message = "The server could not be reached."


class NoAnswer(HttpError):
    """A connection was made but no whole answer came back in time; it may have been asked."""

    default_message = "The server gave no whole answer in time."


class Redirected(HttpError):
    """The server pointed somewhere else; that is never followed."""

    default_message = "The server redirected the call elsewhere."


class UnsafeConnection(HttpError):
    """TLS could not be set up or the certificate is not trusted."""

    default_message = "A safe connection could not be made: the certificate is not trusted."


class TooLarge(HttpError):
    """The answer is larger than is read, or encoded in a way that is not read."""

    default_message = "The answer is too large."


class BadBody(HttpError):
    """The answer is not the JSON (or not the HTTP) that was expected."""

    default_message = "The answer is not valid JSON."


# --- Addresses -------------------------------------------------------------------------------------------

# Spelled out, because what ``ipaddress`` calls global differs between Python releases and takes in
# multicast and addresses that embed another one. Source: the IANA special-purpose registries.
_REFUSED_V4 = [
    ipaddress.IPv4Network(block)
    for block in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
        # A cloud's host agent, reachable from its virtual machines although the address looks public.
        "168.63.129.16/32",
    )
]
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_REFUSED_V6 = [
    ipaddress.IPv6Network(block) for block in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
]


def is_public_address(address: str) -> bool:
    """Say whether a numeric IP address is global unicast, the only kind that is called."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in block for block in _REFUSED_V4)
    return ip in _GLOBAL_V6 and not ip.scope_id and not any(ip in block for block in _REFUSED_V6)


def validate_outbound_url(url: str, *, allow_private: bool) -> str:
    """Return the trimmed address if it may be called now; raise BadUrl, AddressRefused or Unreachable if not.

    For forms: it resolves the name. It gives no lasting right to call the address, which is checked
    again at each connection.
    """
    url = url.strip().partition("#")[0]
    scheme, host, port = _split(url)
    if not allow_private:
        _refuse_odd_number(host)
    _records(host, port or (443 if scheme == "https" else 80), seconds=5.0, allow_private=allow_private)
    return url


@lru_cache(maxsize=1024)
def _split(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of a URL that may be called, or raise BadUrl."""
    if len(url) > MAX_URL_LENGTH or "\\" in url or any(c.isspace() or not c.isprintable() for c in url):
        raise BadUrl("A web address has no spaces or backslashes and at most 2,000 characters.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise BadUrl from None
    if parts.scheme not in ("http", "https"):
        raise BadUrl("A web address starts with https:// (or http://).")
    if "@" in parts.netloc:
        raise BadUrl("Leave the user name and password out of the web address.")
    if not host or port == 0:
        raise BadUrl("The web address names no server.")
    return parts.scheme, host, port


@lru_cache(maxsize=1024)
def _refuse_odd_number(host: str) -> None:
    """Refuse ``2130706433``, ``127.1``, ``0x7f.1`` and the like, which name an address without saying so."""
    plain = host.rstrip(".")
    folded = unicodedata.normalize("NFKC", plain).replace("\u3002", ".")
    last = folded.rpartition(".")[2].lower()
    if ":" in folded or not (last.isdigit() or last.startswith("0x")):
        return
    try:
        ipaddress.IPv4Address(plain)
    except ValueError:
        raise AddressRefused("Write the address as four plain numbers, like 198.51.100.7.") from None


def _records(host: str, port: int, *, seconds: float, allow_private: bool) -> list[tuple]:
    """Return the address records of ``host``, every one of them allowed, or raise."""
    answers: queue.SimpleQueue[list[tuple] | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP))
        except (OSError, UnicodeError):
            answers.put(None)

    if _is_number(host):
        ask()
    else:
        # The resolver has time limits of its own, far beyond ours, and cannot be interrupted.
        threading.Thread(target=ask, daemon=True, name="resolve").start()
    try:
        found = answers.get(timeout=max(seconds, 0.0))
    except queue.Empty:
        raise Unreachable("The server's name could not be looked up in time.") from None
    if not found:
        raise Unreachable("There is no server of this name.")
    if not allow_private and not all(is_public_address(record[4][0]) for record in found):
        raise AddressRefused
    return found


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


# --- Connections -----------------------------------------------------------------------------------------

# The end of the call that this thread is making. A socket is used by one thread at a time, and every
# operation on it gets what is left until then: a limit per operation would let a server drip for ever.
_call = threading.local()


def _seconds_left() -> float:
    left = _call.ends_at - monotonic()
    if left <= 0:
        raise TimeoutError("the call's deadline has passed")
    return left


class _TimedSocket(socket.socket):
    """A socket whose every operation ends by the deadline of the running call."""

    def recv_into(self, *args: Any) -> int:
        self.settimeout(_seconds_left())
        return super().recv_into(*args)

    def sendall(self, *args: Any) -> None:
        self.settimeout(_seconds_left())
        return super().sendall(*args)


class _TimedTlsSocket(ssl.SSLSocket):
    """The same for TLS, where one send may take several turns."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_seconds_left())
        return super().recv_into(*args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_seconds_left())
        return super().send(*args, **kwargs)


def _connect(host: str, port: int, *, seconds: float, allow_private: bool, options: list) -> socket.socket:
    """Connect to one of the host's addresses once all have passed; raise AddressRefused or Unreachable."""
    by = monotonic() + min(seconds, _seconds_left())
    records = _records(host, port, seconds=by - monotonic(), allow_private=allow_private)
    records = records[:MAX_ADDRESSES_TRIED]
    for position, (family, kind, proto, _, address) in enumerate(records):
        share = (by - monotonic()) / (len(records) - position)
        if share <= 0:
            break
        connection = _TimedSocket(family, kind, proto)
        try:
            for option in options:
                connection.setsockopt(*option)
            connection.settimeout(share)
            connection.connect(address)
        except OSError:
            connection.close()
        else:
            # The TLS handshake comes next and ends, as a whole, by the socket's time-out.
            connection.settimeout(min(seconds, max(by - monotonic(), 0.01)))
            return connection
    raise Unreachable


class _Guarded:
    """What is different about our connections: where they lead, and that they do not idle for long."""

    allow_private = False
    connect_seconds = 5.0
    _used_at = 0.0

    def _new_conn(self) -> socket.socket:
        return _connect(
            self._dns_host,
            self.port,
            seconds=self.connect_seconds,
            allow_private=self.allow_private,
            options=self.socket_options or [],
        )

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._used_at = monotonic()
        super().request(*args, **kwargs)

    @property
    def is_connected(self) -> bool:
        return monotonic() - self._used_at < MAX_IDLE_SECONDS and super().is_connected


def _pool_classes(*, allow_private: bool, connect_seconds: float) -> dict[str, type[HTTPConnectionPool]]:
    """Return urllib3's pool classes with our connections in them."""
    rules = {"allow_private": allow_private, "connect_seconds": connect_seconds}
    plain = type("GuardedConnection", (_Guarded, HTTPConnection), rules)
    tls = type("GuardedTlsConnection", (_Guarded, HTTPSConnection), rules)
    return {
        "http": type("GuardedPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("GuardedTlsPool", (HTTPSConnectionPool,), {"ConnectionCls": tls}),
    }


@lru_cache(maxsize=1)
def _tls_context() -> ssl.SSLContext:
    """Trust certifi's authorities and those the machine's owner installed."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    context.set_alpn_protocols(["http/1.1"])
    context.sslsocket_class = _TimedTlsSocket
    return context


class _GuardedAdapter(HTTPAdapter):
    """The transport of ``requests`` over guarded connections, without cookies, proxies or retries."""

    def __init__(self, *, allow_private: bool, connect_seconds: float, pool_size: int) -> None:
        self._pool_classes = _pool_classes(allow_private=allow_private, connect_seconds=connect_seconds)
        super().__init__(pool_connections=KEPT_HOSTS, pool_maxsize=pool_size, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        self.poolmanager = urllib3.PoolManager(
            num_pools=connections, maxsize=maxsize, block=block, ssl_context=_tls_context()
        )
        self.poolmanager.pool_classes_by_scheme = self._pool_classes

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """Leave the pool alone: its TLS context verifies, and loading authorities per call is slow."""

    def build_response(self, req: PreparedRequest, resp: urllib3.HTTPResponse) -> urllib3.HTTPResponse:
        """Hand on what came off the wire: a ``requests`` response would parse its cookies first."""
        return resp


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
        self._transport: tuple[int, _GuardedAdapter] | None = None

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
        _, host, _ = _split(url)
        if not self.allow_private:
            _refuse_odd_number(host)
        prepared = _prepare(method, url, headers=headers, params=params, body=json)
        started = monotonic()
        seconds = self.timeout if deadline is None else deadline
        _call.ends_at = started + seconds
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

    def _adapter(self) -> _GuardedAdapter:
        """Return this process's transport: after a fork, two processes must not share one connection."""
        transport = self._transport
        if transport is not None and transport[0] == os.getpid():
            return transport[1]
        with self._lock:
            if self._transport is None or self._transport[0] != os.getpid():
                adapter = _GuardedAdapter(
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
