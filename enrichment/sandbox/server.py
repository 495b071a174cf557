"""The sandbox itself: answers the vendors' paths, keeps a log of who asked what, and does as it is told."""

import asyncio
import ipaddress
import json
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from enrichment.sandbox import faults
from enrichment.sandbox.coverage import complete_record, vendor_record
from enrichment.sandbox.faults import Fault
from enrichment.sandbox.people import Chance, People, Search
from enrichment.sandbox.vendors import VENDORS, Account, Ask, Said, Vendor

VALID_KEY = "demo-"
EMPTY_KEY = "demo-empty-"
MAX_BODY = 1_000_000
KEPT_CALLS = 100_000

STOPPING = web.AppKey("stopping", asyncio.Event)


@dataclass
class LoggedCall:
    """One call as it was received; ``answer`` is filled in when it is decided, ``at`` is Unix time."""

    at: float
    vendor: str
    path: str
    who: str = ""
    reference: str = ""
    answer: str = "received"
    status: int = 0
    channels: list[str] = field(default_factory=list)


class Sandbox:
    """The sandbox's memory: people, accounts, faults, latencies, log. May be told things from any thread."""

    def __init__(
        self,
        *,
        seed: int = 1,
        latency_scale: float = 1.0,
        people: Path | None = None,
        rate_limits: bool = False,
    ) -> None:
        self.chance = Chance(seed)
        self.people = People(self.chance, people)
        self.latency_scale = latency_scale
        self.rate_limits = rate_limits
        self.accounts: dict[tuple[str, str], Account] = {}
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._latency_ms: dict[str, float] = {}
        self._log: deque[LoggedCall] = deque(maxlen=KEPT_CALLS)

    def add_fault(self, vendor: str, fault: str, *, times: int | None = None, ref: str = "") -> None:
        """Switch a fault on; ValueError when there is no such vendor or fault."""
        vendors = [VENDORS[vendor]] if vendor in VENDORS else list(VENDORS.values()) if not vendor else []
        if not any(fault in faults.known_faults(known) for known in vendors):
            raise ValueError(f"no fault {fault!r} of vendor {vendor!r}")
        with self._lock:
            self._faults.append(Fault(vendor, fault, times, ref))

    def clear_faults(self) -> None:
        """Switch all faults off."""
        with self._lock:
            self._faults.clear()

    def active_faults(self) -> list[dict[str, Any]]:
        """Return the faults that are still to happen."""
        with self._lock:
            return [asdict(fault) for fault in self._faults if fault.times != 0]

    def set_latency(self, vendor: str, milliseconds: float | None) -> None:
        """Let a vendor take exactly this long, whatever the scale; None for its usual time again."""
        if vendor not in VENDORS:
            raise ValueError(f"no vendor {vendor!r}")
        with self._lock:
            self._latency_ms.pop(vendor, None)
            if milliseconds is not None:
                self._latency_ms[vendor] = milliseconds

    def log(self) -> list[dict[str, Any]]:
        """Return every call since the log was cleared, oldest first."""
        with self._lock:
            return [asdict(call) for call in self._log]

    def clear_log(self) -> None:
        """Forget the calls."""
        with self._lock:
            self._log.clear()

    def seconds_for(self, vendor: Vendor) -> float:
        """Return how long a vendor takes for the next call."""
        fixed = self._latency_ms.get(vendor.slug)
        return fixed / 1000 if fixed is not None else vendor.latency() * self.latency_scale

    def note(self, call: LoggedCall) -> None:
        """Put a call into the log, as soon as it is received."""
        with self._lock:
            self._log.append(call)

    def take_fault(self, vendor: str, who: str) -> str:
        """Return the fault that hits this call, "" for none; the one switched on first goes first."""
        with self._lock:
            for fault in self._faults:
                if fault.applies_to(vendor, who):
                    fault.times = None if fault.times is None else fault.times - 1
                    return fault.name
        return ""

    def answer(self, vendor: Vendor, ask: Ask, call: LoggedCall, search: Search | None, fault: str) -> Said:
        """Decide what a vendor says to a request."""
        if (said := faults.said_fault(fault, vendor)) is not None:
            return said
        key = vendor.key(ask)
        if not key.startswith(VALID_KEY):
            return vendor.key_rejected()
        account = self.accounts.setdefault((vendor.slug, key), Account())
        empty = key.startswith(EMPTY_KEY)
        if (ask.method, ask.path) == vendor.account_path:
            return vendor.account(ask, account, empty=empty)
        if (ask.method, ask.path) != vendor.find_path:
            return vendor.error(404, "Not Found", kind="no_such_path")
        if self.rate_limits and (seconds := account.over_limit(vendor.limits)):
            return vendor.rate_limited(seconds)
        if search is None:
            return vendor.incomplete()
        if empty:
            return vendor.out_of_credit()
        return self._found(vendor, ask, call, search, account, fault)

    def _found(
        self, vendor: Vendor, ask: Ask, call: LoggedCall, search: Search, account: Account, fault: str
    ) -> Said:
        person = self.people.find(search)
        change = faults.record_fault(fault)
        if person is None or fault == "miss":
            return vendor.missed(ask)
        if change is not None:
            record = change(complete_record(person))
        else:
            record = vendor_record(self.chance, vendor.slug, person)
        if record is None:
            return vendor.missed(ask)
        said = vendor.found(ask, record, account)
        call.channels = record.channels if said.kind == "found" else []
        return said


def make_app(sandbox: Sandbox) -> web.Application:
    """Return the aiohttp application that serves ``sandbox``."""
    app = web.Application(client_max_size=MAX_BODY)
    app[STOPPING] = asyncio.Event()

    async def stop(app: web.Application) -> None:
        app[STOPPING].set()

    app.on_shutdown.append(stop)
    _add_control(app, sandbox)

    async def serve(request: web.Request) -> web.StreamResponse:
        return await _serve(request, sandbox)

    app.router.add_route("*", "/{path:.*}", serve)
    return app


# --- The vendors' side -----------------------------------------------------------------------------------


async def _serve(request: web.Request, sandbox: Sandbox) -> web.StreamResponse:
    vendor = next((v for v in VENDORS.values() if request.path.startswith(f"{v.prefix}/")), None)
    if vendor is None:
        return web.json_response({"error": "The sandbox has no such vendor."}, status=404)
    ask = await _ask(request, vendor)
    search = vendor.search(ask) if (ask.method, ask.path) == vendor.find_path else None
    call = LoggedCall(
        time.time(), vendor.slug, ask.path, search.who if search else "", ask.headers.get("x-request-id", "")
    )
    sandbox.note(call)
    await asyncio.sleep(sandbox.seconds_for(vendor))
    fault = sandbox.take_fault(vendor.slug, call.who)
    if fault in faults.WIRE:
        call.answer = fault
        try:
            return await faults.WIRE[fault](request, request.app[STOPPING])
        except ConnectionError:
            return web.Response()
    if (body := faults.raw_body(fault)) is not None:
        call.answer, call.status = fault, 200
        return web.Response(body=body, content_type="text/html" if fault == "html" else "application/json")
    said = sandbox.answer(vendor, ask, call, search, fault)
    call.answer, call.status = fault or said.kind, said.status
    return _response(said, fault)


async def _ask(request: web.Request, vendor: Vendor) -> Ask:
    try:
        body = json.loads(await request.read() or b"null")
    except ValueError:
        body = None
    return Ask(
        request.method,
        request.path.removeprefix(vendor.prefix),
        dict(request.query),
        {name.lower(): value for name, value in request.headers.items()},
        body,
    )


def _response(said: Said, fault: str) -> web.Response:
    change = faults.payload_fault(fault)
    body = change(said.body) if change else said.body
    if isinstance(body, str):
        return web.Response(status=said.status, text=body, headers=said.headers)
    return web.Response(
        status=said.status, body=faults.as_json(body), content_type="application/json", headers=said.headers
    )


# --- The control side ------------------------------------------------------------------------------------


def _add_control(app: web.Application, sandbox: Sandbox) -> None:
    """Add /_control: for this machine's tests and demos only, whatever address the server listens on."""

    async def list_faults(request: web.Request) -> web.Response:
        known = {slug: faults.known_faults(vendor) for slug, vendor in VENDORS.items()}
        return web.json_response({"active": sandbox.active_faults(), "known": known})

    async def add_fault(request: web.Request) -> web.Response:
        told = await _told(request)
        times = told.get("times")
        if times is not None and not (isinstance(times, int) and times > 0):
            raise ValueError("times is a whole number above 0, or null")
        vendor, ref = str(told.get("vendor") or ""), str(told.get("ref") or "")
        sandbox.add_fault(vendor, str(told.get("fault")), times=times, ref=ref)
        return web.json_response({"active": sandbox.active_faults()}, status=201)

    async def clear_faults(request: web.Request) -> web.Response:
        sandbox.clear_faults()
        return web.json_response({"active": []})

    async def log(request: web.Request) -> web.Response:
        return web.json_response(sandbox.log())

    async def clear_log(request: web.Request) -> web.Response:
        sandbox.clear_log()
        return web.json_response([])

    async def latency(request: web.Request) -> web.Response:
        told = await _told(request)
        milliseconds = told.get("ms")
        if milliseconds is not None and not (
            isinstance(milliseconds, int | float) and 0 <= milliseconds <= 600_000
        ):
            raise ValueError("ms is a number from 0 to 600000, or null")
        sandbox.set_latency(str(told.get("vendor")), milliseconds)
        return web.json_response(told)

    for method, path, handler in (
        ("GET", "/_control/faults", list_faults),
        ("POST", "/_control/faults", add_fault),
        ("DELETE", "/_control/faults", clear_faults),
        ("GET", "/_control/log", log),
        ("DELETE", "/_control/log", clear_log),
        ("POST", "/_control/latency", latency),
    ):
        app.router.add_route(method, path, handler)
    app.middlewares.append(_control_is_local)


@web.middleware
async def _control_is_local(request: web.Request, handler: Any) -> web.StreamResponse:
    """Hide /_control from other machines and from web pages; turn what it does not understand into words."""
    if not request.path.startswith("/_control"):
        return await handler(request)
    if not (_is_loopback(request.remote or "") and _is_loopback(request.url.host or "")):
        return web.json_response({"error": "Not found."}, status=404)
    try:
        return await handler(request)
    except ValueError as error:
        return web.json_response({"error": str(error)}, status=400)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _told(request: web.Request) -> dict[str, Any]:
    told = await request.json()
    if not isinstance(told, dict):
        raise ValueError("send a JSON object")
    return told
