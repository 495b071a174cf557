"""From the click to the settled lead, beside the vendors' own time."""

import json
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
from enrichment.models import Lookup, RunItem
from enrichment.services.runs import preview_enrichment

VENDOR_MS = 300
CLICKS = 25
PORT = 8791


def measure() -> Iterator[str]:
    """Median seconds from POST to settled, and over the slowest channel's vendor calls."""
    with ExitStack() as stack:
        url = stack.enter_context(_sandbox())
        stack.enter_context(_process("run_worker"))
        workspace, user, audience = make_workspace(
            "Click", json.loads(requests.get(f"{url}/_control/vendors", timeout=5).text)
        )
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        leads = make_leads(workspace, audience, CLICKS + 2)
        call = _one_call(url)
        totals, overheads = [], []
        for lead in leads:
            total, depth = _click(client, lead)
            totals.append(total)
            overheads.append(total - depth * call)
        totals, overheads = totals[2:], overheads[2:]
    total, over = statistics.median(totals) * 1000, statistics.median(overheads) * 1000
    yield (
        f"click to settled, 4 channels, 3 providers of {VENDOR_MS} ms: median {total:.0f} ms; "
        f"floor (slowest channel's calls) {total - over:.0f} ms; overhead {over:.0f} ms (aim <= 250)"
    )


def _click(client: Client, lead) -> tuple[float, int]:
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
    asked: dict[str, int] = {}
    for channel in (
        Lookup.objects.filter(lead=lead).exclude(result="skipped").values_list("channel", flat=True)
    ):
        asked[channel] = asked.get(channel, 0) + 1
    return total, max(asked.values())


def _one_call(url: str) -> float:
    """Seconds of one vendor call with the same client, nothing else around it."""
    client = HttpClient(allow_private=True)
    times = []
    for _ in range(9):
        started = time.perf_counter()
        client.request(
            "GET",
            f"{url}/pdl/v5/person/enrich",
            params={"first_name": "No", "last_name": "Body", "company": "nobody.example"},
            headers={"X-Api-Key": "demo-pdl-bench"},
        )
        times.append(time.perf_counter() - started)
    return statistics.median(times)


@contextmanager
def _sandbox() -> Iterator[str]:
    url = f"http://127.0.0.1:{PORT}"
    with _process("provider_sandbox", "--port", str(PORT)):
        for _ in range(200):
            try:
                requests.get(f"{url}/_control/log", timeout=1)
                break
            except requests.ConnectionError:
                time.sleep(0.05)
        for vendor in ("apollo", "peopledatalabs", "prospeo"):
            requests.post(f"{url}/_control/latency", json={"vendor": vendor, "ms": VENDOR_MS}, timeout=5)
        yield url


@contextmanager
def _process(*command: str) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "manage.py", *command], env=os.environ)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)
