"""Importing a file: who is new, who is filled in, who is refused, and that nothing is half done."""

import time
import uuid
from unittest import mock

import pytest

from leads.imports.importing import ImportKeyReused
from leads.imports.reading import UnreadableFile
from leads.models import ContactPoint, Lead, LeadEvent, LeadImport
from leads.services import import_leads, record_contact_point, retire_contact_point, suppress
from tests.factories import LeadFactory
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db

HEADER = (
    "First Name,Last Name,Title,Company,Company Domain,LinkedIn URL,ICP Score,Work Email,Personal Email,Phone"
)


def bring_in(workspace, *lines, header=HEADER, key=None, name="leads.csv", actor=None):
    data = "\n".join([header, *lines]).encode()
    return import_leads(
        workspace=workspace, data=data, file_name=name, idempotency_key=key or uuid.uuid4(), actor=actor
    )


def counts(done):
    return done.created_count, done.updated_count, done.unchanged_count, done.refused_count


def values_of(lead):
    return dict(ContactPoint.objects.filter(lead=lead, state="active").values_list("channel", "normalized"))


def with_value(lead, channel, value):
    return record_contact_point(
        lead=lead, channel=channel, value=value, normalized=value, source="hunter", source_name="Hunter"
    )


def test_a_new_lead_has_its_details_its_contact_points_and_a_line_on_its_timeline(workspace, rep):
    done = bring_in(
        workspace,
        "Inés,Moreau,CFO,Halden,halden.example,linkedin.com/in/ines,90,ines@halden.example,,+12025550187",
        actor=rep,
    )
    lead = Lead.objects.get()
    assert counts(done) == (1, 0, 0, 0)
    assert (lead.full_name, lead.title, lead.icp_score, lead.last_import) == ("Inés Moreau", "CFO", 90, done)
    assert (lead.search_text, lead.source) == ("ines moreau cfo halden halden.example", "import")
    assert (lead.required_channels, lead.present_channels) == (workspace.default_channels, 1 | 4 | 8)
    assert (lead.enrichment_status, lead.enriched_at) == ("full", None)
    point = ContactPoint.objects.get(channel="work_email")
    assert (point.source, point.source_name, point.verification) == ("import", "Import", "unknown")
    event = LeadEvent.objects.get()
    assert (event.kind, event.text, event.actor) == ("lead.imported", "Imported from leads.csv", rep)
    assert AuditEvent.objects.get().details["created"] == 1


def test_bad_rows_are_reported_with_their_lines_and_good_rows_kept(workspace):
    done = bring_in(
        workspace,
        "Ines,Moreau,,,,,,,,",
        ",,CFO,Halden,,,,,,",
        '"Jon","Smith","VP,',
        'Sales",,,,150,not an address,,',
        "Anna,Meyer,CTO,Acme, Inc,,,,,,x",
    )
    assert counts(done) == (2, 0, 0, 2)
    assert done.refused_rows == [
        {"line": 3, "reason": "There is no name.", "row": ["", "", "CFO", "Halden", *[""] * 6]},
        {
            "line": 6,
            "reason": "The row has 11 cells, the header 10.",
            "row": ["Anna", "Meyer", "CTO", "Acme", "Inc", *[""] * 5, "x"],
        },
    ]
    assert [warning["line"] for warning in done.warnings] == [4, 4]
    assert done.warning_count == 2
    assert set(Lead.objects.values_list("full_name", flat=True)) == {"Ines Moreau", "Jon Smith"}


@pytest.mark.parametrize(
    "spelling",
    [
        "https://www.linkedin.com/in/ines-moreau/",
        "http://uk.linkedin.com/in/Ines-Moreau?x=1",
        "in/ines%2Dmoreau",
    ],
)
def test_a_known_profile_in_any_spelling_is_filled_in_where_blank(workspace, spelling):
    lead = LeadFactory(
        workspace=workspace, full_name="Ines Moreau", title="CFO", icp_score=None, company_domain=""
    )
    with_value(lead, "linkedin_url", "linkedin.com/in/ines-moreau")
    with_value(lead, "work_email", "ines@halden.example")
    done = bring_in(
        workspace, f"Inez,M,CEO,New Company,halden.example,{spelling},0,other@halden.example,i@gmail.com,"
    )
    lead.refresh_from_db()
    assert counts(done) == (0, 1, 0, 0)
    assert (lead.title, lead.full_name, lead.company_name) == ("CFO", "Ines Moreau", "Halden Robotics")
    assert (lead.icp_score, lead.company_domain, lead.last_import) == (0, "halden.example", done)
    assert values_of(lead) == {
        "linkedin_url": "linkedin.com/in/ines-moreau",
        "work_email": "ines@halden.example",
        "personal_email": "i@gmail.com",
    }
    assert LeadEvent.objects.get().text == "Filled in from leads.csv"


@pytest.mark.parametrize("column", [7, 8])
def test_a_known_address_on_either_e_mail_channel_is_the_same_person(workspace, column):
    lead = LeadFactory(workspace=workspace, first_name="Ines", last_name="Moreau")
    with_value(lead, "work_email", "ines@halden.example")
    cells = ["Ines", "Moreau", *[""] * 8]
    cells[column] = "INES@halden.example"
    done = bring_in(workspace, ",".join(cells))
    assert counts(done) == (0, 0, 1, 0)
    assert Lead.objects.count() == 1
    assert values_of(lead) == {"work_email": "ines@halden.example"}


def test_rows_about_one_person_in_one_file_become_one_lead(workspace):
    done = bring_in(
        workspace,
        "Ines,Moreau,,,,linkedin.com/in/ines,,ines@halden.example,,",
        "Ines,Moreau,CFO,,,,,ines@halden.example,,",
        "Ines,Moreau,CEO,,,https://www.linkedin.com/in/ines/,,,ines@gmail.com,",
        "Ines,Moreau,,,,,,,ines@gmail.com,",
    )
    assert counts(done) == (1, 2, 1, 0)
    lead = Lead.objects.get()
    assert lead.title == "CFO"
    assert set(values_of(lead)) == {"linkedin_url", "work_email", "personal_email"}


def test_a_team_mailbox_does_not_make_two_people_one(workspace):
    done = bring_in(
        workspace, "Ines,Moreau,,,,,,info@halden.example,,", "Jon,Smith,,,,,,info@halden.example,,"
    )
    assert counts(done) == (2, 0, 0, 0)


def test_an_address_of_somebody_else_is_refused_by_name(workspace):
    bring_in(workspace, "Ines,Moreau,,,,,,shared@halden.example,,")
    done = bring_in(workspace, "Jon,Smith,,,,,,shared@halden.example,,")
    assert counts(done) == (0, 0, 0, 1)
    assert done.refused_rows[0]["reason"] == "This e-mail address already belongs to Ines Moreau."


def test_a_profile_of_one_and_an_address_of_another_keeps_both_apart(workspace):
    bring_in(workspace, "Ines,Moreau,,,,linkedin.com/in/ines,,,,", "Jon,Smith,,,,,,jon@halden.example,,")
    done = bring_in(workspace, "Ines,Moreau,,,,linkedin.com/in/ines,,jon@halden.example,,")
    assert counts(done) == (0, 0, 1, 0)
    assert done.warnings == [{"line": 2, "reason": "Work email left out: it belongs to Jon Smith."}]


def test_a_bounced_address_does_not_come_back_by_file(workspace):
    bring_in(workspace, "Ines,Moreau,,,,linkedin.com/in/ines,,ines@halden.example,,")
    point = ContactPoint.objects.get(channel="work_email")
    retire_contact_point(contact_point=point, state="bounced", reason="hard", actor=None)
    done = bring_in(workspace, "Ines,Moreau,,,,linkedin.com/in/ines,,ines@halden.example,,")
    assert counts(done) == (0, 0, 1, 0)
    assert done.warnings[0]["reason"] == "Work email left out: ines@halden.example was retired before."
    assert "work_email" not in values_of(Lead.objects.get())


def test_suppressed_people_and_companies_stay_out_and_leave_no_trace(workspace):
    bring_in(workspace, "Ines,Moreau,,,,linkedin.com/in/ines,,,,", "Jon,Smith,CFO,Acme,acme.example,,,,,")
    ines, jon = Lead.objects.order_by("pk")
    for lead in (ines, jon):
        suppress(workspace=workspace, lead=lead, actor=None)
    suppress(workspace=workspace, domain="gone.example", actor=None)
    Lead.objects.all().delete()
    done = bring_in(
        workspace,
        "Inès,Moreau,,,,in/ines,,,,",
        "JON,SMITH,,,acme.example,,,,,",
        "Anna,Meyer,,,eu.gone.example,,,,,",
        "Anna,Meyer,,,,,,anna@gone.example,,",
        "Karl,Weiss,,,stays.example,,,,,",
    )
    assert counts(done) == (1, 0, 0, 4)
    assert {row["reason"] for row in done.refused_rows} == {
        "This person or company is suppressed and stays out."
    }
    assert all(row["row"] == [] for row in done.refused_rows)


def test_a_file_imported_again_makes_nobody_twice_also_without_any_address(workspace):
    lines = [
        "Ines,Moreau,CFO,Halden,,,,,,",
        "Jon,Smith,,,acme.example,,,,,",
        "Anna,Meyer,,,,,,,,+12025550187",
    ]
    assert counts(bring_in(workspace, *lines)) == (3, 0, 0, 0)
    assert counts(bring_in(workspace, *lines[:2])) == (0, 0, 2, 0)
    done = bring_in(workspace, "Ines,Moreau,,HALDEN,halden.example,in/ines,,ines@halden.example,,")
    assert counts(done) == (0, 1, 0, 0)
    assert set(values_of(Lead.objects.get(full_name="Ines Moreau"))) == {"work_email", "linkedin_url"}


@pytest.mark.parametrize(
    "line",
    [
        "Ines,Moreau,,Halden,halden.example,in/another-ines,,,,",
        "Ines,Moreau,,Halden,halden.example,,,ines2@halden.example,,",
        "Ines,Moreau,,Halden,other-halden.example,,,,,",
        "Ines,Moreau,,,,,,,,",
        "Inès,Moreau,,Other,,,,,,",
    ],
)
def test_people_of_one_name_stay_apart_where_something_tells_them_apart(workspace, line):
    bring_in(workspace, "Ines,Moreau,,Halden,halden.example,in/ines,,ines@halden.example,,")
    assert counts(bring_in(workspace, line)) == (1, 0, 0, 0)


def test_batches_of_one_file_know_each_other(workspace, monkeypatch):
    monkeypatch.setattr("leads.imports.importing.BATCH", 2)
    done = bring_in(
        workspace,
        "Ines,Moreau,,,,in/ines,,,,",
        "Jon,Smith,,Acme,,,,,,",
        ",,,,,,,,,x",
        "Ines,Moreau,CFO,,,in/ines,,ines@halden.example,,",
        "Jon,Smith,,Acme,,,,,,",
        "Ines,Moreau,CFO,,,,,ines@halden.example,,",
    )
    assert counts(done) == (2, 1, 2, 1)
    assert done.refused_rows[0]["line"] == 4


def test_the_same_people_in_another_workspace_are_other_leads(workspace, other_workspace):
    line = "Ines,Moreau,,,,linkedin.com/in/ines,,ines@halden.example,,"
    assert counts(bring_in(workspace, line)) == counts(bring_in(other_workspace, line)) == (1, 0, 0, 0)
    suppress(workspace=other_workspace, domain="halden.example", actor=None)
    assert counts(bring_in(workspace, line)) == (0, 0, 1, 0)


def test_the_same_form_twice_is_one_import_and_with_another_file_none(workspace):
    key = uuid.uuid4()
    first = bring_in(workspace, "Ines,Moreau,,,,,,,,", key=key)
    assert bring_in(workspace, "Ines,Moreau,,,,,,,,", key=key) == first
    assert Lead.objects.count() == 1
    with pytest.raises(ImportKeyReused):
        bring_in(workspace, "Jon,Smith,,,,,,,,", key=key)


def test_an_error_half_way_leaves_nothing_behind(workspace):
    with mock.patch("leads.services.add_lead_events", side_effect=RuntimeError), pytest.raises(RuntimeError):
        bring_in(workspace, "Ines,Moreau,,,,,,ines@halden.example,,")
    assert not Lead.objects.exists()
    assert not ContactPoint.objects.exists()
    assert not LeadImport.objects.exists()


def test_an_error_in_the_last_line_of_the_file_imports_nothing(workspace):
    with pytest.raises(UnreadableFile, match="Line 4: a quote is opened and never closed"):
        bring_in(workspace, "Ines,Moreau,,,,,,,,", "Jon,Smith,,,,,,,,", 'Anna,"Meyer,,,,,,,,')
    assert not Lead.objects.exists()


def test_a_header_alone_is_no_import(workspace):
    with pytest.raises(UnreadableFile, match="The file has a header and no rows"):
        bring_in(workspace)


def test_unknown_columns_are_named_and_nothing_hostile_in_them_is_kept(workspace):
    done = bring_in(workspace, "Ines,Moreau,=cmd()", header="First Name,Last Name,Shoe\u202e Size")
    assert done.ignored_columns == ["Shoe Size"]
    assert counts(done) == (1, 0, 0, 0)


def test_hostile_cells_are_stored_as_plain_text(workspace):
    bring_in(
        workspace,
        '=1+1,"<script>alert(1)</script>",x\u202e\u200b,"{{ 7*7 }}",,javascript:alert(1),,,,',
        "Ines\U0001f600,Moreau,,,,,,,,",
    )
    lead = Lead.objects.order_by("pk").first()
    assert (lead.first_name, lead.last_name, lead.title) == ("=1+1", "<script>alert(1)</script>", "x")


def test_five_thousand_rows_take_seconds_and_a_fixed_number_of_queries(
    workspace, django_assert_max_num_queries
):
    lines = [
        f"Ines,Moreau{n},CFO,Halden {n},halden{n}.example,linkedin.com/in/ines-{n},{n % 101},ines@halden{n}.example,,"
        for n in range(5_000)
    ]
    begin = time.perf_counter()
    with django_assert_max_num_queries(60):
        assert counts(bring_in(workspace, *lines)) == (5_000, 0, 0, 0)
    first = time.perf_counter() - begin
    filled = [line.replace(",,", ",i@mail.example,", 1) for line in lines[:1]] + lines[1:]
    with django_assert_max_num_queries(60):
        assert counts(bring_in(workspace, *filled)) == (0, 1, 4_999, 0)
    assert first < 10


@pytest.mark.concurrent
@pytest.mark.django_db(transaction=True)
def test_the_same_file_uploaded_twice_at_once_makes_each_person_once(workspace, at_once):
    lines = [f"Ines,Moreau{n},,,,linkedin.com/in/ines-{n},,,," for n in range(50)]
    key = uuid.uuid4()
    same = at_once(*(lambda: bring_in(workspace, *lines, key=key) for _ in range(3)))
    assert len({done.pk for done in same}) == 1
    others = at_once(*(lambda: bring_in(workspace, *lines) for _ in range(3)))
    assert [counts(done) for done in others] == [(0, 0, 50, 0)] * 3
    assert Lead.objects.count() == 50
