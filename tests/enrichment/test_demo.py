"""The demo workspace: loaded once, by the product's own services, with every outcome in reach."""

import time
import uuid
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from audiences.models import Audience
from billing import services as billing
from billing.models import CreditAccount, LedgerEntry
from enrichment.engine.worker import Worker
from enrichment.management.commands.demo import ORDERS, PASSWORD, PEOPLE, SHOWCASE, VENDORS
from enrichment.models import Lookup, Provider, RunItem, Waterfall
from enrichment.sandbox import running_sandbox
from enrichment.services.providers import test_provider as check_provider
from enrichment.services.runs import preview_enrichment, start_enrichment
from leads.models import Lead, LeadImport
from workspaces.models import Membership, User, Workspace

PEOPLE_CSV = Path(__file__).resolve().parent.parent.parent / "demo" / "leads-demo.csv"


@pytest.fixture
def demo(db, settings):
    settings.DEMO = True
    call_command("demo", stdout=StringIO())
    return Workspace.objects.get(name="Brightline")


def test_the_demo_is_refused_unless_it_was_asked_for(db, settings):
    settings.DEMO = False
    with pytest.raises(CommandError, match="DEMO=1"):
        call_command("demo")
    assert not User.objects.exists()


def test_everybody_can_sign_in_with_their_role(demo, client):
    for email, _, role in PEOPLE:
        response = client.post("/login/", {"username": email, "password": PASSWORD})
        assert response.status_code == 302, email
        assert Membership.objects.get(workspace=demo, user__email=email).role == role
        client.post("/logout/")
    assert Membership.objects.filter(user__email="rep@example.com").count() == 2


def test_the_leads_came_in_through_the_importer(demo):
    done = LeadImport.objects.get(workspace=demo)
    assert (done.created_count + done.updated_count + done.unchanged_count, done.refused_count) == (600, 0)
    assert Lead.objects.in_workspace(demo).count() == done.created_count
    assert set(Lead.objects.in_workspace(demo).values_list("enrichment_status", flat=True)) == {
        "full",
        "partial",
        "empty",
    }


def test_audiences_differ_in_scope_and_no_lead_requires_what_they_do_not(demo):
    audiences = Audience.objects.in_workspace(demo)
    assert len({audience.required_channels for audience in audiences}) == audiences.count() == 4
    assert all(audience.memberships.exists() for audience in audiences)
    for lead in Lead.objects.in_workspace(demo).prefetch_related("audiences"):
        mask = 0
        for audience in lead.audiences.all():
            mask |= audience.required_channels
        assert lead.required_channels == (mask or demo.default_channels)


def test_there_are_credits_a_budget_rates_providers_and_orders(demo):
    account = CreditAccount.objects.get(workspace=demo)
    assert (account.available, account.issued) == (5_000, 5_000)
    assert billing.current_period(workspace=demo).hard_limit == 3_000
    prices = billing.prices_for(workspace=demo, channels={"phone": ["prospeo", "peopledatalabs"]})
    assert prices["phone"]["prospeo"] != prices["phone"]["peopledatalabs"]
    assert set(Provider.objects.in_workspace(demo).usable().values_list("slug", flat=True)) == set(VENDORS)
    for channel, slugs in ORDERS.items():
        steps = Waterfall.objects.get(workspace=demo, channel=channel).steps.order_by("position")
        assert tuple(steps.values_list("provider__slug", flat=True)) == slugs
    assert not billing.find_ledger_faults()


def test_loading_it_again_changes_nothing_and_takes_a_moment(demo):
    demo.name = "Renamed by an admin"
    demo.save()
    person = User.objects.get(email="admin@example.com")
    person.set_password("changed by its owner")
    person.save()
    before = (
        Lead.objects.count(),
        LedgerEntry.objects.count(),
        Workspace.objects.count(),
        User.objects.count(),
    )
    begin = time.perf_counter()
    call_command("demo", stdout=StringIO())
    assert time.perf_counter() - begin < 1
    assert before == (
        Lead.objects.count(),
        LedgerEntry.objects.count(),
        Workspace.objects.count(),
        User.objects.count(),
    )
    person.refresh_from_db()
    assert person.check_password("changed by its owner")


def test_a_start_that_fails_half_way_leaves_nothing(db, settings, monkeypatch):
    settings.DEMO = True
    monkeypatch.setattr("enrichment.management.commands.demo.Command.providers", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call_command("demo", stdout=StringIO())
    assert not User.objects.exists()
    assert not Workspace.objects.exists()


def test_providers_follow_the_sandbox_to_another_port_and_others_are_left_alone(demo, monkeypatch):
    Provider.objects.filter(vendor="apollo").update(base_url="http://127.0.0.1:5000/mine")
    monkeypatch.setenv("SANDBOX_PORT", "9911")
    call_command("demo", stdout=StringIO())
    urls = dict(Provider.objects.values_list("vendor", "base_url"))
    assert urls.pop("apollo") == "http://127.0.0.1:5000/mine"
    assert all(url.startswith("http://127.0.0.1:9911") for url in urls.values())


@pytest.mark.django_db(transaction=True)
def test_each_outcome_can_be_seen_with_the_lead_that_is_named_for_it(demo):
    with running_sandbox(people=PEOPLE_CSV) as sandbox:
        for provider in Provider.objects.in_workspace(demo):
            provider.base_url = sandbox.base_url(provider.vendor)
            provider.save()
            assert check_provider(provider=provider, user=None).ok
        leads = [Lead.objects.in_workspace(demo).get(full_name=name) for _, name in SHOWCASE]
        for lead in leads:
            preview = preview_enrichment(lead=lead)
            assert not preview.blocked
            start_enrichment(lead=lead, user=None, idempotency_key=uuid.uuid4(), quoted=preview.worst_case)
        Worker(owner="test").drain()
    outcomes = [RunItem.objects.get(lead=lead).outcome for lead in leads]
    assert outcomes == ["all", "some", "none"]
    assert all(
        lead.pk
        in Lead.objects.in_workspace(demo).order_by("priority", "id").values_list("pk", flat=True)[:50]
        for lead in leads
    ), "they stand on the first page of the list"
    refused = Lookup.objects.filter(lead=leads[1], result="unusable").values_list("message", flat=True)
    assert any("another person" in message for message in refused)
    assert not billing.find_ledger_faults()
