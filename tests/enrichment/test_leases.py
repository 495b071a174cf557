"""Claims, heartbeats and returns by the database's clock and a fencing number."""

from datetime import timedelta

import pytest
from django.utils import timezone

from enrichment.engine.leases import (
    Lease,
    claim_items,
    expire_leases,
    extend_leases,
    give_back,
    lock_leases,
)
from enrichment.models import Run, RunItem
from tests.factories import LeadFactory

pytestmark = pytest.mark.django_db(transaction=True)


def an_item(**kwargs):
    lead = LeadFactory()
    run = Run.objects.create(workspace=lead.workspace, kind="single", idempotency_key=f"{lead.pk:032x}")
    details = {"state": "admitted", "priority": 50, **kwargs}
    return RunItem.objects.create(workspace=lead.workspace, run=run, lead=lead, **details)


def past(seconds=1):
    return timezone.now() - timedelta(seconds=seconds)


def test_two_workers_never_claim_the_same_item(at_once):
    items = {an_item().pk for _ in range(12)}
    claims = at_once(*[lambda n=n: claim_items(owner=f"w{n}", limit=5) for n in range(4)])
    claimed = [lease.item_id for leases in claims for lease in leases]
    assert len(claimed) == len(set(claimed))
    assert set(claimed) <= items


def test_an_item_that_waits_for_its_time_is_not_claimed():
    an_item(run_at=timezone.now() + timedelta(minutes=1))
    assert claim_items(owner="w", limit=5) == []


def test_each_claim_raises_the_fence():
    item = an_item()
    (first,) = claim_items(owner="w", limit=1)
    RunItem.objects.update(lease_until=past())
    assert expire_leases() == [(item.pk, 1)]
    (second,) = claim_items(owner="x", limit=1)
    assert second.fence == first.fence + 1


def test_a_lost_lease_cannot_be_extended_locked_or_given_back():
    from django.db import transaction

    item = an_item()
    (old,) = claim_items(owner="w", limit=1)
    RunItem.objects.update(lease_until=past())
    expire_leases()
    (new,) = claim_items(owner="x", limit=1)
    assert extend_leases([old]) == {}
    with transaction.atomic():
        assert lock_leases([old]) == set()
        assert lock_leases([new]) == {item.pk}
    give_back({old: 0.0})
    item.refresh_from_db()
    assert (item.state, item.owner) == ("running", "x")


def test_a_heartbeat_keeps_the_lease_and_tells_of_a_stop():
    item = an_item()
    (lease,) = claim_items(owner="w", limit=1)
    RunItem.objects.update(lease_until=timezone.now() + timedelta(seconds=2))
    assert extend_leases([lease]) == {item.pk: False}
    item.refresh_from_db()
    assert item.lease_until > timezone.now() + timedelta(seconds=10)
    Run.objects.update(state="cancelled", finished_at=timezone.now())
    assert extend_leases([lease]) == {item.pk: True}


def test_a_live_lease_is_not_expired():
    an_item()
    claim_items(owner="w", limit=1)
    assert expire_leases() == []


def test_an_item_given_back_waits_its_time():
    item = an_item()
    (lease,) = claim_items(owner="w", limit=1)
    give_back({lease: 30.0})
    item.refresh_from_db()
    assert (item.state, item.lease_until) == ("admitted", None)
    assert item.run_at > timezone.now() + timedelta(seconds=20)
    assert claim_items(owner="w", limit=1) == []
    assert Lease(item.pk, item.fence) == lease
