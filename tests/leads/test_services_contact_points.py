"""Contact points and the masks that follow them."""

import threading

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.channels import Channel, mask_of
from leads.models import ContactPoint, Lead, LeadEvent
from leads.services import (
    NewContactPoint,
    create_lead,
    record_contact_point,
    record_contact_points,
    refresh_present_channels,
    retire_contact_point,
    update_lead_details,
)
from tests.factories import LeadFactory, WorkspaceFactory

pytestmark = pytest.mark.django_db


def record(lead, channel="work_email", value="ines@halden.example", source="hunter", **more):
    return record_contact_point(
        lead=lead,
        channel=channel,
        value=value,
        normalized=value,
        source=source,
        source_name=source.title(),
        **more,
    )


def new(lead, channel="work_email", value="a@b.example", **more):
    return NewContactPoint(lead.workspace_id, lead.pk, channel, value, value, "hunter", "Hunter", **more)


def present(lead):
    active = ContactPoint.objects.filter(lead=lead, state="active").values_list("channel", flat=True)
    return mask_of(active)


def test_a_recorded_value_is_present_and_turns_the_status():
    lead = LeadFactory(required=["work_email"])
    point = record(lead, confidence=97, verification="valid")
    lead.refresh_from_db()
    assert (lead.present_channels, lead.enrichment_status) == (Channel.WORK_EMAIL.bit, "full")
    assert lead.enriched_at == point.enriched_at
    assert (point.state, point.confidence, point.verification) == ("active", 97, "valid")


def test_a_second_value_supersedes_the_first():
    lead = LeadFactory()
    first, second = record(lead), record(lead, value="ines.m@halden.example")
    first.refresh_from_db()
    assert (first.state, second.state) == ("superseded", "active")
    assert first.retired_at is not None


def test_what_a_file_or_a_person_supplied_does_not_count_as_enriched():
    lead = LeadFactory()
    record(lead, source="import")
    record(lead, channel="phone", value="+12025550187", source="manual")
    lead.refresh_from_db()
    assert lead.enriched_at is None
    assert lead.present_channels == mask_of(["work_email", "phone"])


def test_a_retired_value_is_missing_again_and_says_why():
    lead = LeadFactory(required=["work_email"])
    point = record(lead)
    retire_contact_point(contact_point=point, state="bounced", reason="mailbox does not exist", actor=None)
    lead.refresh_from_db()
    assert (lead.present_channels, lead.enrichment_status) == (0, "empty")
    event = LeadEvent.objects.get(lead=lead)
    assert (event.kind, event.text) == ("contact_point.bounced", "Work email retired: mailbox does not exist")


def test_retiring_twice_changes_nothing_the_second_time():
    point = record(LeadFactory())
    retire_contact_point(contact_point=point, state="bounced", reason="x", actor=None)
    again = retire_contact_point(contact_point=point, state="invalid", reason="y", actor=None)
    assert again.state == "bounced"
    assert LeadEvent.objects.count() == 1


def test_a_late_bounce_of_a_superseded_value_leaves_the_active_one():
    lead = LeadFactory()
    first = record(lead)
    record(lead, value="new@halden.example")
    retire_contact_point(contact_point=first, state="bounced", reason="late", actor=None)
    lead.refresh_from_db()
    assert lead.present_channels == Channel.WORK_EMAIL.bit


def test_many_values_take_a_fixed_number_of_statements(django_assert_num_queries):
    leads = LeadFactory.create_batch(30, workspace=WorkspaceFactory())
    points = [new(lead, channel, f"{lead.pk}{channel}") for lead in leads for channel in Channel.values]
    with django_assert_num_queries(6):  # savepoint included
        rows = record_contact_points(points=points)
    assert [(row.lead_id, row.channel) for row in rows] == [
        (point.lead_id, point.channel) for point in points
    ]
    assert all(row.pk for row in rows)
    assert set(Lead.objects.values_list("present_channels", flat=True)) == {15}


def test_of_two_values_for_one_channel_in_one_batch_the_later_is_active():
    lead = LeadFactory()
    rows = record_contact_points(points=[new(lead, value="a@b.example"), new(lead, value="c@b.example")])
    assert [row.state for row in rows] == ["superseded", "active"]


def test_a_value_for_another_workspaces_lead_is_refused_and_nothing_is_written():
    mine, other = LeadFactory(), LeadFactory()
    forged = NewContactPoint(mine.workspace_id, other.pk, "phone", "+1", "+1", "hunter", "Hunter")
    with pytest.raises(Lead.DoesNotExist), transaction.atomic():
        record_contact_points(points=[new(mine), forged])
    assert not ContactPoint.objects.exists()


def test_masks_are_repaired_from_the_contact_points():
    lead = LeadFactory()
    record(lead)
    Lead.objects.update(present_channels=8)
    refresh_present_channels([lead.pk])
    lead.refresh_from_db()
    assert lead.present_channels == 1


STEP = st.tuples(
    st.sampled_from(["record", "retire_bounced", "retire_invalid", "batch", "refresh"]),
    st.integers(0, 1),
    st.sampled_from(Channel.values),
    st.integers(0, 3),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, max_size=14))
def test_present_channels_equal_the_active_contact_points_after_any_history(steps):
    workspace = WorkspaceFactory()
    leads = LeadFactory.create_batch(2, workspace=workspace)
    for action, which, channel, number in steps:
        lead = leads[which]
        if action == "record":
            record(lead, channel=channel, value=f"value{number}")
        elif action == "batch":
            record_contact_points(points=[new(one, channel, f"batch{number}") for one in leads])
        elif action == "refresh":
            refresh_present_channels([one.pk for one in leads])
        elif point := ContactPoint.objects.filter(lead=lead, channel=channel).order_by("?").first():
            state = action.removeprefix("retire_")
            retire_contact_point(contact_point=point, state=state, reason="no", actor=None)
        for one in leads:
            one.refresh_from_db()
            assert one.present_channels == present(one)
            assert one.enrichment_status == one.status


@pytest.mark.concurrent
@pytest.mark.django_db(transaction=True)
def test_values_recorded_and_retired_at_once_leave_masks_that_agree(at_once):
    lead = LeadFactory(required=list(Channel))
    bounced = record(lead, value="old@halden.example")
    at_once(
        *(
            lambda channel=channel: record(lead, channel=channel, value=f"{channel}1")
            for channel in Channel.values
        ),
        *(
            lambda channel=channel: record(lead, channel=channel, value=f"{channel}2")
            for channel in Channel.values
        ),
        lambda: retire_contact_point(contact_point=bounced, state="bounced", reason="hard", actor=None),
    )
    lead.refresh_from_db()
    assert lead.present_channels == present(lead) == 15
    assert ContactPoint.objects.filter(lead=lead, state="active").count() == 4


@pytest.mark.concurrent
@pytest.mark.django_db(transaction=True)
def test_a_writer_waits_for_the_one_before_and_counts_its_value(at_once):
    lead = LeadFactory(required=list(Channel))
    locked, go_on = threading.Event(), threading.Event()

    def first():
        with transaction.atomic():
            record(lead, channel="phone", value="+12025550187")
            locked.set()
            assert go_on.wait(10)

    def second():
        assert locked.wait(10)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
        go_on.set()
        record(lead, channel="linkedin_url", value="linkedin.com/in/ines")

    assert at_once(first, second) == [None, None]
    lead.refresh_from_db()
    assert lead.present_channels == mask_of(["phone", "linkedin_url"])


def test_a_lead_made_by_hand_is_cleaned_searchable_and_needs_the_default_channels(workspace):
    details = {"full_name": "  Łukasz\u202e  Żak ", "company_name": "Straße\0 GmbH", "icp_score": 70}
    lead = create_lead(workspace=workspace, details=details)
    assert (lead.first_name, lead.last_name, lead.company_name) == ("Łukasz", "Żak", "Straße GmbH")
    assert lead.search_text == "lukasz zak strasse gmbh"
    assert lead.required_channels == workspace.default_channels


def test_changed_details_are_on_the_timeline_and_unchanged_ones_are_not(workspace, rep):
    lead = create_lead(workspace=workspace, details={"full_name": "Ines Moreau"})
    lead = update_lead_details(lead=lead, details={"title": "CFO", "last_name": "Moreau"}, actor=rep)
    assert (lead.title, lead.search_text) == ("CFO", "ines moreau cfo")
    assert LeadEvent.objects.newest_first().first().text == "Changed title"
    assert lead.updated_at <= timezone.now()
