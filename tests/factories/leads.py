"""Leads and their contact points, with masks that agree."""

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from core.channels import Channel, mask_of
from leads.models import ContactPoint, Lead
from tests.factories.workspaces import WorkspaceFactory


def point_on(channel):
    """A contact point made after its lead."""
    path = "tests.factories.leads.ContactPointFactory"
    return factory.RelatedFactory(path, factory_related_name="lead", channel=channel)


class LeadFactory(DjangoModelFactory):
    """A lead with no contact point yet.

    ``required=["phone", …]`` sets what it needs (else the workspace's default); the traits ``missing_all``
    (needs all four), ``with_work_email``, ``with_personal_email``, ``with_phone``, ``with_linkedin_url``
    and ``full`` set what it needs or has.
    """

    class Meta:
        model = Lead
        skip_postgeneration_save = True

    class Params:
        required = None
        missing_all = factory.Trait(required=list(Channel))
        with_work_email = factory.Trait(work_email=point_on("work_email"))
        with_personal_email = factory.Trait(personal_email=point_on("personal_email"))
        with_phone = factory.Trait(phone=point_on("phone"))
        with_linkedin_url = factory.Trait(linkedin_url=point_on("linkedin_url"))
        full = factory.Trait(
            with_work_email=True, with_personal_email=True, with_phone=True, with_linkedin_url=True
        )

    workspace = factory.SubFactory(WorkspaceFactory)
    first_name = factory.Sequence(lambda n: f"Ines{n}")
    last_name = "Moreau"
    full_name = factory.LazyAttribute(lambda lead: f"{lead.first_name} {lead.last_name}".strip())
    title = "VP Revenue Operations"
    company_name = "Halden Robotics"
    company_domain = "haldenrobotics.example"
    icp_score = 80
    required_channels = factory.LazyAttribute(
        lambda lead: lead.workspace.default_channels if lead.required is None else mask_of(lead.required)
    )
    search_text = factory.LazyAttribute(lambda lead: f"{lead.full_name} {lead.company_name}".lower())
    source = "manual"


VALUES = {
    Channel.WORK_EMAIL: "lead{}@haldenrobotics.example",
    Channel.PERSONAL_EMAIL: "lead{}@mail.example",
    Channel.PHONE: "+1415555{:04}",
    Channel.LINKEDIN_URL: "https://www.linkedin.com/in/lead-{}",
}


class ContactPointFactory(DjangoModelFactory):
    """An active, verified value; the lead's ``present_channels`` follows."""

    class Meta:
        model = ContactPoint

    lead = factory.SubFactory(LeadFactory)
    workspace = factory.SelfAttribute("lead.workspace")
    channel = Channel.WORK_EMAIL
    value = factory.LazyAttributeSequence(lambda point, n: VALUES[Channel(point.channel)].format(n))
    normalized = factory.LazyAttribute(lambda point: point.value.lower())
    source = "manual"
    source_name = "Added by hand"
    confidence = 95
    verification = ContactPoint.Verification.VALID
    enriched_at = factory.LazyFunction(timezone.now)

    @classmethod
    def _create(cls, model_class, *args, **kwargs):
        point = super()._create(model_class, *args, **kwargs)
        if point.state == ContactPoint.State.ACTIVE:
            point.lead.present_channels |= Channel(point.channel).bit
            point.lead.save(update_fields=["present_channels"])
        return point
