"""verify_ledger finds each kind of broken row, and nothing on a healthy database."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from billing import services as billing
from billing.exceptions import AccountFrozen
from enrichment.engine.leases import claim_items
from enrichment.engine.sweep import run_due_tasks
from enrichment.engine.verify import check_ledgers, find_faults
from enrichment.models import ChannelEnrichment, Lookup, RunItem, ScheduledTask, VendorCall
from leads.models import ContactPoint, Lead
from tests.enrichment.world import World, value

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(transactional_db, monkeypatch):
    world = World(monkeypatch)
    world.script("hunter", [value("work_email")])
    world.enrich()
    return world


def rules():
    return {fault.rule for fault in find_faults()}


def test_an_enriched_lead_breaks_no_rule(world, capsys):
    call_command("verify_ledger")
    assert "clean" in capsys.readouterr().out


def test_a_charge_without_its_contact_point(world, capsys):
    ChannelEnrichment.objects.filter(state="found").update(
        state="not_found", contact_point=None, charge=None, credits=0
    )
    assert rules() == {"charged if and only if delivered"}
    with pytest.raises(SystemExit) as stopped:
        call_command("verify_ledger")
    assert stopped.value.code == 1
    assert f"workspace {world.workspace.pk}: charged if and only if delivered" in capsys.readouterr().out


def test_a_contact_point_of_another_lead_behind_a_charge(world):
    other = world.new_lead(first_name="Jonas")
    ContactPoint.objects.update(lead=other)
    assert "charged if and only if delivered" in rules()


def test_a_found_value_that_was_not_charged(world):
    ChannelEnrichment.objects.filter(state="found").update(charge=None, credits=0)
    assert rules() == {"charged if and only if delivered"}


def test_an_ended_item_whose_hold_is_open(world):
    lead = world.new_lead(first_name="Jonas")
    item = world.start(lead)
    RunItem.objects.filter(pk=item.pk).update(state="done", finished_at=timezone.now())
    assert rules() == {"an ended item has no open hold"}


def test_an_open_hold_that_nobody_owns(world):
    billing.open_hold(
        workspace=world.workspace,
        request=billing.HoldRequest(purpose="nobody", prices={"phone": {"prospeo": 18}}),
        actor=None,
    )
    assert rules() == {"an open hold has an owner"}


def test_a_lease_that_ran_out_and_was_not_returned(world):
    world.start(world.new_lead(first_name="Jonas"))
    claim_items(owner="gone", limit=1)
    RunItem.objects.filter(state="running").update(lease_until=timezone.now() - timedelta(minutes=3))
    assert rules() == {"a lost lease is returned within two minutes"}


def test_a_paid_call_that_was_never_settled(world):
    world.enrich(world.new_lead(first_name="Jonas"))
    Lookup.objects.filter(lead__first_name="Jonas").delete()
    assert rules() == {"a paid call is settled"}


def test_a_provider_asked_too_often(world):
    item = world.item()
    for attempt in range(2, 6):
        VendorCall.objects.create(
            workspace=world.workspace,
            item=item,
            provider=world.providers["prospeo"],
            attempt=attempt,
            fence=1,
            reference="x",
            channels=4,
            state="unknown",
        )
    assert rules() == {"a provider answers at most once per item"}


def test_present_channels_that_are_not_the_contact_points(world):
    Lead.objects.filter(pk=world.lead.pk).update(present_channels=15)
    assert rules() == {"present channels are the active contact points"}


def test_required_channels_that_are_not_the_audiences(world):
    Lead.objects.filter(pk=world.lead.pk).update(required_channels=1)
    assert rules() == {"required channels are the audiences' scopes"}


def test_a_fault_freezes_new_spending_of_its_workspace_and_only_that(world, monkeypatch):
    with monkeypatch.context() as patch:
        elsewhere = World(patch)
        Lead.objects.filter(pk=world.lead.pk).update(present_channels=15)
        check_ledgers()
        fresh = world.new_lead(first_name="Jonas")
        with pytest.raises(AccountFrozen):
            world.start(fresh, quoted=1000)
        elsewhere.start()
    assert RunItem.objects.filter(lead=fresh).count() == 0


def test_two_schedulers_do_each_task_once_per_interval(world, at_once):
    ScheduledTask.objects.all().delete()
    passes = at_once(run_due_tasks, run_due_tasks, run_due_tasks)
    ran = sorted(name for names in passes for name in names)
    assert ran == ["check ledgers", "recover lost items"]
    assert run_due_tasks() == []
    ScheduledTask.objects.update(ran_at=timezone.now() - timedelta(minutes=1))
    assert run_due_tasks() == ["recover lost items"]
