"""Runs a sandbox inside this process, in a thread of its own, for tests and benchmarks."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from aiohttp import web

from enrichment.sandbox.people import Search
from enrichment.sandbox.server import Sandbox, make_app
from enrichment.sandbox.vendors import VENDORS

# A fault may keep a handler busy without end: none is waited for.
SHUTDOWN_SECONDS = 0.1


class RunningSandbox:
    """A sandbox at an address, and what it can be told."""

    def __init__(self, sandbox: Sandbox, url: str) -> None:
        self.sandbox = sandbox
        self.url = url

    def base_url(self, vendor: str) -> str:
        """Return what stands in place of the vendor's own base URL."""
        return self.url + VENDORS[vendor].prefix

    def faults(self, vendor: str, fault: str, times: int | None = None, ref: str = "") -> None:
        """Switch a fault on; vendor "" is all of them, ``ref`` a part of a person's name or company."""
        self.sandbox.add_fault(vendor, fault, times=times, ref=ref)

    def clear_faults(self) -> None:
        """Switch all faults off."""
        self.sandbox.clear_faults()

    def latency(self, vendor: str, milliseconds: float | None) -> None:
        """Let a vendor take exactly this long."""
        self.sandbox.set_latency(vendor, milliseconds)

    def log(self, vendor: str = "") -> list[dict[str, Any]]:
        """Return the calls received, oldest first, of one vendor or of all."""
        return [call for call in self.sandbox.log() if vendor in ("", call["vendor"])]

    def clear_log(self) -> None:
        """Forget the calls."""
        self.sandbox.clear_log()

    def person(self, **search: str) -> Any:
        """Return the truth about a person (see people.Person), by the fields of people.Search."""
        return self.sandbox.people.find(Search(**search))


@contextlib.contextmanager
def running_sandbox(
    *,
    seed: int = 1,
    latency_scale: float = 0.0,
    people: Path | str | None = None,
    rate_limits: bool = False,
) -> Iterator[RunningSandbox]:
    """Serve a sandbox on a free loopback port for the length of the block."""
    sandbox = Sandbox(
        seed=seed,
        latency_scale=latency_scale,
        people=Path(people) if people else None,
        rate_limits=rate_limits,
    )
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = Future()
    thread = threading.Thread(
        target=lambda: asyncio.run(_serve(sandbox, started)), name="sandbox", daemon=True
    )
    thread.start()
    loop, stop, port = started.result(timeout=10)
    try:
        yield RunningSandbox(sandbox, f"http://127.0.0.1:{port}")
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


async def _serve(sandbox: Sandbox, started: Future) -> None:
    """Serve until told to stop; ``started`` gets the loop, the event that stops it, and the port."""
    runner = None
    try:
        runner = web.AppRunner(make_app(sandbox), shutdown_timeout=SHUTDOWN_SECONDS, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        stop = asyncio.Event()
        started.set_result((asyncio.get_running_loop(), stop, runner.addresses[0][1]))
        await stop.wait()
    except Exception as error:
        if not started.done():
            started.set_exception(error)
    finally:
        if runner is not None:
            await runner.cleanup()
