"""Importing a file as a rep does it: choose, import, read the report, go on to the leads and an audience."""

import pytest
from playwright.sync_api import expect

from leads.models import Lead
from tests.factories import AudienceFactory

pytestmark = pytest.mark.django_db(transaction=True)

FILE = {
    "name": "sales-navigator export, with a rather long name.csv",
    "mimeType": "text/csv",
    "buffer": (
        b"First Name,Last Name,Title,Company,Phone,Shoe Size\n"
        b"Ines,Moreau,VP Revenue Operations,Halden Robotics,+12025550187,40\n"
        b",,CTO,Acme,,\n"
        b'<b>Jon</b>,Smith,"=cmd()",Acme,call me,\n'
        b'"<img src=x onerror=alert(1)>",Meyer,,,,,,too many cells\n'
    ),
}


@pytest.mark.parametrize(
    "look",
    [{}, {"dark": True}, {"phone": True}, {"script": False}],
    ids=["light", "dark", "phone", "without script"],
)
def test_a_file_is_imported_and_its_leads_join_an_audience(
    open_page, assert_accessible, assert_no_sideways_scroll, workspace, rep, look
):
    AudienceFactory(workspace=workspace, name="Hot EMEA", required=["phone"])
    page = open_page(rep, **look)
    check = look.get("script", True)
    page.goto("/leads/import/")
    if check:
        assert_accessible(page)
        assert_no_sideways_scroll(page)
    page.get_by_label("CSV file").set_input_files(FILE)
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(FILE["name"])
    expect(page.get_by_text("There is no name.")).to_be_visible()
    expect(page.get_by_text("Phone left out: “call me” is not a phone number.")).to_be_visible()
    if check:
        assert_accessible(page)
        assert_no_sideways_scroll(page)
    page.get_by_label("Audience").select_option(label="Hot EMEA")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("2 leads added to Hot EMEA.")).to_be_visible()
    page.get_by_role("link", name="View the imported leads").click()
    expect(page.get_by_role("link", name="Ines Moreau")).to_be_visible()
    assert Lead.objects.get(last_name="Smith").enrichment_status == "empty"


def test_a_file_that_cannot_be_read_is_refused_where_it_was_chosen(open_page, assert_accessible, rep):
    page = open_page(rep)
    page.goto("/leads/import/")
    page.get_by_label("CSV file").set_input_files(
        {"name": "leads.xlsx", "mimeType": "application/zip", "buffer": b"PK\x03\x04"}
    )
    page.complaints.clear()
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("This is an Excel or ZIP file. Save it as CSV and upload that.")).to_be_visible()
    expect(page.get_by_label("CSV file")).to_have_attribute("aria-invalid", "true")
    assert_accessible(page)
    # The browser itself reports that a page came with status 422.
    page.complaints[:] = [text for text in page.complaints if "422" not in text]
