"""A worker's loop: claims items, asks vendors from threads, and writes from one thread over one connection."""

import logging
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, connection, transaction

from core.channels import mask_of
from core.clock import zone_of
from enrichment.adapters.base import RETRY, Adapter, AdapterError, Answer, LeadQuery
from enrichment.engine import limits
from enrichment.engine.judging import mark_taken
from enrichment.engine.leases import Lease, claim_items, extend_leases, give_back, lock_leases
from enrichment.engine.load import LiveItem, load_items
from enrichment.engine.settle import FinishedCall, Progress, write_progress, write_stale
from enrichment.exceptions import ProviderRefused
from enrichment.jobs import wake_workers
from enrichment.models import Provider, RunItem, VendorCall
from enrichment.services.providers import block_provider, build_provider_adapter
from leads import services as lead_services

logger = logging.getLogger(__name__)

Done = TypeVar("Done")

THREADS = 48
CAPACITY = 100
MAX_SECONDS = 600
CLAIM_EVERY = 0.25
HEARTBEAT_EVERY = 1.5
GATHER_FROM = 12
GATHER_SECONDS = 0.01
# A database that restarts is waited for, but not beyond the leases.
OUTAGE_SECONDS = 15.0
OUTAGE_PAUSE = 0.25
# A lead that would wait longer than this goes back to the line instead of occupying the worker.
PARK_AFTER = 5.0
TRIES = {"later": 4, "once": 2, "never": 1}
BACKOFF_CAP = 900.0
RATE_LIMIT_DEFAULT = 30.0
PENDING_SECONDS = 1.0
BLOCKING = ("key_rejected", "out_of_credit")
UNHEALTHY = ("unreachable", "no_answer", "vendor_error", "bad_answer", "too_large", "redirected", "unsafe")


@dataclass(frozen=True)
class _Flight:
    """A vendor call under way."""

    live: LiveItem
    provider: int
    call_id: int
    started: float


class Worker:
    """Drains claimable items; one instance per job, used from one thread.

    ``should_stop`` is asked often: once true, nothing new is claimed or asked, calls under way are
    recorded, and the leases go back to the line.
    """

    def __init__(self, *, owner: str, should_stop: Callable[[], bool] = lambda: False) -> None:
        self.owner = owner
        self.should_stop = should_stop
        self.live: dict[int, LiveItem] = {}
        self.flights: dict[Future, _Flight] = {}
        self.providers: dict[int, Provider] = {}
        self.adapters: dict[int, tuple[tuple, Adapter]] = {}
        self.news: dict[int, Progress] = {}
        self.next_claim = 0.0
        self.next_heartbeat = 0.0
        self.deadline = time.monotonic() + MAX_SECONDS
        self.ended = 0

    def drain(self) -> int:
        """Work until nothing is claimable or a stop is asked for; returns how many items ended."""
        with ThreadPoolExecutor(THREADS, thread_name_prefix="vendor") as pool:
            while True:
                _outlast(self._claim)
                _outlast(lambda: self._ask(pool))
                self._write()
                _outlast(self._give_back_waiting)
                if not self.live and not self.flights:
                    break
                self._take_in(self._wait())
                self._write()
                _outlast(self._heartbeat)
        if time.monotonic() >= self.deadline:
            wake_workers()
        return self.ended

    @property
    def _stopping(self) -> bool:
        return self.should_stop() or time.monotonic() >= self.deadline

    def _claim(self) -> None:
        now = time.monotonic()
        room = CAPACITY - len(self.live)
        if room <= 0 or now < self.next_claim or self._stopping:
            return
        leases = claim_items(owner=self.owner, limit=room)
        self.next_claim = now + (0 if len(leases) == room else CLAIM_EVERY)
        if not leases:
            return
        self._refresh_providers(leases)
        for live in load_items(leases, self.providers):
            self.live[live.id] = live
            self._has_news(live)

    def _refresh_providers(self, leases: Iterable[Lease]) -> None:
        workspaces = RunItem.objects.filter(pk__in=[lease.item_id for lease in leases]).values("workspace_id")
        for provider in Provider.objects.filter(workspace_id__in=workspaces):
            self.providers[provider.pk] = provider

    def _adapter(self, provider: Provider) -> Adapter:
        made_from = (provider.vendor, str(provider.credentials), provider.base_url, provider.timeout_seconds)
        if (kept := self.adapters.get(provider.pk)) is None or kept[0] != made_from:
            self.adapters[provider.pk] = (made_from, build_provider_adapter(provider))
        return self.adapters[provider.pk][1]

    def _ask(self, pool: ThreadPoolExecutor) -> None:
        """Write the intents of every call that may be made now, then make them."""
        if self._stopping:
            return
        asks: list[tuple[LiveItem, int]] = []
        gates = limits.Gatekeeper()
        for live in self.live.values():
            if live.stopping or live.suppressed:
                continue
            for provider in live.fall.due(time.time()):
                if len(self.flights) + len(asks) >= THREADS:
                    break
                if self._let_through(live, provider, gates):
                    asks.append((live, provider))
        if asks:
            self._send(pool, asks)

    def _let_through(self, live: LiveItem, provider_id: int, gates: limits.Gatekeeper) -> bool:
        provider = self.providers[provider_id]
        if provider.blocked_code or not provider.enabled:
            self._fail(
                live, provider_id, provider.blocked_code or "off", "stopped while this run was under way"
            )
            return False
        try:
            adapter = self._adapter(provider)
        except (ProviderRefused, ImproperlyConfigured):
            # Its vendor or its key is unknown to this machine; the other providers go on.
            self._fail(live, provider_id, "misconfigured", "not set up correctly on this server")
            return False
        gate = gates.check(provider_id, adapter.limits)
        if gate.open:
            return True
        if gate.pass_over:
            zone = zone_of(live.item.lead.workspace.timezone)
            again = datetime.now(zone) + timedelta(seconds=gate.wait)
            self._fail(
                live, provider_id, "not_answering", f"not answering, passed over until {again:%H:%M:%S}"
            )
        else:
            live.fall.wait(provider_id, time.time() + gate.wait)
        return False

    def _send(self, pool: ThreadPoolExecutor, asks: list[tuple[LiveItem, int]]) -> None:
        calls = self._write_intents(asks)
        for (live, provider), call in zip(asks, calls, strict=True):
            if call is None:
                continue
            live.fall.asking(provider)
            live.in_flight += 1
            live.tries[provider] = call.attempt
            query = replace(live.query, ref=call.reference)
            channels = (
                frozenset(live.fall.wanted(provider)) & self._adapter(self.providers[provider]).channels
            )
            future = pool.submit(_call, self._adapter(self.providers[provider]), query, channels)
            self.flights[future] = _Flight(live, provider, call.pk, time.monotonic())

    def _write_intents(self, asks: list[tuple[LiveItem, int]]) -> list[VendorCall | None]:
        """One row per call before it is made; None for items that are not ours any more."""
        with transaction.atomic():
            mine = lock_leases({live.lease for live, _ in asks})
            calls = {
                (live.id, provider): VendorCall(
                    workspace_id=live.item.workspace_id,
                    item_id=live.id,
                    provider_id=provider,
                    attempt=live.tries.get(provider, 0) + 1,
                    fence=live.lease.fence,
                    reference=f"hw-{live.id}-{provider}",
                    channels=mask_of(live.fall.wanted(provider)),
                )
                for live, provider in asks
                if live.id in mine
            }
            VendorCall.objects.bulk_create(calls.values())
        self._drop({live.id for live, _ in asks} - mine)
        return [calls.get((live.id, provider)) for live, provider in asks]

    def _wait(self) -> list[Future]:
        """Until a call ends or something else is due; never longer than a heartbeat."""
        now = time.monotonic()
        limit = min(self.next_heartbeat - now, HEARTBEAT_EVERY)
        if len(self.live) < CAPACITY and not self._stopping:
            limit = min(limit, self.next_claim - now)
        retries = [retry for live in self.live.values() if (retry := live.fall.next_retry()) is not None]
        if retries:
            limit = min(limit, min(retries) - time.time())
        limit = max(limit, 0.005)
        if not self.flights:
            threading.Event().wait(limit)
            return []
        done = wait(self.flights, timeout=limit, return_when=FIRST_COMPLETED).done
        if done and len(self.flights) >= GATHER_FROM:
            # Under load a moment's patience turns many small transactions into few.
            done = wait(self.flights, timeout=GATHER_SECONDS).done
        return list(done)

    def _take_in(self, done: list[Future]) -> None:
        """Turn finished calls into findings; calls of items we lost are recorded as too late."""
        late: list[FinishedCall] = []
        arrived: list[tuple[_Flight, Answer | AdapterError, int]] = []
        for future in done:
            flight = self.flights.pop(future)
            flight.live.in_flight -= 1
            outcome, latency_ms = future.result()
            if self.live.get(flight.live.id) is not flight.live:
                late.append(FinishedCall(flight.call_id, VendorCall.State.STALE, latency_ms))
            else:
                arrived.append((flight, outcome, latency_ms))
        answers = [(f.live.judge, o.candidates) for f, o, _ in arrived if isinstance(o, Answer)]
        _outlast(lambda: mark_taken(answers))
        for flight, outcome, latency_ms in arrived:
            flight.live.latencies[flight.provider] = latency_ms
            take = self._take_answer if isinstance(outcome, Answer) else self._take_error
            self._has_news(flight.live).calls.append(take(flight, outcome, latency_ms))
        self._record_health(arrived)
        if late:
            _outlast(lambda: write_stale(late))

    @staticmethod
    def _record_health(arrived: list[tuple[_Flight, Answer | AdapterError, int]]) -> None:
        """Tell the breaker; a limit, a refused lead or a rejected key says nothing about a provider's health."""
        health: dict[int, list[bool]] = defaultdict(list)
        for flight, outcome, _ in arrived:
            if isinstance(outcome, Answer):
                health[flight.provider].append(True)
            elif outcome.code in UNHEALTHY:
                health[flight.provider].append(False)
        for provider, outcomes in health.items():
            limits.record_health(provider, outcomes)

    def _take_answer(self, flight: _Flight, answer: Answer, latency_ms: int) -> FinishedCall:
        flight.live.findings += flight.live.fall.answered(flight.provider, answer.candidates)
        cost = None if answer.vendor_cost is None else str(answer.vendor_cost)
        return FinishedCall(
            flight.call_id, VendorCall.State.ANSWERED, latency_ms, answer=answer.to_json(), vendor_cost=cost
        )

    def _take_error(self, flight: _Flight, error: AdapterError, latency_ms: int) -> FinishedCall:
        live, provider = flight.live, flight.provider
        if error.code in BLOCKING and not self.providers[provider].blocked_code:
            self.providers[provider].blocked_code = error.code
            _outlast(lambda: block_provider(provider=self.providers[provider], code=error.code))
        if error.code == "suppressed":
            lead, why = live.item.lead, error.message
            _outlast(
                lambda: lead_services.suppress(workspace=lead.workspace, lead=lead, reason=why, actor=None)
            )
            live.suppressed = True
        delay = self._retry_delay(live, provider, error)
        retry_at = None if delay is None else time.time() + delay
        if retry_at is None:
            live.findings += live.fall.failed(provider, error.code, error.message)
        else:
            live.fall.wait(provider, retry_at)
        return FinishedCall(
            flight.call_id,
            VendorCall.State.FAILED,
            latency_ms,
            error_code=error.code,
            error_message=error.message,
            retry_at=None if retry_at is None else datetime.fromtimestamp(retry_at, UTC),
        )

    def _retry_delay(self, live: LiveItem, provider: int, error: AdapterError) -> float | None:
        """Seconds until this provider is tried again for this lead; None when it is not."""
        tries = live.tries[provider]
        seconds = RATE_LIMIT_DEFAULT if error.retry_after is None else error.retry_after
        if error.code == "rate_limited":
            # "At once", or a date that by our clock has passed, must not use up all tries in a blink.
            seconds = max(seconds, 2.0**tries)
            limits.pause_provider(provider, seconds)
        if tries >= TRIES[RETRY[error.code]]:
            return None
        if error.code == "rate_limited":
            return seconds
        if error.code == "pending":
            return error.retry_after or PENDING_SECONDS
        return random.uniform(0, min(BACKOFF_CAP, 2.0 * 2**tries))

    def _fail(self, live: LiveItem, provider: int, code: str, message: str) -> None:
        live.findings += live.fall.failed(provider, code, message)
        self._has_news(live)

    def _has_news(self, live: LiveItem) -> Progress:
        return self.news.setdefault(live.id, Progress(live))

    def _write(self) -> None:
        """Write all news; an item whose news cannot be written is left to its lease and does not harm others."""
        for live in self.live.values():
            if live.over:
                self._has_news(live)
        batch = [p for p in self.news.values() if p.calls or p.live.findings or p.live.over]
        self.news = {}
        if not batch:
            return
        try:
            lost = _outlast(lambda: write_progress(batch, self.providers))
        except Exception as error:
            if _is_outage(error):
                raise
            logger.exception("Writing %d items together failed; writing them one by one", len(batch))
            lost = self._write_singly(batch)
        self._drop(lost)
        over = {p.live.id for p in batch if p.live.over and p.live.id not in lost}
        self.ended += len(over)
        self._drop(over)

    def _write_singly(self, batch: list[Progress]) -> set[int]:
        lost: set[int] = set()
        for progress in batch:
            try:
                lost |= write_progress([progress], self.providers)
            except Exception:
                logger.exception("Run item %d cannot be written; its lease will run out", progress.live.id)
                lost.add(progress.live.id)
        return lost

    def _give_back_waiting(self) -> None:
        """Park items that only wait, and, when stopping, every item without a call under way."""
        delays: dict[Lease, float] = {}
        stopping = self._stopping
        for live in self.live.values():
            retry = live.fall.next_retry()
            delay = None if retry is None else retry - time.time()
            if live.in_flight or live.over:
                continue
            if stopping or (delay is not None and delay > PARK_AFTER):
                delays[live.lease] = max(0.0, delay or 0.0)
        if delays:
            give_back(delays)
            self._drop({lease.item_id for lease in delays})

    def _heartbeat(self) -> None:
        now = time.monotonic()
        if now < self.next_heartbeat or not self.live:
            return
        self.next_heartbeat = now + HEARTBEAT_EVERY
        cancelled = extend_leases([live.lease for live in self.live.values()])
        self._drop(set(self.live) - set(cancelled))
        for item_id, stopped in cancelled.items():
            self.live[item_id].stopping |= stopped

    def _drop(self, ids: Iterable[int]) -> None:
        for item_id in list(ids):
            self.live.pop(item_id, None)
            self.news.pop(item_id, None)


def _outlast(work: Callable[[], Done]) -> Done:
    """Do database work, again while the database is away: a restart must not lose answers that cost something."""
    until = time.monotonic() + OUTAGE_SECONDS
    while True:
        try:
            return work()
        except (OperationalError, InterfaceError) as error:
            if not _is_outage(error) or time.monotonic() >= until:
                raise
            logger.warning("The database is away, trying again: %s", error)
            connection.close()
            threading.Event().wait(OUTAGE_PAUSE)


def _is_outage(error: Exception) -> bool:
    """Whether the connection was lost or refused: no state at all, class 08, or a server going down."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    state = getattr(error.__cause__, "sqlstate", None)
    return state is None or state.startswith(("08", "57P"))


def _call(adapter: Adapter, query: LeadQuery, channels: frozenset[str]) -> tuple[Answer | AdapterError, int]:
    """Runs in a vendor thread: HTTP only, no database. Returns the outcome and its milliseconds."""
    started = time.monotonic()
    try:
        outcome: Answer | AdapterError = adapter.find(query, channels)
    except AdapterError as error:
        outcome = error
    except Exception:
        # An adapter that trips over an answer must not take the worker down; the trace goes to the log.
        logger.exception("Adapter %s failed on an answer", adapter.slug)
        outcome = AdapterError("bad_answer", "unexpected answer")
    return outcome, int((time.monotonic() - started) * 1000)
