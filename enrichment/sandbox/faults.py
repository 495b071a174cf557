"""Everything that can go wrong with a vendor, by name, so that it can be made to."""

import asyncio
import contextlib
import gzip
import json
import socket
import struct
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from email.utils import formatdate
from functools import lru_cache
from typing import Any

from aiohttp import web

from enrichment.sandbox.coverage import Record, somebody_else
from enrichment.sandbox.vendors import Said, Vendor

DRIP_SECONDS = 0.05


@dataclass
class Fault:
    """A fault that is switched on; ``times`` None means until it is switched off, "" matches any."""

    vendor: str
    name: str
    times: int | None = None
    ref: str = ""

    def applies_to(self, vendor: str, who: str) -> bool:
        """Say whether a call is to be hit; ``ref`` is found anywhere in the log's words for the person."""
        return self.vendor in ("", vendor) and self.times != 0 and self.ref.lower() in who.lower()


# --- Answers that are not what they should be ------------------------------------------------------------

_BODIES: dict[str, bytes] = {
    "html": b"<!doctype html><html><title>502 Bad Gateway</title><h1>502 Bad Gateway</h1></html>",
    "empty": b"",
    "bom": b'\xef\xbb\xbf{"data": {"email": "ada@example.com"}}',
    "trailing": b'{"data": {"email": "ada@example.com"}} <!-- cached -->',
    "bad_utf8": b'{"data": {"first_name": "Zo\xeb", "email": "zoe@example.com"}}',
    "nan": b'{"data": {"email": "ada@example.com", "score": NaN}}',
    "huge_int": b'{"data": {"email": "ada@example.com", "score": ' + b"9" * 5_000 + b"}}",
    "deep": b"[" * 200_000 + b"]" * 200_000,
    "true": b"true",
    "null": b"null",
    "list": b"[]",
}

_STATUSES = {"400": 400, "401": 401, "402": 402, "403": 403, "404": 404, "422": 422, "429": 429}
_STATUSES |= {"500": 500, "502": 502, "503": 503}

_RETRY_AFTER: dict[str, Callable[[], str]] = {
    "rate_limited_seconds": lambda: "7",
    "rate_limited_date": lambda: formatdate(time.time() + 90, usegmt=True),
    "rate_limited_junk": lambda: "soon",
    "rate_limited_negative": lambda: "-5",
    "rate_limited_huge": lambda: "99999999999999999999",
    "rate_limited_past": lambda: "Wed, 21 Oct 2015 07:28:00 GMT",
}

_HOSTILE_NAME = "Ada\u202e\u200b\ufeff<script>alert(1)</script>" + "A" * 600_000


def _with_text(change: Callable[[str], str]) -> Callable[[Record], Record]:
    """Return a fault that changes the names and values a vendor answers with."""

    def changed(record: Record) -> Record:
        fields = ("first_name", "last_name", "work_email", "personal_email", "linkedin_url", "mobile")
        return replace(record, **{name: change(getattr(record, name)) for name in fields})

    return changed


_RECORDS: dict[str, Callable[[Record], Record]] = {
    "match": lambda record: record,
    "wrong_person": somebody_else,
    "role_address": lambda record: replace(record, work_email=f"info@{record.domain}"),
    "catch_all": lambda record: replace(record, email_state="catch_all"),
    "invalid": lambda record: replace(record, email_state="invalid"),
    "nul": _with_text(lambda text: f"{text[:1]}\x00{text[1:]}"),
    "surrogate": _with_text(lambda text: f"{text}\ud800"),
    "hostile_text": lambda record: replace(record, first_name=_HOSTILE_NAME, last_name="=cmd|' /C calc'!A0"),
}


def _lists_for_objects(payload: Any) -> Any:
    """Put a list around every object inside the answer."""
    return {name: [value] if isinstance(value, dict) else value for name, value in payload.items()}


def _empty_emails(payload: Any) -> Any:
    """Put ``{}`` where an e-mail address or its object was."""
    if isinstance(payload, list):
        return [_empty_emails(item) for item in payload]
    if not isinstance(payload, dict):
        return payload
    return {
        name: {} if name in ("email", "work_email") else _empty_emails(value)
        for name, value in payload.items()
    }


_PAYLOADS: dict[str, Callable[[Any], Any]] = {
    "list_for_object": _lists_for_objects,
    "empty_email_object": _empty_emails,
    "nested": lambda payload: {"result": {"result": payload}},
}

DOCUMENTED = ("miss", "key_rejected", "out_of_credit", "rate_limited", "no_credit_200")


def record_fault(name: str) -> Callable[[Record], Record] | None:
    """Return what a fault does to the record that is answered; None if it is none of this kind."""
    return _RECORDS.get(name, _RECORDS["match"] if name in _PAYLOADS else None)


def payload_fault(name: str) -> Callable[[Any], Any] | None:
    """Return what a fault does to the JSON that is answered; None if it is none of this kind."""
    return _PAYLOADS.get(name)


def said_fault(name: str, vendor: Vendor) -> Said | None:
    """Return the answer a fault replaces; None if it is none of this kind."""
    if name in _STATUSES:
        return vendor.error(_STATUSES[name], "Something went wrong", kind=f"status_{name}")
    if name in _RETRY_AFTER:
        said = vendor.rate_limited()
        return replace(said, headers=dict(said.headers) | {"Retry-After": _RETRY_AFTER[name]()})
    if name == "no_credit_200":
        return Said(200, {"error": "Not enough credits to run this request"}, name)
    documented = {
        "key_rejected": vendor.key_rejected,
        "out_of_credit": vendor.out_of_credit,
        "rate_limited": vendor.rate_limited,
    }
    return documented[name]() if name in documented else vendor.specials().get(name)


# --- Answers that break off, never end, or lead away -----------------------------------------------------

WireFault = Callable[[web.Request, asyncio.Event], Awaitable[web.StreamResponse]]


async def _reset(request: web.Request, stopping: asyncio.Event) -> web.StreamResponse:
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()


async def _truncated(request: web.Request, stopping: asyncio.Event) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "5000"})
    await response.prepare(request)
    await response.write(b'{"data": {"email": "ada@')
    if request.transport is not None:
        request.transport.close()
    return response


async def _silence(request: web.Request, stopping: asyncio.Event) -> web.StreamResponse:
    while _connected(request):
        await _pause(stopping, DRIP_SECONDS)
    return web.Response()


async def _slow_headers(request: web.Request, stopping: asyncio.Event) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while _connected(request) and request.transport is not None:
        request.transport.write(b"a")
        await _pause(stopping, DRIP_SECONDS)
    return web.Response()


async def _slow_drip(request: web.Request, stopping: asyncio.Event) -> web.StreamResponse:
    async def drips() -> Any:
        while True:
            yield b" "
            await _pause(stopping, DRIP_SECONDS)

    return await _pour(request, {"Content-Length": "100000"}, drips())


async def _giant(request: web.Request, stopping: asyncio.Event) -> web.StreamResponse:
    return await _pour(request, {"Content-Length": str(10 * 2**30)}, _repeated(b"a" * 65_536))


async def _endless(request: web.Request, stopping: asyncio.Event) -> web.StreamResponse:
    return await _pour(request, {}, _repeated(b"a" * 65_536))


async def _gzip_bomb(request: web.Request, stopping: asyncio.Event) -> web.StreamResponse:
    return await _pour(request, {"Content-Encoding": "gzip"}, _repeated(*_bomb()))


async def _odd_encoding(request: web.Request, stopping: asyncio.Event) -> web.StreamResponse:
    body = gzip.compress(gzip.compress(b'{"data": {}}'))
    return web.Response(body=body, headers={"Content-Encoding": "gzip, gzip"})


async def _redirect(request: web.Request, stopping: asyncio.Event) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "/_control/elsewhere"})


WIRE: dict[str, WireFault] = {
    "reset": _reset,
    "truncated": _truncated,
    "silence": _silence,
    "slow_headers": _slow_headers,
    "slow_drip": _slow_drip,
    "giant": _giant,
    "endless": _endless,
    "gzip_bomb": _gzip_bomb,
    "odd_encoding": _odd_encoding,
    "redirect": _redirect,
}


def known_faults(vendor: Vendor) -> list[str]:
    """Return every fault's name that can be switched on for a vendor."""
    tables = (_BODIES, _STATUSES, _RETRY_AFTER, _RECORDS, _PAYLOADS, WIRE, vendor.specials())
    return sorted({name for table in tables for name in table} | set(DOCUMENTED))


def raw_body(name: str) -> bytes | None:
    """Return the bytes that come in place of JSON; None if the fault is none of this kind."""
    return _BODIES.get(name)


def as_json(body: Any) -> bytes:
    """Write JSON in ASCII, in which lone surrogates can be written too."""
    return json.dumps(body).encode()


async def _pour(request: web.Request, headers: dict[str, str], parts: Any) -> web.StreamResponse:
    """Write until the client has enough."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"} | headers)
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        async for part in parts:
            if not _connected(request):
                break
            await response.write(part)
    if request.transport is not None:
        request.transport.abort()
    return response


async def _repeated(*parts: bytes) -> Any:
    """Yield all the parts, then the last one again and again."""
    for part in parts:
        yield part
    while True:
        yield parts[-1]
        await asyncio.sleep(0)


@lru_cache(maxsize=1)
def _bomb() -> tuple[bytes, bytes]:
    """Return a gzip stream's start and a part that may be repeated: ten megabytes of zeros in ten kilobytes."""
    packer = zlib.compressobj(9, wbits=31)
    zeros = b"\0" * 10_000_000
    start = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    return start, packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)


def _connected(request: web.Request) -> bool:
    return request.transport is not None and not request.transport.is_closing()


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    """Wait, but end at once when the sandbox stops."""
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return
    raise ConnectionResetError("the sandbox stops")
