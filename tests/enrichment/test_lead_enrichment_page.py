"""The lead panel's enrichment part: what it offers, what it shows while running, and how each outcome reads."""

import re
import uuid
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from billing import services as billing
from core.htmx import STOP_POLLING
from enrichment.adapters import AdapterError
from enrichment.models import Provider, Run, RunItem
from leads.models import ContactPoint, LeadEvent
from tests.enrichment.world import World, value
from tests.factories import ContactPointFactory, LeadFactory
from tests.factories.enrichment import (
    ChannelEnrichmentFactory,
    LookupFactory,
    RunFactory,
    RunItemFactory,
    VendorCallFactory,
    plan_of,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(db, monkeypatch):
    """Four providers with scripted answers; the lead needs a work e-mail and a phone."""
    return World(monkeypatch, required=("work_email", "phone"))


@pytest.fixture
def browse(client_for, world):
    """``browse("rep")``: a client of the world's workspace that asks for fragments."""
    return lambda role, **options: client_for(role, workspace=world.workspace, htmx=True, **options)


def url(name, lead):
    return reverse(f"enrichment:{name}", args=[lead.pk])


def part(client, world, lead=None, **query):
    response = client.get(url("lead_enrichment", lead or world.lead), query)
    assert response.status_code in (200, STOP_POLLING)
    return response.content.decode()


def words(html):
    """The text of a page as one line."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html)).strip()


def click(client, world, *, lead=None, key=None, quoted=1000, **data):
    data = {"idempotency_key": key or uuid.uuid4(), "quoted": quoted, **data}
    return client.post(url("start_enrichment", lead or world.lead), data)


def test_the_button_says_what_it_costs_at_most(browse, world):
    page = part(browse("rep"), world)
    assert "Enrich profile" in page
    assert "up to 22 credits" in page
    assert 'name="idempotency_key"' in page and 'name="quoted" value="22"' in page


def test_required_channels_come_first_and_unasked_ones_say_so(browse, world):
    text = words(part(browse("rep"), world))
    assert (
        text.index("Work email")
        < text.index("Phone")
        < text.index("LinkedIn URL")
        < text.index("Personal email")
    )
    assert text.count("Not asked yet") == 4
    assert "0 of 4 found" in text


def test_a_viewer_sees_everything_and_no_button(browse, world):
    page = part(browse("viewer"), world)
    assert "Enrich profile" not in page
    assert "<form" not in page
    assert click(browse("viewer"), world).status_code == 403
    assert browse("viewer").post(url("stop_enrichment", world.lead)).status_code == 403
    assert not Run.objects.exists()


@pytest.mark.parametrize("name", ["lead_enrichment", "lead_history"])
def test_another_workspaces_lead_is_not_found(browse, world, other_workspace, name):
    foreign = LeadFactory(workspace=other_workspace)
    assert browse("admin").get(url(name, foreign)).status_code == 404
    assert click(browse("admin"), world, lead=foreign).status_code == 404
    assert browse("admin").post(url("stop_enrichment", foreign)).status_code == 404


def test_one_click_starts_one_enrichment(browse, world):
    response = click(browse("rep"), world)
    page = response.content.decode()
    assert response.status_code == 200
    assert "Enriching 2 channels" in page
    assert 'hx-trigger="every 1s"' in page
    assert f"lead-changed-{world.lead.pk}" in response["HX-Trigger"]
    assert RunItem.objects.count() == 1


def test_the_same_click_twice_and_a_second_rep_start_nothing(browse, world):
    key = uuid.uuid4()
    click(browse("rep"), world, key=key)
    again = click(browse("rep"), world, key=key)
    other = click(browse("admin"), world)
    assert RunItem.objects.count() == 1
    for response in (again, other):
        assert "This enrichment has already started." in response["HX-Trigger"]


def test_without_script_the_click_comes_back_to_the_panel(client_for, world):
    client = client_for("rep", workspace=world.workspace)
    response = click(client, world)
    assert response.status_code == 302
    assert response["Location"] == reverse("leads:lead_panel", args=[world.lead.pk])


def test_a_price_that_went_up_is_shown_before_it_is_paid(browse, world):
    response = click(browse("rep"), world, quoted=3)
    text = words(response.content.decode())
    assert response.status_code == 422
    assert "Prices changed: this can now cost up to 22 credits." in text
    assert "up to 22 credits" in text
    assert not RunItem.objects.exists()


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"idempotency_key": "x", "quoted": "1"},
        {"idempotency_key": str(uuid.uuid4()), "quoted": "-1"},
        {"idempotency_key": str(uuid.uuid4()), "quoted": "9" * 40},
    ],
)
def test_a_broken_form_starts_nothing(browse, world, data):
    response = browse("rep").post(url("start_enrichment", world.lead), data)
    assert response.status_code == 422
    assert "Not started." in response.content.decode()
    assert not RunItem.objects.exists()


def test_a_form_used_for_another_lead_is_refused(browse, world):
    key = uuid.uuid4()
    click(browse("rep"), world, key=key)
    response = click(browse("rep"), world, lead=world.new_lead(), key=key)
    assert response.status_code == 422
    assert "already used for another lead" in response.content.decode()
    assert RunItem.objects.count() == 1


def test_a_full_lead_offers_nothing_and_a_click_costs_nothing(browse, world):
    ContactPointFactory(lead=world.lead, channel="work_email")
    ContactPointFactory(lead=world.lead, channel="phone")
    page = part(browse("rep"), world)
    assert "All required channels are already found." in page
    assert "up to" not in page and "<form" not in page
    response = click(browse("rep"), world)
    assert response.status_code == 422
    assert world.account().available == 1000


def test_too_few_credits_say_how_many_are_short(client_for, monkeypatch, db):
    world = World(monkeypatch, credits=16, required=("work_email", "phone"))
    rep, admin = (client_for(role, workspace=world.workspace, htmx=True) for role in ("rep", "admin"))
    page = part(rep, world)
    assert "Short by 6 credits" in page
    assert 'aria-disabled="true"' in page
    assert "Ask an admin for more." in page and "<form" not in page
    assert reverse("billing:overview") in part(admin, world)
    assert click(rep, world).status_code == 422
    assert not RunItem.objects.exists()


def test_a_used_up_budget_says_by_how_much(browse, world):
    billing.set_budget(workspace=world.workspace, monthly_limit=20, actor=None)
    assert "Over budget by 2 credits" in part(browse("rep"), world)


def test_a_frozen_account_explains_itself(browse, world):
    billing.freeze_account(workspace_id=world.workspace.pk, reason="found a fault")
    assert "Spending is stopped." in part(browse("rep"), world)


def test_without_providers_an_admin_gets_a_way_and_a_rep_a_sentence(browse, world):
    Provider.objects.update(enabled=False)
    assert "Connect a provider" in part(browse("admin"), world)
    text = words(part(browse("rep"), world))
    assert "Connect a provider" not in text
    assert "Ask an admin to connect one." in text
    assert "Hunter not asked: switched off" in text


def test_all_found(browse, world):
    world.script("hunter", [value("work_email")])
    world.script("peopledatalabs", [value("phone")])
    world.enrich()
    text = words(part(browse("rep"), world))
    assert "All required channels are already found." in text
    assert "2 of 4 found" in text
    assert "ines.moreau@haldenrobotics.example" in text
    assert "Verified" in text and "Source: Hunter" in text and "90% confidence" in text
    assert "Why is this lead not green?" not in text


def test_some_found_names_what_is_missing_and_who_was_asked(browse, world):
    world.script("hunter", [value("work_email")])
    world.script("prospeo", AdapterError("out_of_credit"))
    world.enrich()
    text = words(part(browse("rep"), world))
    assert "Work email found. 4 credits spent." in text
    assert text.count("Work email found. 4 credits spent.") == 1
    assert "Why is this lead not green?" in text
    assert "Phone: 2 providers asked: 1 had no match, 1 could not answer." in text
    assert "People Data Labs no match" in text
    assert "Prospeo could not answer: vendor account out of credit" in text


def test_nothing_found_costs_nothing_and_says_so(browse, world):
    world.enrich()
    text = words(part(browse("rep"), world))
    assert "Not found at 4 providers. Nothing was charged." in text
    assert "Phone: 2 providers asked, none had it." in text
    assert "Work email: 4 providers asked, none had it." in text
    assert "Not found at 4 providers" in text


def test_who_could_not_answer_is_not_counted_among_those_that_had_nothing(browse, world):
    world.script("prospeo", AdapterError("out_of_credit"))
    world.enrich()
    text = words(part(browse("rep"), world))
    assert "Not found at 3 providers, 1 could not answer. Nothing was charged." in text


def test_an_enrichment_that_was_stopped_says_so_until_its_last_call_ends(browse, world):
    run = RunFactory(workspace=world.workspace, state="cancelled")
    RunItemFactory(run=run, lead=world.lead, running=True)
    page = part(browse("rep"), world)
    assert "Stopping" in page and "stop-enrichment" not in page


def test_after_misses_asking_everyone_again_is_a_choice_with_a_price(browse, world):
    world.enrich()
    page = part(browse("rep"), world)
    assert "Not found at 4 providers. Nothing was charged." in page
    assert "A miss is remembered for a while" in page
    assert "Ask everyone again" in page and "up to 22 credits" in page
    assert click(browse("rep"), world).status_code == 422
    response = click(browse("rep"), world, ask_again="1", quoted=22)
    assert response.status_code == 200
    assert RunItem.objects.count() == 2


def test_an_unusable_answer_is_explained(browse, world):
    world.script("hunter", [value("work_email", "info@haldenrobotics.example")])
    world.enrich()
    assert "Hunter answered, not usable:" in words(part(browse("rep"), world))


@pytest.fixture
def running(world):
    """Phone: Prospeo missed, People Data Labs is being asked, one is left out; the e-mail was found."""
    lead, providers = world.lead, world.providers
    item = RunItemFactory(lead=lead, running=True)
    order = (providers["prospeo"], providers["peopledatalabs"], providers["apollo"], providers["hunter"])
    ChannelEnrichmentFactory(
        item=item, channel="phone", plan=plan_of(*order, skip={providers["hunter"]: "switched off"})
    )
    LookupFactory(item=item, provider=providers["prospeo"], channel="phone")
    VendorCallFactory(item=item, provider=providers["peopledatalabs"], under_way=True)
    return item


def test_while_it_runs_the_box_names_who_is_asked(browse, world, running):
    page = part(browse("rep"), world)
    text = words(page)
    assert "Enriching 1 channel" in text
    assert "Phone: asking People Data Labs, 2 of 3 · 0 credits spent" in text
    assert "Searching…" in text
    assert "+1 more" in text
    assert "1 of 3 providers have answered" in page
    assert "Enrich profile" not in text


def test_a_provider_that_asked_for_patience_is_waited_for(browse, world, running):
    later = timezone.now() + timedelta(minutes=5)
    running.calls.update(state="failed", retry_at=later)
    text = words(part(browse("rep"), world))
    assert "Phone: waiting for People Data Labs, 2 of 3" in text
    assert "waiting, asks again at" in text


def test_polling_goes_on_and_then_stops(browse, world, running):
    client = browse("rep")
    response = client.get(url("lead_enrichment", world.lead), {"settled": "0"})
    assert response.status_code == 200
    assert "HX-Trigger" not in response.headers
    RunItem.objects.update(state="done", outcome="none", finished_at=timezone.now())
    running.channels.update(state="not_found", settled_at=timezone.now())
    response = client.get(url("lead_enrichment", world.lead), {"settled": "0"})
    assert response.status_code == STOP_POLLING
    assert f"lead-changed-{world.lead.pk}" in response["HX-Trigger"]
    assert "Phone not found." in response.content.decode()


def test_a_channel_already_announced_is_not_said_again(browse, world, running):
    running.channels.update(state="not_found", settled_at=timezone.now())
    client = browse("rep")
    assert (
        "data-announce" in client.get(url("lead_enrichment", world.lead), {"settled": "0"}).content.decode()
    )
    assert (
        "data-announce"
        not in client.get(url("lead_enrichment", world.lead), {"settled": "4"}).content.decode()
    )


@pytest.mark.parametrize("settled", ["x", "-1", "٣", "9" * 50])
def test_a_nonsense_mask_is_harmless(browse, world, running, settled):
    assert browse("rep").get(url("lead_enrichment", world.lead), {"settled": settled}).status_code == 200


def test_stopping_what_is_in_line_gives_everything_back(browse, world):
    client = browse("rep")
    click(client, world)
    assert world.account().held == 22
    response = client.post(url("stop_enrichment", world.lead))
    text = words(response.content.decode())
    assert response.status_code == 200
    assert "Stopped. Nothing had been found yet. Nothing was charged." in text
    assert world.account().held == 0
    assert client.post(url("stop_enrichment", world.lead)).status_code == 200


def test_waiting_for_credits_is_not_called_searching(browse, world):
    item = RunItemFactory(lead=world.lead, waiting=True)
    ChannelEnrichmentFactory(item=item, channel="phone", plan=plan_of(world.providers["prospeo"]))
    text = words(part(browse("rep"), world))
    assert "Waits for credits" in text
    assert "Searching" not in text


def test_a_bounced_value_is_retired_and_kept_among_the_earlier_ones(browse, world):
    ContactPointFactory(
        lead=world.lead,
        channel="work_email",
        value="old@halden.example",
        state="bounced",
        retired_at=timezone.now(),
    )
    text = words(part(browse("rep"), world))
    assert "Bounced" in text and "previous value retired" in text
    assert "1 earlier value" in text and "old@halden.example" in text
    assert "The value we had was retired and nobody was asked since." in text


@pytest.mark.parametrize(
    ("address", "linked"),
    [
        ("https://www.linkedin.com/in/ines", True),
        ("https://de.linkedin.com/in/ines", True),
        ("javascript:alert(1)", False),
        ("https://linkedin.com.evil.example/in/x", False),
        ("https://evil.example/linkedin.com", False),
    ],
)
def test_only_a_linkedin_page_becomes_a_link(browse, world, address, linked):
    ContactPointFactory(lead=world.lead, channel="linkedin_url", value=address)
    assert ('target="_blank"' in part(browse("rep"), world)) is linked


HOSTILE = ["<img src=x onerror=alert(1)>", '"><script>1</script>', '<a hx-post="/x" hx-trigger="load">x</a>']


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_values_stay_text(browse, world, text):
    ContactPointFactory(lead=world.lead, channel="work_email", value=text, source_name=text)
    item = RunItemFactory(lead=world.lead, done=True)
    world.providers["prospeo"].name = text[:80]
    world.providers["prospeo"].save()
    LookupFactory(item=item, provider=world.providers["prospeo"], message=text, result="unusable")
    LeadEvent.objects.create(workspace=world.workspace, lead=world.lead, kind="lead.imported", text=text)
    for name in ("lead_enrichment", "lead_history"):
        page = browse("rep").get(url(name, world.lead)).content.decode()
        assert text not in page
        assert "<script" not in page and "<img" not in page and 'hx-post="/x"' not in page


def history(client, world, **query):
    return client.get(url("lead_history", world.lead), query)


def test_history_tells_who_said_what_and_what_it_cost(browse, world):
    world.script("hunter", [value("work_email")])
    world.enrich()
    text = words(history(browse("viewer"), world).content.decode())
    assert "4 credits spent in all" in text
    assert "Work email found by Hunter" in text
    assert "Phone not found at People Data Labs" in text
    assert f"Enrich profile started by {world.rep.display_name}" in text


def test_history_can_be_narrowed(browse, world):
    world.script("hunter", [value("work_email")])
    world.enrich()
    for show in ("charged", "found"):
        lines = history(browse("viewer"), world, show=show).context["lines"]
        assert [line.strong for line in lines] == ["Work email found"]
    assert history(browse("viewer"), world, show="'; drop").context["chosen"] == "all"


def test_history_shows_ten_lines_until_all_are_asked_for(browse, world):
    LeadEvent.objects.all().delete()
    for number in range(12):
        LeadEvent.objects.create(
            workspace=world.workspace, lead=world.lead, kind="lead.changed", text=f"Line {number}"
        )
    response = history(browse("viewer"), world)
    assert len(response.context["lines"]) == 10 and response.context["hidden"] == 2
    assert response.context["lines"][0].strong == "Line 11"
    assert len(history(browse("viewer"), world, length="all").context["lines"]) == 12


def test_history_refreshes_when_its_lead_changes(browse, world):
    page = history(browse("viewer"), world).content.decode()
    assert f'hx-trigger="lead-changed-{world.lead.pk} from:body"' in page


def test_a_refund_is_a_line_and_comes_off_what_was_spent(browse, world):
    world.script("hunter", [value("work_email")])
    world.enrich()
    point = ContactPoint.objects.get(lead=world.lead, channel="work_email")
    billing.refund_capture(entry=point.channel_enrichment.charge, key="refund-1", reason="Bounced")
    response = history(browse("viewer"), world, show="charged")
    text = words(response.content.decode())
    assert "0 credits spent in all" in text
    assert "Work email refunded" in text and "4 credits back" in text


@pytest.mark.parametrize("name", ["lead_enrichment", "lead_history"])
def test_a_part_opened_by_itself_is_a_page(client_for, world, name):
    page = client_for("viewer", workspace=world.workspace).get(url(name, world.lead)).content.decode()
    assert "<html" in page and page.count("<main") == 1


def test_the_parts_cost_few_queries(browse, world, django_assert_max_num_queries):
    client = browse("rep")
    signed_in, estimate = 3, 8
    with django_assert_max_num_queries(signed_in + 4 + estimate):
        part(client, world)
    world.start()
    with django_assert_max_num_queries(signed_in + 6):
        part(client, world)
    world.work()
    with django_assert_max_num_queries(signed_in + 4):
        history(client, world)
    for channel in ("work_email", "phone"):
        ContactPointFactory(lead=world.lead, channel=channel)
    with django_assert_max_num_queries(signed_in + 4):
        part(client, world)


def test_the_whole_panel_costs_twelve_queries(browse, world, django_assert_max_num_queries):
    client = browse("rep")
    panel = reverse("leads:lead_panel", args=[world.lead.pk])
    client.get(panel)
    with django_assert_max_num_queries(12):
        fresh = client.get(panel, headers={"HX-Request": "true"})
    world.enrich()
    with django_assert_max_num_queries(12):
        asked = client.get(panel, headers={"HX-Request": "true"})
    assert "Enrich profile" in fresh.content.decode()
    assert "Ask everyone again" in asked.content.decode()
