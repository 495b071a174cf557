"""What a rep reads, and how often a vendor is asked, for each thing a vendor may do wrong, end to end."""

import pytest

from enrichment.engine import limits, worker
from enrichment.engine.verify import find_faults
from enrichment.models import Lookup, Provider, RunItem, VendorCall
from enrichment.sandbox import running_sandbox
from tests.enrichment.world import World

pytestmark = pytest.mark.django_db(transaction=True)

# (fault, what the rep reads, calls, what the provider is stopped for)
FAILURES = [
    *[
        (name, "no answer in time", 2, "")
        for name in ("reset", "truncated", "silence", "slow_drip", "slow_headers")
    ],
    *[
        (name, "unexpected answer", 2, "")
        for name in ("html", "empty", "bom", "trailing", "bad_utf8", "nan", "huge_int", "deep")
    ],
    *[(name, "answer too large", 1, "") for name in ("giant", "endless", "gzip_bomb", "odd_encoding")],
    *[(name, "provider refused this lead", 1, "") for name in ("400", "422")],
    *[(name, "provider has an error of its own", 4, "") for name in ("500", "502", "503")],
    *[(name, "key rejected", 1, "key_rejected") for name in ("401", "403", "key_rejected")],
    *[
        (name, "vendor account out of credit", 1, "out_of_credit")
        for name in ("402", "no_credit_200", "out_of_credit")
    ],
    ("redirect", "provider redirected", 1, ""),
]
MISSES = ["404", "miss", "list", "list_for_object", "true", "null", "nested"]
WAITS = [
    ("rate_limited", 30),
    ("rate_limited_seconds", 7),
    ("rate_limited_date", 90),
    ("rate_limited_junk", 30),
    ("rate_limited_negative", 30),
    ("rate_limited_huge", 3600),
]


@pytest.fixture(scope="module")
def sandbox():
    with running_sandbox(seed=7, latency_scale=0) as running:
        yield running


@pytest.fixture
def world(transactional_db, monkeypatch, sandbox):
    monkeypatch.setattr(worker.random, "uniform", lambda low, high: 0.0)
    with monkeypatch.context() as patch:
        world = World(patch)
    for channel in ("work_email", "personal_email", "linkedin_url"):
        world.order(channel)
    world.order("phone", "prospeo")
    Provider.objects.filter(slug="prospeo").update(base_url=sandbox.base_url("prospeo"), timeout_seconds=1)
    limits.reset_provider(world.providers["prospeo"].pk)
    sandbox.clear_faults()
    sandbox.clear_log()
    yield world
    assert find_faults() == []
    assert len(sandbox.log()) == VendorCall.objects.count()


@pytest.mark.parametrize(("fault", "reads", "calls", "blocked"), FAILURES, ids=[row[0] for row in FAILURES])
def test_a_failure_is_named_tried_as_often_as_it_may_help_and_free(
    world, sandbox, fault, reads, calls, blocked
):
    sandbox.faults("prospeo", fault)
    world.enrich()
    lookup = Lookup.objects.get()
    assert (lookup.result, lookup.message) == ("error", reads)
    assert VendorCall.objects.count() == calls
    assert Provider.objects.get(slug="prospeo").blocked_code == blocked
    assert (world.account().spent, world.account().held) == (0, 0)


@pytest.mark.parametrize("fault", MISSES)
def test_what_holds_no_person_is_a_miss_and_no_failure(world, sandbox, fault):
    sandbox.faults("prospeo", fault)
    world.enrich()
    assert (Lookup.objects.get().result, VendorCall.objects.count()) == ("not_found", 1)
    assert (world.account().spent, world.account().held) == (0, 0)


@pytest.mark.parametrize(("fault", "seconds"), WAITS, ids=[row[0] for row in WAITS])
def test_a_limit_is_waited_for_in_line_as_long_as_the_vendor_says(world, sandbox, fault, seconds):
    sandbox.faults("prospeo", fault)
    world.enrich()
    item, call = RunItem.objects.get(), VendorCall.objects.get()
    assert (item.state, call.error_code) == ("admitted", "rate_limited")
    assert seconds - 5 < (item.run_at - call.asked_at).total_seconds() < seconds + 5
    assert limits.check_gate(world.providers["prospeo"].pk, ()).wait > seconds - 5
