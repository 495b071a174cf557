"""What the measurements run on: a workspace with providers, waterfalls, credits and leads."""

from collections.abc import Sequence

from audiences.models import Audience
from audiences.services import add_leads
from billing import services as billing
from core.channels import ALL_CHANNELS, Channel
from enrichment.models import Provider, Waterfall, WaterfallStep
from leads.models import Lead
from workspaces.models import Membership, User, Workspace
from workspaces.services import add_member, create_workspace

ORDERS = {
    Channel.WORK_EMAIL: ("apollo", "peopledatalabs", "prospeo"),
    Channel.PERSONAL_EMAIL: ("apollo", "peopledatalabs"),
    Channel.PHONE: ("peopledatalabs", "prospeo"),
    Channel.LINKEDIN_URL: ("prospeo", "apollo", "peopledatalabs"),
}


def make_workspace(name: str, base_urls: dict[str, str]) -> tuple[Workspace, User, Audience]:
    """A workspace of three providers, ten million credits and an audience that requires all four channels."""
    workspace = create_workspace(name=name)
    user = User.objects.create_user(email=f"{name.lower()}@bench.example", password="bench-password")
    add_member(workspace=workspace, user=user, role=Membership.Role.ADMIN)
    billing.open_account(workspace=workspace)
    billing.grant_credits(workspace=workspace, amount=10_000_000, actor=None, key="bench")
    providers = {
        slug: Provider.objects.create(
            workspace=workspace,
            vendor=slug,
            slug=slug,
            name=slug.title(),
            enabled=True,
            credentials={"api_key": f"demo-{slug}-bench"},
            base_url=base_urls.get(slug, ""),
        )
        for slug in ("apollo", "peopledatalabs", "prospeo")
    }
    for channel, slugs in ORDERS.items():
        waterfall = Waterfall.objects.create(workspace=workspace, channel=channel)
        for position, slug in enumerate(slugs, 1):
            WaterfallStep.objects.create(waterfall=waterfall, provider=providers[slug], position=position)
    audience = Audience.objects.create(workspace=workspace, name="Everyone", required_channels=ALL_CHANNELS)
    return workspace, user, audience


def make_leads(workspace: Workspace, audience: Audience, count: int, *, start: int = 0) -> Sequence[Lead]:
    """Leads that need all four channels, each with a name of its own."""
    leads = Lead.objects.bulk_create(
        [
            Lead(
                workspace=workspace,
                first_name=f"Ines{_letters(n)}",
                last_name=f"Moreau{_letters(n * 7 + 3)}",
                full_name=f"Ines{_letters(n)} Moreau{_letters(n * 7 + 3)}",
                title="VP Revenue Operations",
                company_name=f"Company {n % 997}",
                company_domain=f"company-{n % 997}.example",
                country="United States",
                icp_score=n % 101,
                required_channels=ALL_CHANNELS,
                search_text=f"ines{_letters(n)} moreau{_letters(n * 7 + 3)} company {n % 997}",
            )
            for n in range(start, start + count)
        ],
        batch_size=5_000,
    )
    add_leads(audience=audience, lead_ids=[lead.pk for lead in leads], actor=None)
    return leads


def _letters(number: int) -> str:
    """A number as letters, since a name has no digits."""
    return "".join(chr(97 + int(digit)) for digit in str(number))
