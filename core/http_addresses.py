"""Which addresses may be called: only global unicast, however they are spelt and whatever a name resolves to."""

import ipaddress
import queue
import socket
import threading
import unicodedata
from functools import lru_cache
from urllib.parse import urlsplit

from core.http_errors import AddressRefused, BadUrl, Unreachable

MAX_URL_LENGTH = 2_000

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
    scheme, host, port = split_url(url)
    if not allow_private:
        refuse_odd_number(host)
    resolve(host, port or (443 if scheme == "https" else 80), seconds=5.0, allow_private=allow_private)
    return url


@lru_cache(maxsize=1024)
def split_url(url: str) -> tuple[str, str, int | None]:
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
def refuse_odd_number(host: str) -> None:
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


def resolve(host: str, port: int, *, seconds: float, allow_private: bool) -> list[tuple]:
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
