"""Connections of the outbound client: guarded where they lead, and timed in every single operation."""

import socket
import ssl
import threading
from functools import lru_cache
from time import monotonic
from typing import Any

import certifi
import urllib3
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from core.http_addresses import resolve
from core.http_errors import Unreachable

# Many servers close a connection that was idle for five seconds; a request must not race with that.
MAX_IDLE_SECONDS = 4.0
# A name may have any number of addresses: all are checked, this many are tried.
MAX_ADDRESSES_TRIED = 6
KEPT_HOSTS = 32

# The end of the call that this thread is making. A socket is used by one thread at a time, and every
# operation on it gets what is left until then: a limit per operation would let a server drip for ever.
_call = threading.local()


def begin_call(seconds: float) -> None:
    """Let this thread's call, on whatever connection, end in ``seconds`` from now."""
    _call.ends_at = monotonic() + seconds


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
    records = resolve(host, port, seconds=by - monotonic(), allow_private=allow_private)
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
def tls_context() -> ssl.SSLContext:
    """Trust certifi's authorities and those the machine's owner installed."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    context.set_alpn_protocols(["http/1.1"])
    context.sslsocket_class = _TimedTlsSocket
    return context


class GuardedAdapter(HTTPAdapter):
    """The transport of ``requests`` over guarded connections, without cookies, proxies or retries."""

    def __init__(self, *, allow_private: bool, connect_seconds: float, pool_size: int) -> None:
        self._pool_classes = _pool_classes(allow_private=allow_private, connect_seconds=connect_seconds)
        super().__init__(pool_connections=KEPT_HOSTS, pool_maxsize=pool_size, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        """Make pools of guarded connections."""
        self.poolmanager = urllib3.PoolManager(
            num_pools=connections, maxsize=maxsize, block=block, ssl_context=tls_context()
        )
        self.poolmanager.pool_classes_by_scheme = self._pool_classes

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """Leave the pool alone: its TLS context verifies, and loading authorities per call is slow."""

    def build_response(self, req: PreparedRequest, resp: urllib3.HTTPResponse) -> urllib3.HTTPResponse:
        """Hand on what came off the wire: a ``requests`` response would parse its cookies first."""
        return resp
