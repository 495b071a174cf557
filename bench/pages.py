"""Server time and query counts of the leads list and the panel at 100,000 leads."""

import random
import statistics
import time
from collections.abc import Callable, Iterator

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bench.world import make_leads, make_workspace
from leads.models import Lead

LEADS = 100_000
VISITS = 120
AIM_MS = 100
AIM_QUERIES = 12


def measure() -> Iterator[str]:
    """Medians and 95th percentiles in milliseconds, the floor being the health check's."""
    workspace, user, audience = make_workspace("Pages", {})
    for start in range(0, LEADS, 20_000):
        make_leads(workspace, audience, 20_000, start=start)
    _spread(workspace.pk)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    ids = list(Lead.objects.filter(workspace=workspace).values_list("pk", flat=True))
    rng = random.Random(7)
    health = _visit(client, lambda: "/healthz", {})
    yield f"floor (health check): median {statistics.median(health[0]):.1f} ms"
    list_url = reverse("leads:lead_list")
    queries = [
        "",
        "?sort=name",
        "?status=partial",
        "?missing=phone",
        "?q=moreaub",
        f"?audience={audience.pk}",
    ]
    yield _line("leads list", *_visit(client, lambda: list_url + rng.choice(queries), {}))
    fragment = {"HX-Request": "true"}
    yield _line("leads list, fragment", *_visit(client, lambda: list_url + rng.choice(queries), fragment))
    panel = lambda: reverse("leads:lead_panel", args=[rng.choice(ids)])  # noqa: E731
    yield _line("lead panel, fragment", *_visit(client, panel, fragment))
    yield _line("lead panel, page", *_visit(client, panel, {}))


def _spread(workspace_id: int) -> None:
    """Give two thirds of the leads some contact points, so that every status occurs."""
    with connection.cursor() as cursor:
        for divisor, channel, bit in ((2, "work_email", 1), (3, "phone", 4), (5, "linkedin_url", 8)):
            cursor.execute(
                "INSERT INTO leads_contactpoint (workspace_id, lead_id, channel, value, normalized, source, "
                "source_name, verification, state, enriched_at) "
                "SELECT workspace_id, id, %s, 'v' || id, %s || id, 'import', 'Import', 'unknown', 'active', now() "
                "FROM leads_lead WHERE workspace_id = %s AND id %% %s = 0",
                [channel, channel, workspace_id, divisor],
            )
            cursor.execute(
                "UPDATE leads_lead SET present_channels = present_channels | %s, enriched_at = now() "
                "WHERE workspace_id = %s AND id %% %s = 0",
                [bit, workspace_id, divisor],
            )


def _visit(client: Client, url: Callable[[], str], headers: dict[str, str]) -> tuple[list[float], int]:
    times, most = [], 0
    for _ in range(VISITS):
        target = url()
        with CaptureQueriesContext(connection) as captured:
            started = time.perf_counter()
            response = client.get(target, headers=headers)
            times.append((time.perf_counter() - started) * 1000)
        assert response.status_code == 200, (target, response.status_code)
        most = max(most, len(captured))
    return times[10:], most


def _line(what: str, times: list[float], queries: int) -> str:
    p95 = statistics.quantiles(times, n=20)[18]
    return (
        f"{what} at {LEADS:,} leads: median {statistics.median(times):.0f} ms, p95 {p95:.0f} ms (aim <= {AIM_MS}), "
        f"at most {queries} queries (aim <= {AIM_QUERIES})"
    )
