"""Audiences with members."""

import factory
from factory.django import DjangoModelFactory

from audiences.models import Audience
from core.channels import Channel, mask_of
from tests.factories.workspaces import WorkspaceFactory


class AudienceFactory(DjangoModelFactory):
    """An audience that requires a work e-mail, or ``required=[…]``; ``leads=[…]`` become its members."""

    class Meta:
        model = Audience
        skip_postgeneration_save = True

    class Params:
        required = (Channel.WORK_EMAIL,)

    workspace = factory.SubFactory(WorkspaceFactory)
    name = factory.Sequence(lambda n: f"Audience {n}")
    required_channels = factory.LazyAttribute(lambda audience: mask_of(audience.required))

    @factory.post_generation
    def leads(audience, create, extracted, **kwargs):
        """Make ``extracted`` members the way the product does, so that their masks follow."""
        if create and extracted:
            from audiences.services import add_leads

            add_leads(audience=audience, lead_ids=[lead.pk for lead in extracted], actor=None)
            for lead in extracted:
                lead.refresh_from_db()
