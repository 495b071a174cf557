"""Real worker processes on the real queue: killed, stopped, and with Redis wiped."""

import os
import signal
import sys
import time
from urllib.parse import urlsplit, urlunsplit

import django_rq
import psutil
import pytest
from django.conf import settings
from django.db import connection

from enrichment.engine.sweep import recover_lost_items
from enrichment.engine.verify import find_faults
from enrichment.jobs import QUEUE
from enrichment.models import RunItem, VendorCall
from enrichment.sandbox import running_sandbox
from tests.enrichment.world import World

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrent]


@pytest.fixture
def world(transactional_db, monkeypatch):
    with running_sandbox(seed=7, latency_scale=0) as sandbox:
        with monkeypatch.context() as patch:
            world = World(patch)
        world.sandbox = sandbox
        for slug, provider in world.providers.items():
            provider.base_url = sandbox.base_url(slug)
            provider.save()
        yield world
        assert find_faults() == []


@pytest.fixture
def start_worker():
    """Start a worker process on this test's database and queue; whatever is left of it ends with the test."""
    started = []
    name = connection.settings_dict["NAME"]
    environment = {
        **os.environ,
        "DATABASE_URL": urlunsplit(urlsplit(settings.DATABASE_URL)._replace(path=f"/{name}")),
        "REDIS_URL": settings.REDIS_URL,
    }

    def start():
        process = psutil.Popen([sys.executable, "manage.py", "run_worker"], env=environment)
        started.append(process)
        return process

    yield start
    for process in started:
        for each in [*_children(process), process]:
            if each.is_running():
                each.kill()
        process.wait(10)


def _children(process):
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def until(condition, seconds=20):
    """Wait for another process: there is nothing to wait on but its rows."""
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return result


def asked():
    return VendorCall.objects.filter(state="intent").exists()


def ended(item):
    return lambda: RunItem.objects.filter(pk=item.pk, finished_at__isnull=False).exists()


def test_a_click_is_settled_by_a_worker_process(world, start_worker):
    start_worker()
    item = world.start()
    until(ended(item))
    assert world.account().held == 0


def test_a_worker_killed_while_it_asks_is_replaced_and_the_lead_settled_once(world, start_worker):
    world.sandbox.latency("apollo", 3000)
    worker = start_worker()
    item = world.start()
    until(asked)
    for process in [*worker.children(recursive=True), worker]:
        process.kill()
    world.sandbox.latency("apollo", 0)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE enrichment_runitem SET lease_until = now() - interval '1 s' WHERE state = 'running'"
        )
    recover_lost_items()
    start_worker()
    until(ended(item))
    item.refresh_from_db()
    assert (item.state, item.crashes) == ("done", 1)


def test_a_worker_told_to_stop_records_what_is_in_flight_and_gives_its_lease_back(world, start_worker):
    for slug in world.providers:
        world.sandbox.latency(slug, 800)
    worker = start_worker()
    item = world.start()
    until(asked)
    worker.send_signal(signal.SIGTERM)
    worker.wait(15)
    item.refresh_from_db()
    assert item.state in ("admitted", "done")
    assert item.lease_until is None
    assert not VendorCall.objects.filter(state="intent").exists()
    assert item.crashes == 0


def test_a_wiped_redis_costs_no_work(world, start_worker):
    item = world.start()
    django_rq.get_connection(QUEUE).flushdb()
    start_worker()
    recover_lost_items()
    until(ended(item))
