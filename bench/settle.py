"""Settled enrichments a second on one credit account, with vendors that answer at once."""

import statistics
import time
import uuid
from collections.abc import Iterator
from unittest.mock import patch

from django.db import connection, transaction

from bench.world import make_leads, make_workspace
from enrichment.adapters.base import Answer, Candidate
from enrichment.engine.worker import Worker
from enrichment.models import RunItem
from enrichment.services.runs import start_enrichment

LEADS = 400
ROUNDS = 3
CHANNELS = frozenset({"work_email", "personal_email", "phone", "linkedin_url"})


class InstantAdapter:
    """Knows everybody and answers without a network."""

    slug = "instant"
    channels = CHANNELS
    limits = ()

    def find(self, query, channels) -> Answer:
        number = int(query.ref.split("-")[1])
        name = f"{query.first_name}.{query.last_name}".lower()
        values = {
            "work_email": f"{name}@{query.company_domain}",
            "personal_email": f"{name}@mailbox.example",
            "phone": f"+1415{2000000 + number}",
            "linkedin_url": f"https://www.linkedin.com/in/{name.replace('.', '-')}",
        }
        found = [Candidate(channel=c, value=values[c], verification="valid", confidence=95) for c in channels]
        return Answer(candidates=tuple(found), vendor_cost=None)


def measure() -> Iterator[str]:
    """Median over rounds; the floor settles nothing but one ledger move a lead, each in its own transaction."""
    workspace, user, audience = make_workspace("Settle", {})
    rates = []
    adapter = InstantAdapter()
    for round_number in range(ROUNDS):
        leads = make_leads(workspace, audience, LEADS, start=10_000 * (round_number + 1))
        for lead in leads:
            start_enrichment(lead=lead, user=user, idempotency_key=uuid.uuid4(), quoted=1_000_000)
        started = time.perf_counter()
        with patch("enrichment.engine.worker.build_provider_adapter", lambda provider: adapter):
            ended = Worker(owner="bench").drain()
        rates.append(ended / (time.perf_counter() - started))
        full = RunItem.objects.filter(lead__in=leads, outcome="all").count()
        assert (ended, full) == (LEADS, LEADS), (ended, full)
    floor = _floor(workspace.pk)
    rate = statistics.median(rates)
    yield (
        f"settled enrichments on one account, 4 channels each, one worker: median {rate:.0f}/s (aim >= 150); "
        f"floor (one account update and one entry per transaction) {floor:.0f}/s; ratio {rate / floor:.2f}"
    )


def _floor(workspace_id: int) -> float:
    moves = 400
    started = time.perf_counter()
    for number in range(moves):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO billing_ledgerentry (workspace_id, kind, source, target, amount, key, fingerprint, "
                "channel, provider, note, created_at) "
                "VALUES (%s, 'grant', 'issuer', 'available', 1, %s, '', '', '', '', now())",
                [workspace_id, f"floor-{number}-{started}"],
            )
            cursor.execute(
                "UPDATE billing_creditaccount SET available = available + 1, issued = issued + 1 "
                "WHERE workspace_id = %s",
                [workspace_id],
            )
    return moves / (time.perf_counter() - started)
