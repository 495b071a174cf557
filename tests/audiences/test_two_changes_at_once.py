"""Two people change audiences of one lead at the same moment; the lead still requires the union."""

import pytest

from audiences import services
from audiences.models import Audience
from core.channels import mask_of
from leads.models import Lead
from tests.factories import AudienceFactory, LeadFactory, WorkspaceFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrent]


@pytest.mark.parametrize("round_", range(5))
def test_two_scopes_changed_at_once_end_in_the_union(at_once, round_):
    workspace = WorkspaceFactory()
    leads = LeadFactory.create_batch(20, workspace=workspace)
    first, second = (AudienceFactory(workspace=workspace, leads=leads) for _ in range(2))

    def change(audience, channel):
        mine = Audience.objects.get(pk=audience.pk)
        return lambda: services.set_required_channels(audience=mine, channels=[channel], actor=None)

    assert at_once(change(first, "phone"), change(second, "linkedin_url")) == [20, 20]
    assert set(Lead.objects.values_list("required_channels", flat=True)) == {
        mask_of(["phone", "linkedin_url"])
    }


@pytest.mark.parametrize("round_", range(5))
def test_a_lead_joining_while_the_scope_changes_takes_the_new_scope(at_once, round_):
    workspace = WorkspaceFactory()
    leads = LeadFactory.create_batch(20, workspace=workspace)
    audience = AudienceFactory(workspace=workspace, required=["work_email"])
    ids = [lead.pk for lead in leads]
    results = at_once(
        lambda: services.add_leads(audience=Audience.objects.get(pk=audience.pk), lead_ids=ids, actor=None),
        lambda: services.set_required_channels(
            audience=Audience.objects.get(pk=audience.pk), channels=["phone"], actor=None
        ),
        lambda: services.set_default_channels(workspace=workspace, channels=["personal_email"], actor=None),
    )
    assert not [result for result in results if isinstance(result, Exception)]
    assert set(Lead.objects.values_list("required_channels", flat=True)) == {mask_of(["phone"])}


def test_an_audience_deleted_meanwhile_is_said_so(at_once):
    workspace = WorkspaceFactory()
    lead = LeadFactory(workspace=workspace)
    audience = AudienceFactory(workspace=workspace, required=["phone"])
    stale = Audience.objects.get(pk=audience.pk)
    at_once(
        lambda: services.delete_audience(audience=audience, actor=None),
        lambda: services.add_leads(audience=stale, lead_ids=[lead.pk], actor=None),
    )
    assert Lead.objects.get().required_channels == workspace.default_channels
    assert not Audience.objects.exists()
