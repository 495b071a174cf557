"""What happens around an enrichment: a database that restarts, a stop at a bad moment, clocks and bills gone mad."""

import signal
import threading
import time
from datetime import timedelta

import pytest
import redis
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from rq import Worker

from enrichment.adapters.base import AdapterError, Reply
from enrichment.engine import limits, worker
from enrichment.engine.leases import Lease, claim_items, expire_leases
from enrichment.engine.load import load_items
from enrichment.engine.sweep import recover_lost_items
from enrichment.engine.verify import check_ledgers, find_faults
from enrichment.jobs import STOP_SIGNAL
from enrichment.management.commands import run_worker
from enrichment.management.commands.run_scheduler import Command as Scheduler
from enrichment.management.commands.run_worker import EnrichmentWorker
from enrichment.models import Lookup, RunItem, ScheduledTask, VendorCall
from enrichment.services.providers import CheckResult, block_provider, replace_credentials
from enrichment.services.runs import stop_enrichment
from tests.enrichment.world import World, value

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(transactional_db, monkeypatch):
    world = World(monkeypatch)
    for channel in ("personal_email", "phone", "linkedin_url"):
        world.order(channel)
    world.order("work_email", "hunter")
    for provider in world.providers.values():
        limits.reset_provider(provider.pk)
    yield world
    # A test may have left this connection cut.
    connection.close()
    assert find_faults() == []


def cut_connections():
    """Cut every other connection to this database, as its restart does. For a thread of its own."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    connection.close()


def test_a_database_restart_while_a_vendor_is_asked_loses_no_answer(world):
    def answered_after_a_restart():
        cut_connections()
        return [value("work_email")]

    world.script("hunter", answered_after_a_restart)
    world.start()
    world.work()
    assert world.item().state == "done"
    assert (world.asked("hunter"), world.account().spent) == (1, 4)
    assert list(VendorCall.objects.values_list("state", flat=True)) == ["answered"]


def test_a_worker_gives_up_on_a_database_that_stays_away_and_its_items_come_back(world, monkeypatch):
    def away(*args):
        raise OperationalError("refused")

    monkeypatch.setattr(worker, "OUTAGE_SECONDS", 0.0)
    world.script("hunter", [value("work_email")], [value("work_email")])
    world.start()
    with monkeypatch.context() as patch, pytest.raises(OperationalError):
        patch.setattr(worker, "write_progress", away)
        world.work()
    RunItem.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    recover_lost_items()
    world.work()
    assert (world.item().state, world.account().spent) == ("done", 4)


def test_the_scheduler_outlives_a_database_restart(world):
    scheduler = Scheduler()
    scheduler.run_pass()
    thread = threading.Thread(target=cut_connections)
    thread.start()
    thread.join()
    scheduler.run_pass()
    scheduler.run_pass()
    ScheduledTask.objects.update(ran_at=timezone.now() - timedelta(hours=1))
    scheduler.run_pass()
    assert ScheduledTask.objects.filter(ran_at__lt=timezone.now() - timedelta(minutes=1)).count() == 0


def test_a_run_stopped_while_its_provider_demands_an_hour_ends_at_once_and_gives_its_credits_back(world):
    def stopped_then_limited():
        stop_enrichment(item=world.item(), user=world.rep)
        connection.close()
        raise AdapterError("rate_limited", retry_after=3600)

    world.script("hunter", stopped_then_limited)
    world.start()
    world.work()
    # Whether the worker heard of the stop before it parked the item is a matter of a moment.
    recover_lost_items()
    world.work()
    assert world.item().state == "cancelled"
    assert world.account().held == 0


def test_a_provider_that_was_stopped_while_an_item_waited_for_it_says_why(world):
    world.order("work_email", "hunter", "apollo")
    world.script("hunter", AdapterError("rate_limited", retry_after=600))
    world.script("apollo", [value("work_email")])
    world.start()
    world.work()
    block_provider(provider=world.providers["hunter"], code="key_rejected")
    RunItem.objects.update(run_at=timezone.now())
    world.work()
    lookup = Lookup.objects.get(provider=world.providers["hunter"])
    assert (lookup.result, lookup.reason, lookup.message) == ("skipped", "key_rejected", "key rejected")
    assert world.account().spent == 4


def test_a_lease_that_somebody_is_returning_at_this_moment_is_no_fault(world, at_once):
    world.start()
    claim_items(owner="gone", limit=1)
    RunItem.objects.update(lease_until=timezone.now() - timedelta(minutes=3))
    locked, looked = threading.Event(), threading.Event()

    def return_it():
        with transaction.atomic():
            expire_leases()
            locked.set()
            looked.wait(10)

    def look():
        locked.wait(10)
        try:
            return find_faults()
        finally:
            looked.set()

    assert at_once(return_it, look) == [None, []]


def test_a_worker_process_outlives_its_redis_and_ends_when_it_is_asked_to(monkeypatch):
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, STOP_SIGNAL)}
    tries = []

    def work(self, **options):
        tries.append(self)
        if len(tries) == 1:
            raise redis.ConnectionError("refused")
        if len(tries) == 3:
            self.request_stop(signal.SIGTERM, None)
        return False

    monkeypatch.setattr(EnrichmentWorker, "work", work)
    monkeypatch.setattr(Worker, "request_stop", lambda *_: None)
    monkeypatch.setattr(run_worker, "RESTART_SECONDS", 0.0)
    try:
        run_worker.Command().handle()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert len(tries) == 3


def test_a_limit_that_is_over_by_our_clock_does_not_use_up_all_tries_at_once(world):
    world.script("hunter", AdapterError("rate_limited", retry_after=0.0), [value("work_email")])
    started = time.monotonic()
    world.enrich()
    calls = VendorCall.objects.order_by("id")
    assert [call.state for call in calls] == ["failed", "answered"]
    assert time.monotonic() - started >= 1.5


def test_the_last_try_that_meets_a_limit_still_pauses_the_provider_for_everybody(world):
    world.start()
    [lease] = claim_items(owner="before", limit=1)
    for attempt in (1, 2, 3):
        VendorCall.objects.create(
            workspace=world.workspace,
            item=world.item(),
            provider=world.providers["hunter"],
            attempt=attempt,
            fence=lease.fence,
            reference="x",
            channels=1,
            state="failed",
            error_code="rate_limited",
            retry_at=timezone.now(),
        )
    RunItem.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    expire_leases()
    world.script("hunter", AdapterError("rate_limited", retry_after=40))
    world.work()
    assert world.item().state == "done"
    assert limits.check_gate(world.providers["hunter"].pk, ()).wait > 30


def test_a_slow_loader_that_lost_its_lease_leaves_the_next_owners_calls_alone(world):
    world.start()
    [old] = claim_items(owner="slow", limit=1)
    RunItem.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    expire_leases()
    [new] = claim_items(owner="next", limit=1)
    call = VendorCall.objects.create(
        workspace=world.workspace,
        item=world.item(),
        provider=world.providers["hunter"],
        attempt=1,
        fence=new.fence,
        reference="x",
        channels=1,
    )
    load_items([old], {})
    call.refresh_from_db()
    assert call.state == "intent"
    load_items([Lease(new.item_id, new.fence)], {})
    call.refresh_from_db()
    assert call.state == "intent"


def test_a_passed_test_forgets_pauses_and_an_open_breaker(world):
    provider = world.providers["hunter"]
    limits.pause_provider(provider.pk, 3600)
    failed = CheckResult(ok=False, message="key rejected", code="key_rejected")
    replace_credentials(
        provider=provider, user=world.rep, credentials={"api_key": "demo-key-0002"}, tested=failed
    )
    assert not limits.check_gate(provider.pk, ()).open
    passed = CheckResult(ok=True, message="Connected.")
    replace_credentials(
        provider=provider, user=world.rep, credentials={"api_key": "demo-key-0003"}, tested=passed
    )
    assert limits.check_gate(provider.pk, ()).open


@pytest.mark.parametrize(
    "said", ["1e9", "1E999999999", "99999999999999999999", "-1", "NaN", "Infinity", "many"]
)
def test_a_bill_that_nobody_could_pay_is_no_number(said):
    assert Reply({}, {"cost": said}).header_number("cost") is None


def test_the_ledger_check_never_alarms_while_workers_settle_and_people_start_and_stop(world, at_once):
    world.script(
        "hunter", *[[value("work_email", f"ines.moreau{n}@haldenrobotics.example")] for n in range(40)]
    )
    leads = [world.new_lead(first_name="Ines", last_name="Moreau") for _ in range(40)]
    over = threading.Event()

    def start_and_stop():
        for number, lead in enumerate(leads):
            item = world.start(lead)
            if number % 5 == 0:
                stop_enrichment(item=item, user=world.rep)
        return "started"

    def settle():
        while not over.is_set():
            world.work()
        return "worked"

    def check():
        looks, faults = 0, []
        while not over.is_set():
            faults += find_faults()
            looks += 1
        return looks, faults

    def finish():
        until = time.monotonic() + 30
        while time.monotonic() < until and (
            RunItem.objects.count() < len(leads) or RunItem.objects.filter(state__in=RunItem.ACTIVE).exists()
        ):
            time.sleep(0.05)
        over.set()
        return "finished"

    *rest, (looks, faults) = at_once(start_and_stop, settle, settle, finish, check)
    assert rest == ["started", "worked", "worked", "finished"]
    assert (faults, looks > 3) == ([], True)
    check_ledgers()
    assert world.account().frozen_reason == ""
