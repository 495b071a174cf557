"""From a start to a settled lead: what is asked, what is kept, what is charged."""

import uuid
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.utils import timezone

from billing.exceptions import InsufficientCredits
from billing.models import LedgerEntry
from billing.services import set_rate
from enrichment.adapters.base import AdapterError
from enrichment.engine.sweep import recover_lost_items
from enrichment.engine.verify import find_faults
from enrichment.engine.worker import Worker
from enrichment.exceptions import KeyReused, NobodyToAsk, NothingToEnrich, PriceChanged
from enrichment.models import ChannelEnrichment, Lookup, Run, RunItem, VendorCall
from enrichment.services.runs import preview_enrichment, start_enrichment, stop_enrichment
from leads.models import ContactPoint
from leads.services import NewContactPoint, record_contact_points, suppress
from tests.enrichment.world import World, value

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(transactional_db, monkeypatch):
    world = World(monkeypatch)
    yield world
    assert find_faults() == []


def results(lead, channel):
    rows = Lookup.objects.filter(lead=lead, channel=channel).order_by("id")
    return [(row.provider.slug, row.result) for row in rows]


def charges():
    rows = LedgerEntry.objects.filter(kind="capture").order_by("channel")
    return {row.channel: (row.provider, row.amount) for row in rows}


def lose_lease(item):
    RunItem.objects.filter(pk=item.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_a_full_lead_is_charged_each_channel_at_the_rate_of_the_provider_that_answered(world):
    set_rate(workspace=world.workspace, channel="phone", provider="prospeo", credits=21, actor=None)
    world.script("hunter", [value("work_email")])
    world.script("apollo", [value("personal_email"), value("linkedin_url")])
    world.script("peopledatalabs", [])
    world.script("prospeo", [value("phone")])
    item = world.enrich()
    assert (item.state, item.outcome) == ("done", "all")
    assert world.lead.enrichment_status == "full"
    assert charges() == {
        "work_email": ("hunter", 4),
        "personal_email": ("apollo", 6),
        "linkedin_url": ("apollo", 2),
        "phone": ("prospeo", 21),
    }
    account = world.account()
    assert (account.available, account.held, account.spent) == (1000 - 33, 0, 33)
    assert ContactPoint.objects.get(lead=world.lead, channel="phone").source == "prospeo"
    assert item.run.state == "running" or Run.objects.get(pk=item.run_id).state == "done"


def test_a_partial_lead_pays_for_what_was_found_and_the_rest_of_the_hold_returns(world):
    world.script("hunter", [value("work_email")])
    item = world.enrich()
    assert (item.state, item.outcome) == ("done", "some")
    assert world.lead.enrichment_status == "partial"
    assert charges() == {"work_email": ("hunter", 4)}
    assert world.account().held == 0


def test_nothing_found_costs_nothing_and_every_provider_is_named(world):
    item = world.enrich()
    assert (item.state, item.outcome) == ("done", "none")
    assert world.lead.enrichment_status == "empty"
    assert charges() == {}
    assert world.account().available == 1000
    assert results(world.lead, "phone") == [("peopledatalabs", "not_found"), ("prospeo", "not_found")]


def test_each_provider_is_asked_once_whatever_number_of_channels_it_serves(world):
    world.enrich()
    assert {slug: world.asked(slug) for slug in world.adapters} == dict.fromkeys(world.adapters, 1)


def test_the_waterfall_stops_at_the_first_usable_contact(world):
    world.order("work_email", "apollo", "hunter")
    world.script("apollo", [value("work_email")])
    world.enrich()
    assert results(world.lead, "work_email") == [("apollo", "found")]
    assert world.asked("hunter") == 0


def test_a_disabled_step_is_skipped_and_said_so(world):
    world.providers["hunter"].enabled = False
    world.providers["hunter"].save()
    world.script("apollo", [value("work_email")])
    world.enrich()
    assert results(world.lead, "work_email") == [("hunter", "skipped"), ("apollo", "found")]


def test_an_unusable_answer_is_not_charged_and_the_next_provider_is_asked(world):
    world.script("hunter", [value("work_email", "info@haldenrobotics.example")])
    world.script("apollo", [value("work_email")])
    world.enrich()
    assert results(world.lead, "work_email") == [("hunter", "unusable"), ("apollo", "found")]
    assert charges()["work_email"] == ("apollo", 4)


def test_a_failed_provider_is_not_a_miss(world):
    world.script("hunter", AdapterError("refused", "The provider refused this lead."))
    world.script("apollo", [value("work_email")])
    world.enrich()
    assert results(world.lead, "work_email") == [("hunter", "error"), ("apollo", "found")]


def test_a_lead_fails_only_when_every_provider_asked_failed(world):
    for slug in world.adapters:
        world.script(slug, AdapterError("refused", "The provider refused this lead."))
    item = world.enrich()
    assert (item.state, item.outcome) == ("failed", "none")
    assert world.account().held == 0


def test_a_rejected_key_stops_the_provider_once_and_fails_over(world):
    world.script("hunter", AdapterError("key_rejected", "Hunter rejected the key."))
    world.script("apollo", [value("work_email")])
    world.enrich()
    world.providers["hunter"].refresh_from_db()
    assert world.providers["hunter"].blocked_code == "key_rejected"
    assert charges()["work_email"] == ("apollo", 4)
    second = world.new_lead(first_name="Jonas", last_name="Weber")
    world.enrich(second)
    assert world.asked("hunter") == 1


def test_a_click_on_a_full_lead_does_nothing_and_costs_nothing(world):
    for slug in world.adapters:
        world.script(slug, [value(c) for c in ("work_email", "personal_email", "phone", "linkedin_url")])
    world.enrich()
    before = LedgerEntry.objects.count()
    assert preview_enrichment(lead=world.lead).blocked == "nothing_missing"
    with pytest.raises(NothingToEnrich):
        world.start(quoted=100)
    assert LedgerEntry.objects.count() == before
    assert Run.objects.count() == 1


def test_the_second_click_returns_the_run_under_way(world):
    first = world.start()
    second, created = start_enrichment(
        lead=world.lead, user=world.rep, idempotency_key=uuid.uuid4(), quoted=1000
    )
    assert (second.pk, created) == (first.pk, False)


def test_the_same_form_sent_again_after_the_run_ended_starts_nothing(world):
    key = uuid.uuid4()
    world.enrich(idempotency_key=key)
    item, created = start_enrichment(lead=world.lead, user=world.rep, idempotency_key=key, quoted=1000)
    assert not created
    assert RunItem.objects.count() == 1
    assert item.state == "done"


def test_one_form_cannot_start_two_leads(world):
    key = uuid.uuid4()
    world.start(idempotency_key=key)
    other = world.new_lead(first_name="Jonas")
    with pytest.raises(KeyReused):
        start_enrichment(lead=other, user=world.rep, idempotency_key=key, quoted=1000)


def test_a_price_that_rose_since_it_was_shown_asks_again(world):
    quoted = preview_enrichment(lead=world.lead).worst_case
    set_rate(workspace=world.workspace, channel="phone", provider="prospeo", credits=90, actor=None)
    with pytest.raises(PriceChanged) as raised:
        world.start(quoted=quoted)
    assert raised.value.worst_case == preview_enrichment(lead=world.lead).worst_case
    assert (Run.objects.count(), world.account().held) == (0, 0)


def test_a_price_changed_after_the_start_does_not_change_the_charge(world):
    world.script("hunter", [value("work_email")])
    world.start()
    set_rate(workspace=world.workspace, channel="work_email", provider="hunter", credits=50, actor=None)
    world.work()
    assert charges()["work_email"] == ("hunter", 4)


def test_without_enough_credits_nothing_starts(monkeypatch):
    world = World(monkeypatch, credits=5)
    assert preview_enrichment(lead=world.lead).blocked == "insufficient_credits"
    with pytest.raises(InsufficientCredits):
        world.start(quoted=1000)
    assert (Run.objects.count(), world.account().held, world.account().available) == (0, 0, 5)


def test_with_nobody_to_ask_nothing_starts(world):
    for provider in world.providers.values():
        provider.enabled = False
        provider.save()
    assert preview_enrichment(lead=world.lead).blocked == "no_provider"
    with pytest.raises(NobodyToAsk):
        world.start(quoted=1000)


def test_a_recent_miss_is_not_asked_again_unless_everyone_is(world):
    world.enrich()
    preview = preview_enrichment(lead=world.lead)
    assert (preview.blocked, preview.worst_case) == ("asked_recently", 0)
    with pytest.raises(NobodyToAsk):
        world.start(quoted=1000)
    world.enrich(ask_again=True)
    assert world.asked("peopledatalabs") == 2


def test_after_a_miss_only_the_provider_that_is_new_is_asked(world):
    world.order("phone", "peopledatalabs")
    world.order("work_email"), world.order("personal_email"), world.order("linkedin_url")
    world.enrich()
    world.order("phone", "peopledatalabs", "prospeo")
    world.script("prospeo", [value("phone")])
    world.enrich()
    assert (world.asked("peopledatalabs"), world.asked("prospeo")) == (1, 1)
    assert charges() == {"phone": ("prospeo", 18)}


def test_a_value_a_person_typed_meanwhile_is_kept_and_nothing_is_charged(world):
    def typed():
        record_contact_points(
            points=[
                NewContactPoint(
                    workspace_id=world.workspace.pk,
                    lead_id=world.lead.pk,
                    channel="work_email",
                    value="typed@haldenrobotics.example",
                    normalized="typed@haldenrobotics.example",
                    source="manual",
                    source_name="Manual",
                    confidence=None,
                    verification="unknown",
                    enriched_at=timezone.now(),
                )
            ]
        )
        connection.close()
        return [value("work_email")]

    world.script("hunter", typed)
    item = world.enrich()
    assert (
        ContactPoint.objects.get(lead=world.lead, channel="work_email").value
        == "typed@haldenrobotics.example"
    )
    assert item.channels.get(channel="work_email").state == ChannelEnrichment.State.NOT_NEEDED
    assert charges() == {}


def test_a_suppressed_lead_is_never_looked_up(world):
    world.start()
    suppress(workspace=world.workspace, lead=world.lead, reason="asked us to", actor=None)
    world.work()
    assert world.item().state == "cancelled"
    assert sum(world.asked(slug) for slug in world.adapters) == 0
    assert world.account().held == 0


def test_a_stop_before_a_worker_came_releases_everything(world):
    item = world.start()
    stop_enrichment(item=item, user=world.rep)
    stop_enrichment(item=item, user=world.rep)
    item.refresh_from_db()
    assert item.state == "cancelled"
    assert world.account().available == 1000
    assert world.work() == 0


def test_a_stop_while_asking_keeps_and_charges_what_was_in_flight(world):
    def stopped():
        stop_enrichment(item=world.item(), user=world.rep)
        connection.close()
        return [value("work_email")]

    world.order("work_email", "apollo", "hunter")
    world.order("personal_email"), world.order("phone"), world.order("linkedin_url")
    world.adapters["apollo"].script = [lambda: (stopped(), [])[1]]
    world.script("hunter", [value("work_email")])
    item = world.start()
    worker = Worker(owner="test")
    worker.drain()
    item.refresh_from_db()
    assert Run.objects.get(pk=item.run_id).state == "cancelled"
    assert item.state in ("cancelled", "done")
    assert world.account().held == 0


def test_an_answer_that_comes_after_the_lease_was_lost_charges_nothing(world):
    world.order("personal_email"), world.order("phone"), world.order("linkedin_url")

    def too_slow():
        # One transaction, so that the owner's heartbeat cannot come in between.
        with transaction.atomic():
            lose_lease(world.item())
            recover_lost_items()
        connection.close()
        return [value("work_email")]

    world.script("hunter", too_slow, [value("work_email")])
    world.start()
    world.work()
    states = list(VendorCall.objects.order_by("id").values_list("provider__slug", "state"))
    assert ("hunter", "stale") in states
    world.work()
    assert world.item().state == "done"
    assert LedgerEntry.objects.filter(kind="capture").count() == 1
    assert ContactPoint.objects.filter(lead=world.lead).count() == 1


def test_a_lost_lease_is_noticed_when_writing_even_when_no_heartbeat_came_before(world, monkeypatch):
    monkeypatch.setattr("enrichment.engine.worker.HEARTBEAT_EVERY", 3600)
    world.order("personal_email"), world.order("phone"), world.order("linkedin_url")
    world.order("work_email", "apollo", "hunter")

    def too_slow():
        # By now the one heartbeat is behind us: only the write itself can notice.
        with transaction.atomic():
            lose_lease(world.item())
            recover_lost_items()
        connection.close()
        return [value("work_email")]

    world.script("hunter", too_slow, [value("work_email")])
    world.start()
    worker = Worker(owner="first")
    # It may not claim the item again itself.
    claimed = []
    claim = worker._claim
    monkeypatch.setattr(worker, "_claim", lambda: claimed or claimed.append(claim()))
    worker.drain()
    assert VendorCall.objects.get(provider__slug="hunter").state == "stale"
    assert (world.item().state, charges()) == ("admitted", {})
    world.work()
    assert charges() == {"work_email": ("hunter", 4)}


def test_a_recorded_answer_is_not_asked_for_again_by_the_next_owner(world):
    world.order("personal_email"), world.order("linkedin_url")
    world.order("work_email", "hunter", "apollo")
    world.order("phone", "peopledatalabs", "prospeo")
    world.script(
        "peopledatalabs",
        AdapterError(
            "rate_limited",
            "limit",
        ),
    )
    world.start()
    world.work()
    item = world.item()
    assert item.state == "admitted"
    assert item.run_at > timezone.now()
    assert world.asked("hunter") == 1
    RunItem.objects.update(run_at=timezone.now())
    VendorCall.objects.update(retry_at=timezone.now())
    from enrichment.engine.limits import reset_provider

    reset_provider(world.providers["peopledatalabs"].pk)
    world.script("peopledatalabs", [value("phone")])
    world.work()
    assert world.item().state == "done"
    assert (world.asked("hunter"), world.asked("apollo"), world.asked("peopledatalabs")) == (1, 1, 2)
    assert charges() == {"phone": ("peopledatalabs", 18)}


def test_an_item_that_crashed_five_workers_fails_and_is_released(world):
    world.start()
    for _ in range(5):
        from enrichment.engine.leases import claim_items

        claim_items(owner="doomed", limit=1)
        lose_lease(world.item())
        recover_lost_items()
    item = world.item()
    assert (item.state, item.failure) == ("failed", "It crashed the worker five times.")
    assert world.account().held == 0
    assert world.account().available == 1000


def test_an_intent_is_written_before_each_call(world):
    seen = []

    def look():
        seen.append(VendorCall.objects.filter(state="intent", provider__slug="hunter").count())
        connection.close()
        return []

    world.script("hunter", look)
    world.enrich()
    assert seen == [1]


def test_a_lost_answer_is_asked_for_once_more_with_the_same_reference(world):
    world.order("personal_email"), world.order("phone"), world.order("linkedin_url")
    world.order("work_email", "hunter")
    item = world.start()
    for _ in range(3):
        item.refresh_from_db()
        from enrichment.engine.leases import claim_items

        claimed = claim_items(owner="doomed", limit=1)
        if not claimed:
            break
        VendorCall.objects.create(
            workspace=world.workspace,
            item=item,
            provider=world.providers["hunter"],
            attempt=VendorCall.objects.count() + 1,
            fence=claimed[0].fence,
            reference=f"hw-{item.pk}-x",
            channels=1,
        )
        lose_lease(item)
        recover_lost_items()
        if VendorCall.objects.count() == 2:
            break
    world.work()
    assert world.asked("hunter") == 0
    assert results(world.lead, "work_email") == [("hunter", "error")]


def test_a_worker_told_to_stop_gives_its_leases_back(world):
    stop = []
    world.script("hunter", lambda: (stop.append(True), [])[1])
    world.start()
    Worker(owner="test", should_stop=lambda: bool(stop)).drain()
    item = world.item()
    assert (item.state, item.lease_until) == ("admitted", None)
    world.work()
    assert world.item().state == "done"
    assert world.asked("hunter") == 1


def test_a_provider_whose_key_cannot_be_read_fails_and_the_others_go_on(world, monkeypatch):
    def build(provider):
        if provider.vendor == "hunter":
            raise ImproperlyConfigured("A stored secret fits none of FIELD_ENCRYPTION_KEYS")
        return world.adapters[provider.vendor]

    monkeypatch.setattr("enrichment.engine.worker.build_provider_adapter", build)
    world.script("apollo", [value("work_email")])
    world.enrich()
    assert results(world.lead, "work_email") == [("hunter", "error"), ("apollo", "found")]
