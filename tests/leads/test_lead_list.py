"""The leads list: what it shows, how it is searched, filtered and sorted, and what it costs."""

import re
from html import unescape

import pytest
from django.utils import timezone

from core.channels import Channel
from leads.models import Lead
from tests.conftest import HTMX
from tests.factories import AudienceFactory, ContactPointFactory, LeadFactory
from tests.factories.enrichment import RunFactory, RunItemFactory

pytestmark = pytest.mark.django_db

URL = "/leads/"
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    '" hx-post="/leads/" hx-trigger="load',
    "'><script>alert(1)</script>",
    "‮gpj.exe",
    "{{ 7|add:7 }}{% debug %}",
    "W" * 120,
]


def names(response):
    """The names of the rows, in order."""
    return [
        unescape(name) for name in re.findall(r'class="who-name"[^>]*>([^<]*)</a>', response.content.decode())
    ]


def named(workspace, *full_names, **more):
    from leads.services import search_text_of

    return [
        LeadFactory(
            workspace=workspace,
            full_name=name,
            search_text=search_text_of(
                full_name=name,
                title="VP Sales",
                company_name=more.get("company_name", "Halden Robotics"),
                company_domain="halden.example",
            ),
            **more,
        )
        for name in full_names
    ]


def row_of(response, lead):
    return re.search(rf'<tr id="lead-{lead.pk}".*?</tr>', response.content.decode(), re.S)[0]


@pytest.mark.parametrize("role", ["viewer", "rep", "admin"])
def test_every_member_sees_the_workspaces_leads_and_no_others(client_for, workspace, other_workspace, role):
    named(workspace, "Ines Moreau")
    named(other_workspace, "Somebody Else")
    assert names(client_for(role).get(URL)) == ["Ines Moreau"]


def test_a_row_says_status_name_title_company_score_channels_audience_and_time(client_for, workspace):
    lead = LeadFactory(
        workspace=workspace, full_name="Ines Moreau", required=["work_email", "phone"], with_phone=True,
        icp_score=96, enriched_at=timezone.now(),
    )  # fmt: skip
    AudienceFactory(
        workspace=workspace, name="DACH mid-market", required=["work_email", "phone"], leads=[lead]
    )
    AudienceFactory(workspace=workspace, name="Q1 renewals", required=["phone"], leads=[lead])
    row = row_of(client_for("rep").get(URL), lead)
    words = [
        "Partial",
        "1/2",
        "Ines Moreau",
        "VP Revenue Operations",
        "Halden Robotics",
        "96",
        "DACH mid-market",
        "+1",
    ]
    for word in [
        *words,
        "just now",
        "Work email missing, Personal email missing, Phone found, LinkedIn URL missing",
    ]:
        assert word in row


def test_a_lead_without_score_or_enrichment_says_so_in_words(client_for, workspace):
    lead = LeadFactory(workspace=workspace, icp_score=None)
    row = row_of(client_for("rep").get(URL), lead)
    assert "no score" in row
    assert "never" in row


def test_a_bounced_value_shows_on_its_channel(client_for, workspace):
    lead = LeadFactory(workspace=workspace)
    ContactPointFactory(lead=lead, channel="work_email", state="bounced", retired_at=timezone.now())
    assert "Work email bounced" in row_of(client_for("rep").get(URL), lead)


@pytest.mark.parametrize(("trait", "word"), [("running", "Running"), ("waiting", "Waiting")])
def test_an_enrichment_under_way_shows_in_the_circle(client_for, workspace, trait, word):
    lead = LeadFactory(workspace=workspace)
    RunItemFactory(
        workspace=workspace, run=RunFactory(workspace=workspace), lead=lead, priority=20, **{trait: True}
    )
    row = row_of(client_for("rep").get(URL), lead)
    assert word in row
    assert ("Work email searching" in row) is (trait == "running")


def test_an_enrichment_that_ended_shows_the_status_again(client_for, workspace):
    lead = LeadFactory(workspace=workspace)
    run = RunFactory(workspace=workspace)
    RunItemFactory(workspace=workspace, run=run, lead=lead, priority=20, done=True)
    assert "Empty" in row_of(client_for("rep").get(URL), lead)


# Search ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("ines", ["Ines Moreau"]),
        ("MOR", ["Ines Moreau"]),
        ("moreau ines", ["Ines Moreau"]),
        ("zolty", ["Łukasz Żółty"]),
        ("łuk ŻÓŁ", ["Łukasz Żółty"]),
        ("strasse", ["Karl Straße"]),
        ("jean-p", ["Jean-Pierre O'Brien"]),
        ("o'bri", ["Jean-Pierre O'Brien"]),
        ("brien", ["Jean-Pierre O'Brien"]),
        ("ines copper", []),
        ("halden.exa ines", ["Ines Moreau"]),
        ("oreau", []),
        ("—", []),
    ],
)
def test_search_finds_beginnings_of_words_whatever_the_accents(client_for, workspace, typed, found):
    named(workspace, "Ines Moreau", "Łukasz Żółty", "Karl Straße", "Jean-Pierre O'Brien")
    assert names(client_for("rep").get(URL, {"q": typed})) == found


@pytest.mark.parametrize(
    "typed",
    [
        "Ines.Moreau@Halden.example",
        "mailto:ines.moreau@halden.example",
        "https://www.linkedin.com/in/ines-moreau/",
        "+49 89 12345678",
    ],
)
def test_search_finds_the_owner_of_an_address_of_this_workspace_once(
    client_for, workspace, other_workspace, typed
):
    for place in (workspace, other_workspace):
        ines, _ = named(place, "Ines Moreau", "Karl Straße")
        for channel, value in [
            (Channel.WORK_EMAIL, "ines.moreau@halden.example"),
            (Channel.PERSONAL_EMAIL, "ines.moreau@halden.example"),
            (Channel.PHONE, "+498912345678"),
            (Channel.LINKEDIN_URL, "linkedin.com/in/ines-moreau"),
        ]:
            ContactPointFactory(lead=ines, channel=channel, value=value, normalized=value)
    assert names(client_for("rep").get(URL, {"q": typed})) == ["Ines Moreau"]


@pytest.mark.parametrize(
    "typed", ["'", "\\", "a' | 'b", "!ines", "ines & ", ":*", "(ines", "<->", "%", "' OR 1=1--", "\x00"]
)
def test_search_takes_any_text_as_text(client_for, workspace, typed):
    named(workspace, "Ines Moreau")
    assert client_for("rep").get(URL, {"q": typed}).status_code == 200


def test_a_search_without_results_repeats_the_words_and_offers_to_clear_them(client_for, workspace):
    named(workspace, "Ines Moreau")
    page = client_for("rep").get(URL, {"q": "<b>halden"}).content.decode()
    assert "No leads match “&lt;b&gt;halden”." in page
    assert "Clear search" in page


# Filters -----------------------------------------------------------------------------------------


def test_status_tabs_filter_and_count(client_for, workspace):
    LeadFactory(workspace=workspace, full_name="All There", full=True)
    LeadFactory(
        workspace=workspace, full_name="Half There", required=["phone", "work_email"], with_phone=True
    )
    LeadFactory.create_batch(2, workspace=workspace, full_name="Not There")
    client = client_for("rep")
    assert names(client.get(URL, {"status": "full"})) == ["All There"]
    assert names(client.get(URL, {"status": "partial"})) == ["Half There"]
    page = client.get(URL, {"status": "empty"})
    tabs = dict(
        re.findall(r'id="tab-\w+"[^>]*>(\w+) <span class="n">([\d,+]+)</span>', page.content.decode())
    )
    assert tabs == {"All": "4", "Full": "1", "Partial": "1", "Empty": "2"}


def test_the_audience_filter_offers_this_workspaces_audiences(client_for, workspace, other_workspace):
    inside, _ = named(workspace, "Inside", "Outside")
    audience = AudienceFactory(workspace=workspace, name="DACH <b>", leads=[inside])
    AudienceFactory(workspace=other_workspace, name="Foreign")
    page = client_for("rep").get(URL, {"audience": audience.pk})
    assert names(page) == ["Inside"]
    assert "DACH &lt;b&gt;" in page.content.decode()
    assert "Foreign" not in page.content.decode()


def test_another_workspaces_audience_is_no_filter(client_for, workspace, other_workspace):
    named(workspace, "Ines Moreau")
    foreign = AudienceFactory(workspace=other_workspace, leads=named(other_workspace, "Somebody Else"))
    assert names(client_for("rep").get(URL, {"audience": foreign.pk})) == ["Ines Moreau"]


@pytest.mark.parametrize("channel", Channel.values)
def test_missing_means_required_and_not_there(client_for, workspace, channel):
    other = next(value for value in Channel.values if value != channel)
    LeadFactory(workspace=workspace, full_name="Needs it", required=[channel])
    LeadFactory(workspace=workspace, full_name="Has it", required=[channel], **{f"with_{channel}": True})
    LeadFactory(workspace=workspace, full_name="Needs another", required=[other])
    assert names(client_for("rep").get(URL, {"missing": channel})) == ["Needs it"]


def test_filters_combine_and_each_can_be_taken_away(client_for, workspace):
    needs, has = named(workspace, "Ines Needs", "Ines Has", required=["phone"])
    ContactPointFactory(lead=has, channel="phone")
    audience = AudienceFactory(workspace=workspace, required=["phone"], leads=[needs, has])
    page = client_for("rep").get(
        URL, {"q": "ines", "audience": audience.pk, "missing": "phone", "sort": "name"}
    )
    assert names(page) == ["Ines Needs"]
    drop = unescape(re.search(r'id="drop-missing" href="([^"]+)"', page.content.decode())[1])
    assert names(client_for("rep").get(drop)) == ["Ines Has", "Ines Needs"]


@pytest.mark.parametrize(
    "query",
    ["status=green", "audience=x", "audience=-1", "audience=99999999999999999999", "missing=fax",
     "sort=password", "sort=--icp", "status=%00", "q=" + "x" * 300],
)  # fmt: skip
def test_a_filter_that_makes_no_sense_is_as_if_it_were_not_there(client_for, workspace, query):
    named(workspace, "Ines Moreau")
    assert names(client_for("rep").get(f"{URL}?{query}")) == ["Ines Moreau"]


def test_filters_without_results_offer_to_clear_them(client_for, workspace):
    named(workspace, "Ines Moreau")
    page = client_for("rep").get(URL, {"status": "full"}).content.decode()
    assert "No leads match these filters." in page
    assert "Clear filters" in page


def test_an_empty_workspace_says_how_to_begin(client_for, workspace):
    assert "No leads yet" in client_for("rep").get(URL).content.decode()
    viewer = client_for("viewer").get(URL).content.decode()
    assert "No leads yet" in viewer
    assert "Import CSV" not in viewer


# Order -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("", ["Cleo", "Abel", "Bea"]),
        ("icp", ["Cleo", "Abel", "Bea"]),
        ("-icp", ["Bea", "Abel", "Cleo"]),
        ("name", ["Abel", "Bea", "Cleo"]),
        ("-name", ["Cleo", "Bea", "Abel"]),
        ("company", ["Bea", "Cleo", "Abel"]),
        ("enriched", ["Abel", "Cleo", "Bea"]),
        ("-enriched", ["Bea", "Cleo", "Abel"]),
    ],
)
def test_columns_sort_both_ways_and_leads_without_a_value_come_last(client_for, workspace, sort, order):
    now = timezone.now()
    LeadFactory(workspace=workspace, full_name="Abel", icp_score=50, company_name="Zeta", enriched_at=now)
    LeadFactory(workspace=workspace, full_name="Bea", icp_score=None, company_name="Alpha", enriched_at=None)
    LeadFactory(
        workspace=workspace, full_name="Cleo", icp_score=90, company_name="Mid",
        enriched_at=now - timezone.timedelta(days=1),
    )  # fmt: skip
    assert names(client_for("rep").get(URL, {"sort": sort} if sort else {})) == order


def test_the_sorted_column_says_so_and_its_head_turns_the_order_round(client_for, workspace):
    named(workspace, "Ines Moreau")
    page = client_for("rep").get(URL, {"sort": "name"}).content.decode()
    assert re.findall(r'aria-sort="(\w+)"', page) == ["ascending"]
    assert unescape(re.search(r'id="sort-name" href="([^"]+)"', page)[1]) == "/leads/?sort=-name"
    assert unescape(re.search(r'id="sort-icp" href="([^"]+)"', page)[1]) == "/leads/?sort=icp"


# Page and fragment -------------------------------------------------------------------------------


def test_htmx_gets_the_table_alone_and_an_address_without_empty_fields(client_for, workspace):
    named(workspace, "Ines Moreau")
    response = client_for("rep", htmx=True).get(URL, {"q": "ines", "status": "", "missing": ""})
    assert response.content.decode().strip().startswith('<div class="fill" id="lead-table"')
    assert response["HX-Push-Url"] == "/leads/?q=ines"
    assert "HX-Request" in response["Vary"]


def test_the_page_contains_the_same_table(client_for, workspace):
    named(workspace, "Ines Moreau")
    client = client_for("rep")
    page, table = client.get(URL), client.get(URL, headers=HTMX)
    assert table.content.decode().strip() in page.content.decode()


def test_a_row_can_be_had_alone_and_asks_for_itself_when_its_lead_changes(client_for, workspace):
    lead = LeadFactory(workspace=workspace)
    response = client_for("viewer", htmx=True).get(f"/leads/{lead.pk}/row/", {"status": "empty"})
    row = response.content.decode()
    assert f'hx-trigger="lead-changed-{lead.pk} from:body"' in row
    assert f'href="/leads/{lead.pk}/?status=empty"' in row


@pytest.mark.parametrize("part", ["", "row/", "head/"])
def test_another_workspaces_lead_does_not_exist(client_for, workspace, other_workspace, part):
    lead = LeadFactory(workspace=other_workspace)
    assert client_for("admin").get(f"/leads/{lead.pk}/{part}").status_code == 404


def test_nobody_signed_in_goes_to_the_login_page(client_for):
    response = client_for(None).get(URL)
    assert response.status_code == 302
    assert response["Location"].startswith("/login/")


# Hostile data and cost ---------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_lead_is_only_text(client_for, workspace, text):
    details = dict.fromkeys(("first_name", "last_name", "full_name", "title", "company_name", "city"), text)
    lead = LeadFactory(workspace=workspace, **details)
    AudienceFactory(workspace=workspace, name=text, leads=[lead])
    client = client_for("rep")
    for url in (URL, f"/leads/{lead.pk}/", f"/leads/{lead.pk}/row/", f"/leads/{lead.pk}/head/"):
        html = client.get(url).content.decode()
        assert "<img" not in html
        assert "<script>" not in html
        assert ' hx-post="/leads/" hx-trigger="load' not in html
    assert names(client.get(URL)) == [text]


def test_fifty_rows_cost_a_fixed_handful_of_queries(client_for, workspace, django_assert_max_num_queries):
    leads = LeadFactory.create_batch(60, workspace=workspace, with_phone=True)
    AudienceFactory(workspace=workspace, required=["phone"], leads=leads)
    AudienceFactory(workspace=workspace, required=["work_email"], leads=leads[:30])
    client = client_for("admin")
    client.get(URL)
    with django_assert_max_num_queries(12):
        assert len(names(client.get(URL))) == 50
    with django_assert_max_num_queries(12):
        client.get(URL, {"q": "ines", "status": "partial", "missing": "work_email", "sort": "-enriched"})


def test_a_count_beyond_the_cap_is_not_counted_on(client_for, workspace, monkeypatch):
    monkeypatch.setattr("leads.views.COUNT_CAP", 3)
    named(workspace, *[f"Ines {n}" for n in range(5)])
    LeadFactory(workspace=workspace, full_name="All There", full=True)
    client = client_for("rep")
    page = client.get(URL).content.decode()
    tabs = dict(re.findall(r'id="tab-\w+"[^>]*>(\w+) <span class="n">([\d,+]+)</span>', page))
    assert tabs == {"All": "3+", "Full": "1", "Partial": "0", "Empty": "3+"}
    assert "of 3+" in page
    searched = client.get(URL, {"q": "ines"}).content.decode()
    assert "more than 3 leads" in searched
    assert "of 3+" in client.get(URL, {"q": "ines", "status": "empty"}).content.decode()


def test_status_filter_follows_the_masks(client_for, workspace):
    lead = LeadFactory(workspace=workspace, full_name="Ines Moreau", required=["phone"])
    ContactPointFactory(lead=lead, channel="phone")
    assert Lead.objects.get().enrichment_status == "full"
    assert names(client_for("rep").get(URL, {"status": "full"})) == ["Ines Moreau"]
