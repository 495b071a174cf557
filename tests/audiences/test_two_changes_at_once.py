"""Two people change audiences of one lead at the same moment; the lead still requires the union."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections, transaction

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


def test_a_scope_change_does_not_deadlock_with_work_on_its_leads():
    """Both lock leads by ascending id, even where the table holds them in another order."""
    workspace = WorkspaceFactory()
    leads = LeadFactory.create_batch(30, workspace=workspace)
    audience = AudienceFactory(workspace=workspace, leads=leads)
    Lead.objects.filter(pk=leads[0].pk).update(title="moved to the end of the table")
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        Lead.objects.select_for_update().get(pk=leads[0].pk)
        change = pool.submit(change_scope, audience.pk)
        wait_until_someone_waits_for_a_lock()
        Lead.objects.select_for_update().get(pk=leads[-1].pk)
    assert change.result(timeout=10) == 30


def change_scope(audience_id):
    try:
        audience = Audience.objects.get(pk=audience_id)
        return services.set_required_channels(audience=audience, channels=["phone"], actor=None)
    finally:
        connections.close_all()


def wait_until_someone_waits_for_a_lock():
    with connection.cursor() as cursor:
        for _ in range(5_000):
            cursor.execute("SELECT pg_sleep(0.002), count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[1]:
                return
    raise AssertionError("nobody waits")


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
