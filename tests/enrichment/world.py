"""A workspace that can enrich, with providers whose answers a test writes down."""

import threading
import uuid
from collections import defaultdict
from dataclasses import dataclass, field

from audiences.services import add_leads
from billing import services as billing
from core.channels import Channel
from enrichment.adapters.base import Answer, Candidate
from enrichment.engine.worker import Worker
from enrichment.models import Provider, RunItem, Waterfall, WaterfallStep
from enrichment.services.runs import preview_enrichment, start_enrichment
from tests.factories import AudienceFactory, LeadFactory, MembershipFactory, WorkspaceFactory

VENDORS = {
    "hunter": ("Hunter", ["work_email"]),
    "apollo": ("Apollo", ["work_email", "personal_email", "linkedin_url"]),
    "peopledatalabs": ("People Data Labs", ["work_email", "personal_email", "phone", "linkedin_url"]),
    "prospeo": ("Prospeo", ["work_email", "phone", "linkedin_url"]),
}

VALUES = {
    "work_email": "ines.moreau@haldenrobotics.example",
    "personal_email": "ines.moreau@mailbox.example",
    "phone": "+14155550142",
    "linkedin_url": "https://www.linkedin.com/in/ines-moreau",
}


def value(channel, text="", **kwargs):
    """A candidate that is usable unless ``kwargs`` make it not."""
    verification = kwargs.pop("verification", "valid")
    return Candidate(
        channel=channel, value=text or VALUES[channel], verification=verification, confidence=90, **kwargs
    )


@dataclass
class ScriptedAdapter:
    """Answers what the test wrote down for its vendor; remembers every call."""

    slug: str
    script: list = field(default_factory=list)
    calls: list = field(default_factory=list)
    before: object = None
    limits: tuple = ()
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def channels(self):
        return frozenset(VENDORS[self.slug][1])

    def find(self, query, channels):
        with self.lock:
            self.calls.append((query, channels))
            step = self.script.pop(0) if self.script else ()
        if self.before:
            self.before()
        if callable(step):
            step = step()
        if isinstance(step, Exception):
            raise step
        return Answer(candidates=tuple(step), vendor_cost=None)


class World:
    """Brightline with four providers, a waterfall per channel, 1,000 credits and one lead that needs everything."""

    def __init__(self, monkeypatch, *, credits=1000, required=tuple(Channel)):
        self.workspace = WorkspaceFactory()
        self.rep = MembershipFactory(workspace=self.workspace, role="rep").user
        billing.open_account(workspace=self.workspace)
        if credits:
            billing.grant_credits(workspace=self.workspace, amount=credits, actor=None, key="first")
        self.providers = {
            slug: Provider.objects.create(
                workspace=self.workspace,
                vendor=slug,
                slug=slug,
                name=name,
                enabled=True,
                credentials={"api_key": f"demo-{slug}-0001"},
            )
            for slug, (name, _) in VENDORS.items()
        }
        self.adapters = {slug: ScriptedAdapter(slug) for slug in VENDORS}
        monkeypatch.setattr(
            "enrichment.engine.worker.build_provider_adapter", lambda provider: self.adapters[provider.vendor]
        )
        orders = defaultdict(list)
        for slug, (_, channels) in VENDORS.items():
            for channel in channels:
                orders[channel].append(slug)
        for channel, slugs in orders.items():
            self.order(channel, *slugs)
        self.audience = AudienceFactory(workspace=self.workspace, required=list(required))
        self.lead = self.new_lead()

    def new_lead(self, **kwargs):
        details = {"first_name": "Ines", "last_name": "Moreau", **kwargs}
        lead = LeadFactory(workspace=self.workspace, **details)
        add_leads(audience=self.audience, lead_ids=[lead.pk], actor=None)
        lead.refresh_from_db()
        return lead

    def order(self, channel, *slugs):
        waterfall, _ = Waterfall.objects.get_or_create(workspace=self.workspace, channel=channel)
        waterfall.steps.all().delete()
        for position, slug in enumerate(slugs, 1):
            WaterfallStep.objects.create(
                waterfall=waterfall, provider=self.providers[slug], position=position, enabled=True
            )

    def script(self, slug, *steps):
        """What ``slug`` answers, call by call: a list of candidates, an AdapterError, or a callable for either."""
        self.adapters[slug].script = list(steps)

    def start(self, lead=None, **kwargs):
        lead = lead or self.lead
        quoted = kwargs.pop("quoted", None)
        if quoted is None:
            quoted = preview_enrichment(lead=lead, ask_again=kwargs.get("ask_again", False)).worst_case
        key = kwargs.pop("idempotency_key", None) or uuid.uuid4()
        item, _ = start_enrichment(lead=lead, user=self.rep, idempotency_key=key, quoted=quoted, **kwargs)
        return item

    def work(self, **kwargs):
        return Worker(owner="test", **kwargs).drain()

    def enrich(self, lead=None, **kwargs):
        item = self.start(lead, **kwargs)
        self.work()
        item.refresh_from_db()
        (lead or self.lead).refresh_from_db()
        return item

    def asked(self, slug):
        return len(self.adapters[slug].calls)

    def account(self):
        self.workspace.credit_account.refresh_from_db()
        return self.workspace.credit_account

    def item(self):
        return RunItem.objects.get(lead=self.lead)
