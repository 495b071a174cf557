"""Invariant 5: a lead requires the union of its audiences' scopes, else its workspace's default."""

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiences import services
from audiences.exceptions import AudienceError
from audiences.models import Audience, Membership
from core.channels import ALL_CHANNELS, Channel, channels_in, mask_of
from leads.models import Lead, LeadEvent
from tests.factories import AudienceFactory, LeadFactory, WorkspaceFactory
from workspaces.models import AuditEvent, Workspace

pytestmark = pytest.mark.django_db


def required(lead):
    return Lead.objects.get(pk=lead.pk).required_channels


def status(lead):
    return Lead.objects.get(pk=lead.pk).enrichment_status


def test_joining_an_audience_replaces_the_workspaces_default(workspace):
    lead = LeadFactory(workspace=workspace)
    AudienceFactory(workspace=workspace, required=["phone"], leads=[lead])
    assert required(lead) == Channel.PHONE.bit


def test_two_audiences_require_both_their_channels(workspace):
    lead = LeadFactory(workspace=workspace)
    AudienceFactory(workspace=workspace, required=["phone"], leads=[lead])
    AudienceFactory(workspace=workspace, required=["phone", "work_email"], leads=[lead])
    assert required(lead) == mask_of(["phone", "work_email"])


def test_leaving_the_last_audience_brings_the_default_back(workspace, rep):
    lead = LeadFactory(workspace=workspace)
    audience = AudienceFactory(workspace=workspace, required=["phone"], leads=[lead])
    assert services.remove_leads(audience=audience, lead_ids=[lead.pk], actor=rep) == 1
    assert required(lead) == workspace.default_channels


def test_a_changed_scope_moves_every_members_status(workspace, admin):
    found = LeadFactory(workspace=workspace, with_work_email=True)
    missing = LeadFactory(workspace=workspace)
    audience = AudienceFactory(workspace=workspace, required=["work_email"], leads=[found, missing])
    assert (status(found), status(missing)) == ("full", "empty")
    changed = services.set_required_channels(audience=audience, channels=["work_email", "phone"], actor=admin)
    assert changed == 2
    assert (status(found), status(missing)) == ("partial", "empty")


def test_the_preview_tells_what_the_change_then_does(workspace, admin):
    leads = [
        LeadFactory(workspace=workspace, with_work_email=True),
        LeadFactory(workspace=workspace, with_work_email=True, with_phone=True),
        LeadFactory(workspace=workspace),
    ]
    audience = AudienceFactory(workspace=workspace, required=["work_email"], leads=leads)
    AudienceFactory(workspace=workspace, required=["linkedin_url"], leads=[leads[1]])
    change = services.preview_scope_change(audience=audience, channels=["phone"])
    assert [change.before(name) for name in Lead.Status] == [1, 1, 1]
    services.set_required_channels(audience=audience, channels=["phone"], actor=admin)
    actual = [audience.leads.filter(enrichment_status=name).count() for name in Lead.Status]
    assert [change.after(name) for name in Lead.Status] == actual == [0, 1, 2]
    assert change.sentence == "Changing this makes 1 lead empty."


def test_a_deleted_audience_leaves_its_leads_and_their_other_scopes(workspace, admin):
    alone, shared = LeadFactory(workspace=workspace), LeadFactory(workspace=workspace)
    gone = AudienceFactory(workspace=workspace, required=["phone"], leads=[alone, shared])
    AudienceFactory(workspace=workspace, required=["personal_email"], leads=[shared])
    stale = Audience.objects.get(pk=gone.pk)
    services.delete_audience(audience=gone, actor=admin)
    assert required(alone) == workspace.default_channels
    assert required(shared) == Channel.PERSONAL_EMAIL.bit
    with pytest.raises(AudienceError, match="deleted"):
        services.add_leads(audience=stale, lead_ids=[alone.pk], actor=admin)


def test_a_new_default_reaches_only_leads_in_no_audience(workspace, admin):
    free, member = LeadFactory(workspace=workspace), LeadFactory(workspace=workspace)
    AudienceFactory(workspace=workspace, required=["work_email"], leads=[member])
    elsewhere = LeadFactory()
    change = services.preview_default_change(workspace=workspace, channels=["phone"])
    assert change.before("empty") == 1
    assert services.set_default_channels(workspace=workspace, channels=["phone"], actor=admin) == 1
    assert required(free) == Channel.PHONE.bit
    assert required(member) == Channel.WORK_EMAIL.bit
    assert required(elsewhere) == elsewhere.workspace.default_channels


def test_leads_of_another_workspace_are_ignored_and_counted(workspace, rep, other_workspace):
    mine, foreign = LeadFactory(workspace=workspace), LeadFactory(workspace=other_workspace)
    audience = AudienceFactory(workspace=workspace, required=["phone"])
    ids = [mine.pk, mine.pk, foreign.pk, 0, -4, 2**70, 999_999_999]
    assert services.add_leads(audience=audience, lead_ids=ids, actor=rep) == services.Added(1, 0, 5)
    assert services.add_leads(audience=audience, lead_ids=[mine.pk], actor=rep) == services.Added(0, 1, 0)
    assert list(audience.leads.all()) == [mine]
    assert required(foreign) == other_workspace.default_channels


def test_membership_changes_are_in_the_timeline_and_the_audit_log(workspace, rep):
    lead = LeadFactory(workspace=workspace)
    audience = AudienceFactory(workspace=workspace, name="Hot EMEA")
    services.add_leads(audience=audience, lead_ids=[lead.pk], actor=rep)
    services.remove_leads(audience=audience, lead_ids=[lead.pk], actor=rep)
    services.remove_leads(audience=audience, lead_ids=[lead.pk], actor=rep)
    assert [event.text for event in LeadEvent.objects.order_by("id")] == [
        "Added to Hot EMEA",
        "Removed from Hot EMEA",
    ]
    actions = list(AuditEvent.objects.order_by("id").values_list("action", "details__leads"))
    assert actions == [("audience.leads_added", 1), ("audience.leads_removed", 1)]


@pytest.mark.parametrize(
    ("name", "channels", "sentence"),
    [
        ("  ", ["phone"], "Give the audience a name."),
        ("x" * 121, ["phone"], "A name has at most 120 characters."),
        ("Taken", ["phone"], "There is already an audience named Taken."),
        ("New", [], "Choose at least one channel."),
        ("New", ["fax"], "That is not a channel."),
    ],
)
def test_a_wrong_audience_is_refused_with_a_reason(workspace, admin, name, channels, sentence):
    AudienceFactory(workspace=workspace, name="Taken")
    with pytest.raises(AudienceError) as refused:
        services.create_audience(workspace=workspace, name=name, channels=channels, actor=admin)
    assert refused.value.message == sentence
    assert Audience.objects.count() == 1


def test_the_same_name_is_fine_in_another_workspace(workspace, admin, other_workspace):
    AudienceFactory(workspace=other_workspace, name="Hot")
    services.create_audience(workspace=workspace, name=" Hot\n ", channels=["phone"], actor=admin)
    assert Audience.objects.filter(name="Hot").count() == 2


def test_a_rename_does_not_bring_an_old_scope_back(workspace, admin):
    stale = AudienceFactory(workspace=workspace, required=["phone"])
    services.set_required_channels(
        audience=Audience.objects.get(pk=stale.pk), channels=["work_email"], actor=admin
    )
    services.rename_audience(audience=stale, name="Renamed", actor=admin)
    stale.refresh_from_db()
    assert (stale.name, stale.required_channels) == ("Renamed", Channel.WORK_EMAIL.bit)


# -- any order of operations ------------------------------------------------------------------

LEADS, AUDIENCES = 4, 3
masks = st.integers(1, ALL_CHANNELS)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("scope"), st.integers(0, AUDIENCES - 1), masks),
        st.tuples(st.just("add"), st.integers(0, AUDIENCES - 1), st.sets(st.integers(0, LEADS - 1))),
        st.tuples(st.just("remove"), st.integers(0, AUDIENCES - 1), st.sets(st.integers(0, LEADS - 1))),
        st.tuples(st.just("delete"), st.integers(0, AUDIENCES - 1), st.none()),
        st.tuples(st.just("default"), st.none(), masks),
    ),
    max_size=12,
)


def apply_operation(workspace, audiences, leads, operation):
    kind, which, value = operation
    if kind == "default":
        services.set_default_channels(workspace=workspace, channels=channels_in(value), actor=None)
        return
    audience = audiences[which]
    if kind == "delete":
        services.delete_audience(audience=audience, actor=None)
        audiences[which] = AudienceFactory(workspace=workspace, required=["linkedin_url"])
    elif kind == "scope":
        services.set_required_channels(audience=audience, channels=channels_in(value), actor=None)
    else:
        act = services.add_leads if kind == "add" else services.remove_leads
        act(audience=audience, lead_ids=[leads[index].pk for index in value], actor=None)


def naive_union(lead):
    default = Workspace.objects.get(pk=lead.workspace_id).default_channels
    scopes = [row.audience.required_channels for row in Membership.objects.filter(lead=lead)]
    mask = 0
    for scope in scopes:
        mask |= scope
    return mask if scopes else default


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=operations)
def test_after_any_operations_every_lead_requires_the_union(operations):
    with transaction.atomic():
        workspace = WorkspaceFactory()
        audiences = AudienceFactory.create_batch(AUDIENCES, workspace=workspace, required=["phone"])
        leads = LeadFactory.create_batch(LEADS, workspace=workspace)
        for operation in operations:
            apply_operation(workspace, audiences, leads, operation)
            for lead in leads:
                assert required(lead) == naive_union(lead), operation
        transaction.set_rollback(True)


def test_recomputing_is_one_update(workspace, django_assert_num_queries):
    lead = LeadFactory(workspace=workspace)
    audience = AudienceFactory(workspace=workspace, required=["phone"], leads=[lead])
    Lead.objects.update(required_channels=ALL_CHANNELS)
    with django_assert_num_queries(4) as seen:
        assert services.refresh_required_channels(workspace=workspace, audience=audience) == 1
    assert sum("UPDATE leads_lead" in query["sql"] for query in seen.captured_queries) == 1
    assert required(lead) == Channel.PHONE.bit
