"""Double clicks, two tabs, two reps, two workers: one enrichment, one charge."""

import uuid

import pytest
from django.db import connection

from billing.exceptions import InsufficientCredits
from billing.models import Hold, LedgerEntry
from enrichment.engine.verify import find_faults
from enrichment.engine.worker import Worker
from enrichment.models import Lookup, Run, RunItem
from enrichment.services.runs import start_enrichment, stop_enrichment
from tests.enrichment.world import World, value

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrent]


@pytest.fixture
def world(transactional_db, monkeypatch):
    world = World(monkeypatch)
    yield world
    assert find_faults() == []


def test_two_reps_who_click_at_once_start_one_run(world, at_once):
    def click():
        return start_enrichment(lead=world.lead, user=world.rep, idempotency_key=uuid.uuid4(), quoted=1000)

    answers = at_once(*[click] * 6)
    assert {item.pk for item, _ in answers} == {RunItem.objects.get().pk}
    assert sum(created for _, created in answers) == 1
    assert (Run.objects.count(), Hold.objects.count()) == (1, 1)


def test_a_form_sent_twice_at_once_is_one_run(world, at_once):
    key = uuid.uuid4()

    def click():
        return start_enrichment(lead=world.lead, user=world.rep, idempotency_key=key, quoted=1000)

    answers = at_once(*[click] * 6)
    assert {item.pk for item, _ in answers} == {RunItem.objects.get().pk}


def test_two_workers_settle_one_lead_once(world, at_once):
    world.script("hunter", [value("work_email")])
    world.start()
    ended = at_once(*[lambda n=n: Worker(owner=f"w{n}").drain() for n in range(4)])
    assert sum(ended) == 1
    assert LedgerEntry.objects.filter(kind="capture").count() == 1
    assert world.asked("hunter") == 1


def test_many_leads_and_several_workers_charge_each_value_once(world, at_once):
    leads = [
        world.new_lead(first_name=f"Ines{chr(97 + n)}", last_name=f"Weber{chr(97 + n)}") for n in range(12)
    ]
    for adapter in world.adapters.values():
        adapter.find = lambda query, channels: _found(query)
    for lead in leads:
        world.start(lead)
    ended = at_once(*[lambda n=n: Worker(owner=f"w{n}").drain() for n in range(3)])
    assert sum(ended) == len(leads)
    assert LedgerEntry.objects.filter(kind="capture").count() == len(leads)
    assert world.account().spent == 4 * len(leads)


def _found(query):
    from enrichment.adapters.base import Answer

    address = f"{query.first_name}.{query.last_name}@haldenrobotics.example".lower()
    return Answer(candidates=(value("work_email", address),))


def test_credits_for_one_lead_start_one_of_two_that_click_at_once(monkeypatch, at_once):
    world = World(monkeypatch, credits=30)
    second = world.new_lead(first_name="Jonas")

    def click(lead):
        return lambda: start_enrichment(lead=lead, user=world.rep, idempotency_key=uuid.uuid4(), quoted=1000)

    answers = at_once(click(world.lead), click(second))
    assert sum(isinstance(answer, InsufficientCredits) for answer in answers) == 1
    assert RunItem.objects.count() == 1
    assert (world.account().available, world.account().held) == (0, 30)


def test_a_stop_and_a_claim_at_once_end_in_one_clean_state(world, at_once):
    for number in range(8):
        lead = world.new_lead(first_name=f"Jonas{chr(97 + number)}")
        item = world.start(lead)
        answers = at_once(
            lambda item=item: stop_enrichment(item=item, user=world.rep), lambda: Worker(owner="w").drain()
        )
        assert not [answer for answer in answers if isinstance(answer, Exception)]
        Worker(owner="later").drain()
        item.refresh_from_db()
        assert item.state in ("cancelled", "done")
        assert Lookup.objects.filter(item=item).count() == len(
            set(Lookup.objects.filter(item=item).values_list("provider", "channel"))
        )
    connection.close()
    assert world.account().held == 0
