"""The lead panel: beside the list, as a page of its own, and what it links to."""

import re
from html import unescape

import pytest

from tests.conftest import HTMX
from tests.factories import LeadFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def leads(workspace):
    """Three leads; in the list's own order Ann, Bob, Cy."""
    people = [("Ann Ash", 90), ("Bob Birch", 80), ("Cy Cedar", 70)]
    return [
        LeadFactory(workspace=workspace, full_name=name, icp_score=score, search_text=name.lower())
        for name, score in people
    ]


def link(html, key):
    match = re.search(rf'<a class="icon-btn" id="lead-{key}" href="([^"]+)"', html)
    return match and unescape(match[1])


@pytest.mark.parametrize("role", ["viewer", "rep", "admin"])
def test_opened_by_its_address_the_list_comes_along_and_the_row_is_marked(client_for, leads, role):
    page = client_for(role).get(f"/leads/{leads[1].pk}/").content.decode()
    assert page.count("<main") == 1
    assert '<aside class="sheet panel" id="lead-panel"' in page
    assert re.search(rf'<tr id="lead-{leads[1].pk}" data-lead="\d+" class="open"', page)
    assert "<title>Bob Birch · Headwater</title>" in page
    assert page.count('class="who-name"') == 3


def test_htmx_gets_the_panel_alone(client_for, leads):
    response = client_for("rep").get(f"/leads/{leads[1].pk}/", headers=HTMX)
    html = response.content.decode()
    assert html.strip().startswith('<aside class="sheet panel" id="lead-panel"')
    assert "who-name" not in html
    assert "HX-Request" in response["Vary"]


def test_a_page_restored_by_the_browsers_history_is_whole(client_for, leads):
    headers = {**HTMX, "HX-History-Restore-Request": "true"}
    assert "<main" in client_for("rep").get(f"/leads/{leads[1].pk}/", headers=headers).content.decode()


def test_the_head_says_who_how_full_how_fit_and_where(client_for, workspace):
    lead = LeadFactory(
        workspace=workspace, full_name="Ines Moreau", icp_score=96, city="Munich", country="Germany",
        required=["work_email", "phone"], with_phone=True,
    )  # fmt: skip
    html = client_for("viewer", htmx=True).get(f"/leads/{lead.pk}/head/").content.decode()
    for words in (
        "Ines Moreau",
        "VP Revenue Operations",
        "Halden Robotics",
        "Partial · 1 of 2 required",
        "ICP 96",
    ):
        assert words in html
    assert re.search(r"<bdi>Munich</bdi>, *<bdi>Germany</bdi>", html)
    assert f'hx-trigger="lead-changed-{lead.pk} from:body"' in html


def test_next_and_previous_follow_the_lists_order(client_for, leads):
    client = client_for("rep")
    ann, bob, cy = (lead.pk for lead in leads)
    page = client.get(f"/leads/{bob}/", headers=HTMX).content.decode()
    assert (link(page, "previous"), link(page, "next")) == (f"/leads/{ann}/", f"/leads/{cy}/")
    page = client.get(f"/leads/{bob}/?sort=-icp", headers=HTMX).content.decode()
    assert (link(page, "previous"), link(page, "next")) == (
        f"/leads/{cy}/?sort=-icp",
        f"/leads/{ann}/?sort=-icp",
    )


def test_at_the_ends_there_is_nothing_to_go_to(client_for, leads):
    client = client_for("rep")
    assert link(client.get(f"/leads/{leads[0].pk}/", headers=HTMX).content.decode(), "previous") is None
    assert link(client.get(f"/leads/{leads[2].pk}/", headers=HTMX).content.decode(), "next") is None


def test_next_and_previous_stay_within_the_filters(client_for, workspace, leads):
    between = LeadFactory(workspace=workspace, full_name="Abby Full", icp_score=85, full=True)
    page = client_for("rep").get(f"/leads/{leads[0].pk}/?status=empty", headers=HTMX).content.decode()
    assert link(page, "next") == f"/leads/{leads[1].pk}/?status=empty"
    assert str(between.pk) not in link(page, "next")


def test_a_lead_outside_the_filters_still_opens(client_for, leads):
    page = client_for("rep").get(f"/leads/{leads[1].pk}/?q=cedar").content.decode()
    assert "Bob Birch" in page
    assert link(page, "next") == f"/leads/{leads[2].pk}/?q=cedar"


def test_closing_leads_back_to_the_same_list(client_for, leads):
    html = client_for("rep").get(f"/leads/{leads[1].pk}/?sort=name&status=", headers=HTMX).content.decode()
    assert 'data-list="/leads/?sort=name"' in html
    assert re.search(r'href="/leads/\?sort=name" aria-label="Close panel"', html)


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_the_panel_is_only_looked_at(client_for, leads, method):
    assert getattr(client_for("admin"), method)(f"/leads/{leads[0].pk}/").status_code == 405


def test_its_own_part_of_the_panel_costs_few_queries(
    client_for, leads, monkeypatch, django_assert_max_num_queries
):
    monkeypatch.setattr("core.templatetags.ui.include_view", lambda *args: "")
    client = client_for("rep")
    with django_assert_max_num_queries(5):
        client.get(f"/leads/{leads[1].pk}/", headers=HTMX)
    with django_assert_max_num_queries(6):
        client.get(f"/leads/{leads[1].pk}/?q=birch&status=empty", headers=HTMX)
