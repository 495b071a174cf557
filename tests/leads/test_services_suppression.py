"""People and domains that must never be looked up."""

import pytest
from cryptography.fernet import Fernet

from leads.models import LeadEvent, Suppression, SuppressionKey
from leads.services import (
    InvalidValue,
    is_suppressed,
    record_contact_point,
    suppress,
    suppressed_values,
    taken_values,
)
from tests.factories import ContactPointFactory, LeadFactory
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db


def with_value(lead, channel, value):
    record_contact_point(
        lead=lead, channel=channel, value=value, normalized=value, source="import", source_name="Import"
    )
    return lead


def test_a_suppressed_lead_is_found_by_each_of_its_addresses_wherever_they_turn_up(workspace, admin):
    lead = with_value(LeadFactory(workspace=workspace), "work_email", "ines@halden.example")
    with_value(lead, "work_email", "ines.m@halden.example")
    suppress(workspace=workspace, lead=lead, actor=admin, reason="asked by phone")
    returned = with_value(
        LeadFactory(workspace=workspace, company_domain=""), "personal_email", "ines@halden.example"
    )
    assert is_suppressed([lead, returned, LeadFactory(workspace=workspace)]) == {lead.pk, returned.pk}
    assert LeadEvent.objects.get(kind="lead.suppressed").text == "Suppressed: asked by phone"
    assert AuditEvent.objects.filter(action="suppression.added", actor=admin).count() == 1


def test_a_lead_without_any_address_is_suppressed_by_name_and_company(workspace):
    details = {"full_name": "Inés Moreau", "company_domain": "halden.example"}
    lead = LeadFactory(workspace=workspace, **details)
    suppress(workspace=workspace, lead=lead, actor=None)
    twin = LeadFactory(workspace=workspace, full_name="INES MOREAU", company_domain="halden.example")
    elsewhere = LeadFactory(workspace=workspace, full_name="Inés Moreau", company_domain="other.example")
    assert is_suppressed([lead, twin, elsewhere]) == {lead.pk, twin.pk}


def test_suppressing_one_person_leaves_the_colleagues(workspace):
    lead = with_value(LeadFactory(workspace=workspace), "work_email", "ines@halden.example")
    colleague = with_value(LeadFactory(workspace=workspace), "work_email", "jon@halden.example")
    suppress(workspace=workspace, lead=lead, actor=None)
    assert is_suppressed([colleague]) == set()


def test_a_suppressed_domain_covers_its_people_and_the_names_below_it(workspace):
    suppress(workspace=workspace, domain="https://halden.example/", actor=None)
    by_company = LeadFactory(workspace=workspace, company_domain="eu.halden.example")
    by_email = with_value(
        LeadFactory(workspace=workspace, company_domain=""), "work_email", "a@halden.example"
    )
    other = LeadFactory(workspace=workspace, company_domain="nothalden.example")
    assert is_suppressed([by_company, by_email, other]) == {by_company.pk, by_email.pk}


def test_nothing_readable_is_stored(workspace):
    suppress(
        workspace=workspace, email="ines@halden.example", phone="+12025550187", linkedin="in/ines", actor=None
    )
    rows = list(Suppression.objects.values_list("digest", flat=True))
    assert len(rows) == 3
    assert all(len(digest) == 64 and int(digest, 16) for digest in rows)


def test_suppressing_again_adds_nothing(workspace):
    assert suppress(workspace=workspace, email="A@b.example", actor=None) == 1
    assert suppress(workspace=workspace, email="a@B.example", actor=None) == 0


def test_what_is_no_address_is_refused(workspace):
    with pytest.raises(InvalidValue):
        suppress(workspace=workspace, email="nobody", actor=None)


def test_each_workspace_has_its_own_list_and_its_own_key(workspace, other_workspace):
    for one in (workspace, other_workspace):
        suppress(workspace=one, email="ines@halden.example", actor=None)
    first, second = Suppression.objects.values_list("digest", flat=True)
    assert first != second
    suppress(workspace=workspace, domain="only.example", actor=None)
    theirs = LeadFactory(workspace=other_workspace, company_domain="only.example")
    mine = LeadFactory(workspace=workspace, company_domain="only.example")
    assert is_suppressed([theirs, mine]) == {mine.pk}


def test_suppressions_survive_a_change_of_the_encryption_keys(workspace, settings):
    suppress(workspace=workspace, email="ines@halden.example", actor=None)
    key = ("work_email", "ines@halden.example")
    old, new = settings.FIELD_ENCRYPTION_KEYS[0], Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    row = SuppressionKey.objects.get()
    row.save()
    settings.FIELD_ENCRYPTION_KEYS = [new]
    assert suppressed_values(workspace_id=workspace.pk, values=[key]) == {key}


def test_nobody_suppressed_costs_one_query(workspace, django_assert_num_queries):
    leads = LeadFactory.create_batch(5, workspace=workspace)
    with django_assert_num_queries(1):
        assert is_suppressed(leads) == set()


def test_values_are_checked_many_at_once(workspace):
    suppress(workspace=workspace, domain="halden.example", phone="+12025550187", actor=None)
    values = {
        ("work_email", "a@eu.halden.example"),
        ("work_email", "a@other.example"),
        ("phone", "+12025550187"),
        ("linkedin_url", "linkedin.com/in/a"),
    }
    hits = suppressed_values(workspace_id=workspace.pk, values=values)
    assert hits == {("work_email", "a@eu.halden.example"), ("phone", "+12025550187")}
    assert suppressed_values(workspace_id=workspace.pk, values=[]) == set()


def test_a_value_is_taken_by_those_who_actively_have_it_in_this_workspace(workspace, other_workspace):
    lead = LeadFactory(workspace=workspace)
    ContactPointFactory(lead=lead, value="a@b.example")
    ContactPointFactory(lead=LeadFactory(workspace=workspace), value="old@b.example", state="bounced")
    ContactPointFactory(lead=LeadFactory(workspace=other_workspace), value="their@b.example")
    values = [
        ("work_email", "a@b.example"),
        ("personal_email", "a@b.example"),
        ("work_email", "old@b.example"),
        ("work_email", "their@b.example"),
        ("phone", "a@b.example"),
    ]
    owners = taken_values(workspace_id=workspace.pk, values=values)
    assert owners == {("work_email", "a@b.example"): {lead.pk}, ("personal_email", "a@b.example"): {lead.pk}}
    assert taken_values(workspace_id=workspace.pk, values=[]) == {}
