"""From the click to the settled lead, beside the vendors' own time."""

import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import requests
from django.test import Client
from django.urls import reverse

from bench.world import make_leads, make_workspace
from core.http import HttpClient
from enrichment.models import ChannelEnrichment, RunItem
from enrichment.sandbox import sandbox_base_url
from enrichment.services.runs import preview_enrichment
from leads.models import Lead

VENDOR_MS = 300
CLICKS = 25
PORT = 8791
VENDORS = ("apollo", "peopledatalabs", "prospeo")


def measure() -> Iterator[str]:
    """Median seconds from POST to settled, and over the slowest channel's vendor calls."""
    with ExitStack() as stack:
        stack.enter_context(_sandbox())
        stack.enter_context(_process("run_worker"))
        workspace, user, audience = make_workspace(
            "Click", {v: sandbox_base_url(v, port=PORT) for v in VENDORS}
        )
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        leads = make_leads(workspace, audience, CLICKS + 2)
        call = _one_call()
        totals, overheads = [], []
        for lead in leads:
            total, rounds = _click(client, lead)
            totals.append(total)
            overheads.append(total - rounds * call)
        totals, overheads = totals[2:], overheads[2:]
    total, over = statistics.median(totals) * 1000, statistics.median(overheads) * 1000
    yield (
        f"click to settled, 4 channels, 3 providers of {VENDOR_MS} ms: median {total:.0f} ms; "
        f"floor (the vendor calls that follow each other) {total - over:.0f} ms; overhead {over:.0f} ms (aim <= 250)"
    )


def _click(client: Client, lead: Lead) -> tuple[float, int]:
    quoted = preview_enrichment(lead=lead).worst_case
    started = time.perf_counter()
    response = client.post(
        reverse("enrichment:start_enrichment", args=[lead.pk]),
        {"idempotency_key": str(uuid.uuid4()), "quoted": quoted},
        headers={"HX-Request": "true"},
    )
    assert response.status_code == 200, response.content[:500]
    while not RunItem.objects.filter(lead=lead, finished_at__isnull=False).exists():
        time.sleep(0.003)
        assert time.perf_counter() - started < 30, "not settled in 30 s"
    total = time.perf_counter() - started
    return total, _rounds(lead)


def _rounds(lead: Lead) -> int:
    """How many vendor calls must follow each other for this lead, when nothing but the vendors takes time."""
    rows = ChannelEnrichment.objects.filter(item__lead=lead)
    orders = {row.channel: ([entry["provider"] for entry in row.plan], row.provider_id) for row in rows}
    answered: set[int] = set()
    for rounds in range(10):
        standing = {step for order, found in orders.values() if (step := _next(order, found, answered))}
        if not standing:
            return rounds
        answered |= standing
    raise AssertionError("a fall of four providers has at most four rounds")


def _next(order: list[int], found: int | None, answered: set[int]) -> int | None:
    """The provider a channel waits for; None when it has ended."""
    for provider in order:
        if provider not in answered:
            return provider
        if provider == found:
            return None
    return None


def _one_call() -> float:
    """Seconds of one vendor call with the same client, nothing else around it."""
    client = HttpClient(allow_private=True)
    times = []
    for _ in range(9):
        started = time.perf_counter()
        client.request(
            "GET",
            sandbox_base_url("peopledatalabs", port=PORT) + "/v5/person/enrich",
            params={"first_name": "No", "last_name": "Body", "company": "nobody.example"},
            headers={"X-Api-Key": "demo-pdl-bench"},
        )
        times.append(time.perf_counter() - started)
    return statistics.median(times)


@contextmanager
def _sandbox() -> Iterator[None]:
    url = f"http://127.0.0.1:{PORT}"
    with _process("provider_sandbox", "--port", str(PORT), "--no-rate-limits"):
        for _ in range(200):
            try:
                requests.get(f"{url}/_control/log", timeout=1)
                break
            except requests.ConnectionError:
                time.sleep(0.05)
        for vendor in VENDORS:
            requests.post(f"{url}/_control/latency", json={"vendor": vendor, "ms": VENDOR_MS}, timeout=5)
        yield


@contextmanager
def _process(*command: str) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "manage.py", *command], env=os.environ, stdout=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)
