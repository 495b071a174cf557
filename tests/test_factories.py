"""The factories' rows keep the product's own rules."""

import pytest

from core.channels import Channel, mask_of
from tests.factories import ContactPointFactory, LeadFactory, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_a_lead_takes_its_workspaces_default_scope():
    lead = LeadFactory()
    assert lead.required_channels == lead.workspace.default_channels
    assert lead.present_channels == 0


def test_traits_set_what_a_lead_needs_and_has():
    lead = LeadFactory(missing_all=True, with_work_email=True, with_phone=True)
    lead.refresh_from_db()
    assert lead.required_channels == 15
    assert lead.present_channels == mask_of([Channel.WORK_EMAIL, Channel.PHONE])
    assert lead.enrichment_status == "partial"
    assert {point.channel for point in lead.contact_points.all()} == {"work_email", "phone"}
    full = LeadFactory(full=True)
    full.refresh_from_db()
    assert full.enrichment_status == "full"


def test_a_retired_contact_point_is_not_present():
    assert ContactPointFactory(state="bounced").lead.present_channels == 0


def test_people_sign_in_with_the_demo_password():
    assert UserFactory().check_password("headwater-demo")
    assert not UserFactory(password=None).has_usable_password()
    assert MembershipFactory(viewer=True).role == "viewer"
