"""A worker killed with SIGKILL before or after any statement, commit or vendor call of an enrichment."""

import os
import signal
from collections import Counter

import pytest
from django.db import connection, connections

from enrichment.engine.sweep import recover_lost_items
from enrichment.engine.verify import find_faults
from enrichment.engine.worker import Worker
from enrichment.models import Lookup, VendorCall
from enrichment.sandbox import running_sandbox
from enrichment.services.providers import build_provider_adapter, shared_http_client
from leads.models import ContactPoint
from tests.enrichment.world import World

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrent]

LIMIT = 600


class Fuse:
    """Counts the steps of this process and kills it at the given one, as a power cut would."""

    def __init__(self, at):
        self.left = at

    def step(self):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, function):
        def stepped(*args, **kwargs):
            self.step()
            try:
                return function(*args, **kwargs)
            finally:
                self.step()

        return stepped


def killed_at(step, monkeypatch):
    """Drain in a child that dies at ``step``; False when it ended before it got that far."""
    connections.close_all()
    # Kept sockets must not be shared by two processes.
    shared_http_client().close()
    shared_http_client.cache_clear()
    child = os.fork()
    if child == 0:
        forget_inherited_connections()
        fuse = Fuse(step)
        execute = connection.execute_wrapper(
            lambda run, sql, params, many, context: fuse.around(run)(sql, params, many, context)
        )
        execute.__enter__()
        connection.ensure_connection()
        monkeypatch.setattr(connection, "commit", fuse.around(connection.commit))
        build = build_provider_adapter

        def watched(provider):
            adapter = build(provider)
            adapter.find = fuse.around(adapter.find)
            return adapter

        monkeypatch.setattr("enrichment.engine.worker.build_provider_adapter", watched)
        try:
            Worker(owner="doomed").drain()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def forget_inherited_connections():
    """In a fork: let go of the parent's sessions without ending them.

    With a browser's event loop running, the parent's connections are another set than the ones a fork
    finds (it has no loop), so closing them before the fork is not enough.
    """
    nowhere = os.open(os.devnull, os.O_RDWR)
    for inherited in connections.all(initialized_only=True):
        if inherited.connection is not None:
            os.dup2(nowhere, inherited.connection.fileno())
            inherited.connection = None


def recover():
    """What the scheduler does once the lease ran out, then what the next worker does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE enrichment_runitem SET lease_until = now() - interval '1 s' WHERE state = 'running'"
        )
    recover_lost_items()
    Worker(owner="rescuer").drain()


@pytest.fixture
def world(transactional_db, monkeypatch):
    with running_sandbox(seed=7, latency_scale=0) as sandbox, monkeypatch.context() as patch:
        world = World(patch, credits=1_000_000)
        patch.undo()
        world.sandbox = sandbox
        for slug, provider in world.providers.items():
            provider.base_url = sandbox.base_url(slug)
            provider.save()
        yield world


def found(lead):
    return dict(ContactPoint.objects.filter(lead=lead, state="active").values_list("channel", "normalized"))


def asked_for(lead):
    """The references of the calls the vendors saw for ``lead``."""
    return Counter(VendorCall.objects.filter(item__lead=lead).values_list("reference", flat=True))


def test_a_worker_killed_at_any_step_leaves_nothing_lost_and_nothing_paid_twice(world, monkeypatch):
    step = 0
    for step in range(1, LIMIT):
        lead = world.new_lead(
            first_name=f"Ines{chr(97 + step % 26)}{chr(97 + step // 26)}",
            last_name=f"Moreau{chr(97 + step % 26)}",
        )
        item = world.start(lead)
        with monkeypatch.context() as patch:
            died = killed_at(step, patch)
        recover()
        item.refresh_from_db()
        assert item.state in ("done", "failed"), f"killed at step {step}: {item.state}"
        lookups = Lookup.objects.filter(item=item).values_list("channel", "provider")
        assert len(lookups) == len(set(lookups))
        assert item.hold.entries.filter(kind="capture").count() == len(found(lead)), f"killed at step {step}"
        if not died:
            break
    assert step < LIMIT - 1
    assert step > 40, "the fuse counts nothing"
    assert find_faults() == []
    intents = Counter(VendorCall.objects.values_list("reference", flat=True))
    seen = Counter(call["reference"] for call in world.sandbox.log() if call["reference"])
    assert seen
    assert not seen - intents, "a vendor was asked without an intent"


def test_what_a_rescued_lead_gets_is_what_an_undisturbed_one_gets(world, monkeypatch):
    for step in (5, 15, 25, 35, 45):
        details = {"first_name": f"Jonas{chr(96 + step)}", "last_name": "Weber"}
        rescued = world.new_lead(**details)
        world.start(rescued)
        with monkeypatch.context() as patch:
            killed_at(step, patch)
        recover()
        values = found(rescued)
        ContactPoint.objects.filter(lead=rescued).update(state="superseded")
        undisturbed = world.new_lead(**details)
        world.start(undisturbed)
        Worker(owner="calm").drain()
        assert found(undisturbed) == values
