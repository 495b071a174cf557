"""The import pages: choosing a file, the report, and what goes on from there."""

import csv
import io
import re
import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from leads.import_views import safe_cell
from leads.imports.reading import MAX_BYTES
from leads.models import Lead, LeadImport
from tests.factories import AudienceFactory, LeadFactory

pytestmark = pytest.mark.django_db

URL = "/leads/import/"
GOOD = "First Name,Last Name,Title,Phone\nInes,Moreau,CFO,+12025550187\nJon,Smith,CTO,\n"


def upload(client, text=GOOD, name="leads.csv", key=None, **more):
    data = text if isinstance(text, bytes) else text.encode()
    file = SimpleUploadedFile(name, data, content_type="text/csv")
    return client.post(URL, {"file": file, "idempotency_key": key or uuid.uuid4(), **more})


def test_a_file_is_imported_and_its_report_shown(client_for, rep):
    client = client_for("rep")
    response = upload(client)
    done = LeadImport.objects.get()
    assert response.headers["Location"] == reverse("leads:lead_import_detail", args=[done.pk])
    page = client.get(response.headers["Location"]).content.decode()
    assert "leads.csv" in page and "View the imported leads" in page
    assert done.imported_by == rep
    assert Lead.objects.count() == 2


def test_the_page_makes_a_key_and_the_same_form_twice_is_one_import(client_for):
    client = client_for("rep")
    page = client.get(URL).content.decode()
    key = re.search(r'name="idempotency_key" value="([0-9a-f-]{36})"', page)[1]
    first, second = upload(client, key=key), upload(client, key=key)
    assert first.headers["Location"] == second.headers["Location"]
    assert LeadImport.objects.count() == 1
    assert key not in client.get(URL).content.decode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "The file is empty."),
        ("First Name,Last Name\n", "The file has a header and no rows."),
        ("Company\nAcme\n", "No column with names was found in line 1"),
        ('First Name,Last Name\nInes,"Moreau\n', "Line 2: a quote is opened and never closed."),
        (b"PK\x03\x04", "This is an Excel or ZIP file."),
        ("x" * (MAX_BYTES + 1), "The file has more than 10 MB. Split it."),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_beside_its_field(client_for, content, message):
    response = upload(client_for("rep"), content)
    assert response.status_code == 422
    assert message in response.content.decode()
    assert not LeadImport.objects.exists()
    assert not Lead.objects.exists()


@pytest.mark.parametrize("data", [{}, {"idempotency_key": "x"}, {"file": "text, not a file"}])
def test_a_form_without_a_file_or_a_key_is_refused(client_for, data):
    response = client_for("rep").post(URL, data)
    assert response.status_code == 422
    assert "Choose a file." in response.content.decode()
    response = upload(client_for("rep"), key="made-up")
    assert "Reload the page and choose the file again." in response.content.decode()


def test_refused_rows_and_left_out_values_are_listed_with_their_lines(client_for):
    client = client_for("rep")
    text = "First Name,Last Name,Phone,Shoe Size\n,,1,\nInes,Moreau,call me,40\nJon,Smith,,44,,<b>x</b>\n"
    page = client.get(upload(client, text).headers["Location"]).content.decode()
    assert "There is no name." in page
    assert "Phone left out: “call me” is not a phone number." in page
    assert "Columns left out: Shoe Size" in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page and "<b>x</b>" not in page
    lines = re.findall(r'<td class="r">(\d+)</td>', page)
    assert lines == ["2", "4", "3"]


def test_refused_rows_are_downloaded_without_anything_a_spreadsheet_would_run(client_for):
    client = client_for("rep")
    text = 'First Name,=cmd,Phone\n,"=HYPERLINK(""http://evil"")",+1202\n,  @x,-5\n'
    done = LeadImport.objects.get(pk=upload(client, text).headers["Location"].split("/")[-2])
    response = client.get(f"{URL}{done.pk}/refused.csv")
    assert response.headers["Content-Disposition"] == f'attachment; filename="refused-rows-{done.pk}.csv"'
    assert "no-store" in response.headers["Cache-Control"]
    rows = list(csv.reader(io.StringIO(b"".join(response.streaming_content).decode("utf-8-sig"))))
    assert rows == [
        ["Line", "Reason", "First Name", "'=cmd", "Phone"],
        ["2", "There is no name.", "", '\'=HYPERLINK("http://evil")', "'+1202"],
        ["3", "There is no name.", "", "'@x", "'-5"],
    ]
    assert all(cell[:1] not in "=+-@" or not cell for row in rows for cell in row)


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\t=1", " =1", "\r=1"])
def test_a_cell_that_looks_like_a_formula_is_made_text(text):
    assert safe_cell(text) == f"'{text}"
    assert safe_cell("plain - text") == "plain - text"


def test_the_leads_list_narrows_to_an_import_and_the_search_keeps_it(client_for, workspace):
    LeadFactory(workspace=workspace, full_name="Someone Else")
    client = client_for("rep")
    upload(client)
    done = LeadImport.objects.get()
    page = client.get(f"/leads/?imported={done.pk}").content.decode()
    assert "Ines Moreau" in page and "Someone Else" not in page
    assert f'<input type="hidden" name="imported" value="{done.pk}">' in page
    assert "Remove filter Import" in page
    assert "Someone Else" in client.get("/leads/?imported=999999999999999999999").content.decode()


def test_another_workspaces_import_is_not_there(client_for, workspace, other_workspace, member):
    upload(client_for("rep"))
    done = LeadImport.objects.get()
    foreign = client_for(member("rep", other_workspace), workspace=other_workspace)
    for path in (f"{URL}{done.pk}/", f"{URL}{done.pk}/refused.csv", f"{URL}{done.pk}/audience/"):
        assert foreign.get(path).status_code == 404
    assert "Ines" not in foreign.get(f"/leads/?imported={done.pk}").content.decode()
    assert "leads.csv" not in foreign.get(URL).content.decode()


def test_a_viewer_may_not_import(client_for):
    client = client_for("viewer")
    assert client.get(URL).status_code == 403
    assert upload(client).status_code == 403
    assert not Lead.objects.exists()


def test_an_imports_leads_join_an_audience_and_need_what_it_needs(client_for, workspace):
    audience = AudienceFactory(workspace=workspace, name="Hot", required=["phone"])
    client = client_for("rep")
    report = upload(client).headers["Location"]
    done = LeadImport.objects.get()
    assert "Choose an audience" in client.get(report).content.decode()
    response = client.post(f"{URL}{done.pk}/audience/", {"audience": audience.pk}, follow=True)
    assert "2 leads added to Hot." in response.content.decode()
    assert audience.memberships.count() == 2
    assert set(Lead.objects.values_list("full_name", "enrichment_status")) == {
        ("Ines Moreau", "full"),
        ("Jon Smith", "empty"),
    }
    again = client.post(f"{URL}{done.pk}/audience/", {"audience": audience.pk}, follow=True)
    assert "0 leads added to Hot, 2 were already in it." in again.content.decode()


@pytest.mark.parametrize("choice", ["", "x", "0", "9" * 30, "foreign"])
def test_only_an_audience_of_the_workspace_can_be_chosen(client_for, other_workspace, choice):
    foreign = AudienceFactory(workspace=other_workspace)
    client = client_for("rep")
    upload(client)
    done = LeadImport.objects.get()
    choice = foreign.pk if choice == "foreign" else choice
    response = client.post(f"{URL}{done.pk}/audience/", {"audience": choice}, follow=True)
    assert "Choose an audience." in response.content.decode()
    assert not foreign.memberships.exists()
