"""Loads the demo workspace: people to sign in as, leads, audiences, providers on the sandbox, credits."""

import os
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from audiences.services import add_leads, create_audience
from billing import services as billing
from core.channels import Channel
from enrichment.adapters import ADAPTERS
from enrichment.models import Provider, Waterfall
from enrichment.sandbox import DEFAULT_PORT, sandbox_base_url
from enrichment.services.providers import CheckResult, connect_provider
from enrichment.services.waterfalls import save_waterfall
from leads.models import Lead
from leads.services import import_leads
from workspaces.models import Membership, User, Workspace
from workspaces.services import add_member, create_workspace

NAME = "Brightline"
SECOND_NAME = "Northwind Labs"
PASSWORD = "headwater-demo"  # noqa: S105 - demo data only; this command refuses to run anywhere else
PEOPLE = (
    ("admin@example.com", "Maya Lindqvist", Membership.Role.ADMIN),
    ("rep@example.com", "Tomás Rivera", Membership.Role.REP),
    ("viewer@example.com", "Aiko Brandt", Membership.Role.VIEWER),
)
CREDITS = 5_000
MONTHLY_BUDGET = 3_000
VENDORS = ("hunter", "apollo", "peopledatalabs", "prospeo")
SECOND_LEADS = 25

# The order each channel is asked in at first; an admin changes it on the Waterfalls page.
ORDERS = {
    Channel.WORK_EMAIL: ("hunter", "prospeo", "apollo", "peopledatalabs"),
    Channel.PERSONAL_EMAIL: ("peopledatalabs", "apollo"),
    Channel.PHONE: ("prospeo", "peopledatalabs"),
    Channel.LINKEDIN_URL: ("apollo", "prospeo", "peopledatalabs"),
}
# Credits per contact where a provider differs from the channel's default.
RATES = (
    (Channel.WORK_EMAIL, "apollo", 3),
    (Channel.PHONE, "prospeo", 20),
    (Channel.PHONE, "peopledatalabs", 15),
    (Channel.LINKEDIN_URL, "apollo", 1),
)
# Leads of the first page with whom each outcome of Enrich profile can be seen; the sandbox always answers the same.
SHOWCASE = (
    ("Everything is found", "Stephanie Diaz"),
    ("Some is found", "Margaret Clark"),
    ("Nothing is found", "Robert Long"),
)
DACH_AND_BENELUX = ("Germany", "Austria", "Switzerland", "Netherlands", "Belgium", "Luxembourg")


@dataclass(frozen=True)
class DemoAudience:
    """An audience and the leads that belong to it."""

    name: str
    channels: tuple[Channel, ...]
    takes: Callable[[Lead], bool]


AUDIENCES = (
    DemoAudience(
        "DACH and Benelux",
        (Channel.WORK_EMAIL, Channel.PHONE, Channel.LINKEDIN_URL),
        lambda lead: lead.country in DACH_AND_BENELUX,
    ),
    DemoAudience(
        "US revenue leaders",
        (Channel.WORK_EMAIL, Channel.PHONE),
        lambda lead: lead.country == "United States" and ("Revenue" in lead.title or "Sales" in lead.title),
    ),
    DemoAudience(
        "Founders",
        (Channel.WORK_EMAIL, Channel.PERSONAL_EMAIL, Channel.PHONE, Channel.LINKEDIN_URL),
        lambda lead: "Founder" in lead.title,
    ),
    DemoAudience("Q1 newsletter", (Channel.WORK_EMAIL,), lambda lead: (lead.icp_score or 0) >= 85),
)


class Command(BaseCommand):
    help = "Load the demo workspace once. Only with DEMO on; logins and password are in README.md."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("Demo data are loaded only with DEMO=1: their password is public.")
        with transaction.atomic():
            # Two starts at once: the second waits here, and then finds everything.
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(hashtext('headwater demo'))")
            if not User.objects.filter(email=PEOPLE[0][0]).exists():
                self.load()
                self.stdout.write("Loaded the demo workspace. Enrich these leads to see each outcome:")
                for outcome, name in SHOWCASE:
                    self.stdout.write(f"  {outcome:<20} {name}")
        self.point_at_sandbox()

    def load(self) -> None:
        """Create everything, in one transaction: a start that is stopped half-way leaves nothing."""
        users = {email: self.user(email, name) for email, name, _ in PEOPLE}
        admin = users["admin@example.com"]
        main = create_workspace(name=NAME, timezone="Europe/Berlin")
        second = create_workspace(name=SECOND_NAME)
        for workspace in (main, second):
            for email, _, role in PEOPLE:
                add_member(workspace=workspace, user=users[email], role=role)
        data = (Path(settings.BASE_DIR) / "demo" / "leads-demo.csv").read_bytes()
        self.leads(main, data, admin)
        head = b"\n".join(data.splitlines()[: SECOND_LEADS + 1])
        self.leads(second, head, admin)
        self.credits(main, admin, CREDITS)
        self.credits(second, admin, 200)
        billing.set_budget(workspace=main, monthly_limit=MONTHLY_BUDGET, actor=admin)
        self.audiences(main, admin)
        self.providers(main, admin)
        self.rates(main, admin)

    def user(self, email: str, name: str) -> User:
        """A person of the demo; one that is there already keeps their password."""
        found = User.objects.filter(email=email).first()
        return found or User.objects.create_user(email=email, name=name, password=PASSWORD)

    def leads(self, workspace: Workspace, data: bytes, admin: User) -> None:
        """Bring the leads in the way a rep would."""
        key = uuid.uuid5(uuid.NAMESPACE_URL, f"headwater-demo-{workspace.pk}")
        import_leads(
            workspace=workspace, data=data, file_name="leads-demo.csv", idempotency_key=key, actor=admin
        )

    def credits(self, workspace: Workspace, admin: User, amount: int) -> None:
        """An account with something in it."""
        billing.open_account(workspace=workspace)
        billing.grant_credits(
            workspace=workspace, amount=amount, actor=admin, key="demo:grant", note="Demo credits"
        )

    def rates(self, workspace: Workspace, admin: User) -> None:
        """What differs from the channels' defaults."""
        for channel, vendor, credits in RATES:
            billing.set_rate(
                workspace=workspace,
                channel=channel,
                provider=vendor,
                provider_name=ADAPTERS[vendor].name,
                credits=credits,
                actor=admin,
            )

    def audiences(self, workspace: Workspace, admin: User) -> None:
        """Four sets of leads with different scopes; some leads are in none."""
        leads = list(Lead.objects.in_workspace(workspace))
        for each in AUDIENCES:
            audience = create_audience(
                workspace=workspace, name=each.name, channels=each.channels, actor=admin
            )
            add_leads(
                audience=audience, lead_ids=[lead.pk for lead in leads if each.takes(lead)], actor=admin
            )

    def providers(self, workspace: Workspace, admin: User) -> None:
        """The real adapters, pointed at the sandbox, in the demo's orders."""
        ready = CheckResult(ok=True, message="Ready. Connected to the demo's sandbox.")
        made = {
            vendor: connect_provider(
                workspace=workspace,
                user=admin,
                vendor=vendor,
                credentials={"api_key": f"demo-{vendor}-0001"},
                base_url=base_url(vendor),
                tested=ready,
            )
            for vendor in VENDORS
        }
        for channel, slugs in ORDERS.items():
            waterfall = Waterfall.objects.get(workspace=workspace, channel=channel)
            steps = [(made[slug].pk, True) for slug in slugs]
            save_waterfall(waterfall=waterfall, steps=steps, base_version=waterfall.version, user=admin)

    def point_at_sandbox(self) -> None:
        """Follow the sandbox to the port it has this time; a provider an admin pointed elsewhere stays there."""
        for vendor in VENDORS:
            anywhere = f"^{re.escape(sandbox_base_url(vendor, port=0)).replace(':0', ':[0-9]+')}$"
            providers = Provider.objects.filter(vendor=vendor, base_url__regex=anywhere)
            providers.exclude(base_url=base_url(vendor)).update(base_url=base_url(vendor))


def base_url(vendor: str) -> str:
    """Where the sandbox speaks ``vendor``'s API."""
    return sandbox_base_url(vendor, port=int(os.environ.get("SANDBOX_PORT") or DEFAULT_PORT))
