"""Providers, waterfalls and what enrichments leave behind, as rows; for a real run use the services."""

import uuid

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from core.channels import Channel
from enrichment.models import ChannelEnrichment, Lookup, Provider, Run, RunItem, VendorCall
from enrichment.services.waterfalls import ensure_waterfalls, save_waterfall
from tests.factories.leads import LeadFactory
from tests.factories.workspaces import WorkspaceFactory

KEY = "demo-key-000000003F9A"
NAMES = {
    "hunter": "Hunter",
    "apollo": "Apollo",
    "prospeo": "Prospeo",
    "peopledatalabs": "People Data Labs",
}


class ProviderFactory(DjangoModelFactory):
    """A healthy Hunter account, or ``vendor=``; traits ``off`` and ``blocked``."""

    class Meta:
        model = Provider

    class Params:
        off = factory.Trait(enabled=False)
        blocked = factory.Trait(blocked_code="key_rejected", blocked_at=factory.LazyFunction(timezone.now))

    workspace = factory.SubFactory(WorkspaceFactory)
    vendor = "hunter"
    slug = factory.SelfAttribute("vendor")
    name = factory.LazyAttribute(lambda provider: NAMES.get(provider.vendor, provider.vendor.title()))
    credentials = factory.LazyFunction(lambda: {"api_key": KEY})
    enabled = True


def waterfall_of(workspace, channel, *providers, user=None):
    """The channel's waterfall, with ``providers`` as its saved order, all switched on."""
    waterfall = ensure_waterfalls(workspace)[Channel(channel).value]
    save_waterfall(
        waterfall=waterfall,
        steps=[(provider.pk, True) for provider in providers],
        base_version=waterfall.version,
        user=user,
    )
    return waterfall


class RunFactory(DjangoModelFactory):
    """A click on Enrich profile."""

    class Meta:
        model = Run

    workspace = factory.SubFactory(WorkspaceFactory)
    kind = Run.Kind.SINGLE
    idempotency_key = factory.LazyFunction(uuid.uuid4)


class RunItemFactory(DjangoModelFactory):
    """A lead in a run, in line; traits ``running``, ``waiting`` and ``done`` (``outcome=``)."""

    class Meta:
        model = RunItem

    class Params:
        running = factory.Trait(
            state=RunItem.State.RUNNING, lease_until=factory.LazyFunction(timezone.now), owner="somebody"
        )
        waiting = factory.Trait(state=RunItem.State.WAITING)
        done = factory.Trait(
            state=RunItem.State.DONE,
            outcome=RunItem.Outcome.NONE,
            finished_at=factory.LazyFunction(timezone.now),
        )

    lead = factory.SubFactory(LeadFactory)
    workspace = factory.SelfAttribute("lead.workspace")
    run = factory.SubFactory(RunFactory, workspace=factory.SelfAttribute("..workspace"))
    state = RunItem.State.ADMITTED
    priority = 20


def plan_of(*providers, skip=None):
    """A frozen order; ``skip={provider: "why"}`` leaves some out."""
    why = {provider.pk: text for provider, text in (skip or {}).items()}
    return [
        {
            "provider": provider.pk,
            "slug": provider.slug,
            "name": provider.name,
            "skip": why.get(provider.pk, ""),
            "skip_code": "off" if provider.pk in why else "",
        }
        for provider in providers
    ]


class ChannelEnrichmentFactory(DjangoModelFactory):
    """One channel of a run item, still searching; give it ``plan=plan_of(…)``."""

    class Meta:
        model = ChannelEnrichment

    item = factory.SubFactory(RunItemFactory)
    channel = Channel.PHONE
    plan = factory.List([])


class LookupFactory(DjangoModelFactory):
    """A provider without a match for the item's lead; the trait ``found``, or ``result=`` with ``message=``."""

    class Meta:
        model = Lookup

    class Params:
        found = factory.Trait(result=Lookup.Result.FOUND, credits=4)

    item = factory.SubFactory(RunItemFactory, done=True)
    lead = factory.SelfAttribute("item.lead")
    workspace = factory.SelfAttribute("item.workspace")
    provider = factory.SubFactory(ProviderFactory, workspace=factory.SelfAttribute("..workspace"))
    channel = Channel.PHONE
    depth = 0
    result = Lookup.Result.NOT_FOUND


class VendorCallFactory(DjangoModelFactory):
    """A call that was answered in 240 ms; traits ``under_way`` and ``failed`` (``error_code=``, ``error_message=``)."""

    class Meta:
        model = VendorCall

    class Params:
        under_way = factory.Trait(state=VendorCall.State.INTENT, latency_ms=None)
        failed = factory.Trait(
            state=VendorCall.State.FAILED, error_code="unreachable", error_message="provider unreachable"
        )

    item = factory.SubFactory(RunItemFactory)
    workspace = factory.SelfAttribute("item.workspace")
    provider = factory.SubFactory(ProviderFactory, workspace=factory.SelfAttribute("..workspace"))
    attempt = 1
    fence = 1
    reference = factory.Sequence(lambda n: f"call-{n}")
    channels = 4
    state = VendorCall.State.ANSWERED
    latency_ms = 240
