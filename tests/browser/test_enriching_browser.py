"""The main job in a real browser: one click, live progress, the result, and the page without script."""

import pytest

from enrichment.models import RunItem
from tests.enrichment.world import World, value
from tests.factories.enrichment import LookupFactory, VendorCallFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(monkeypatch):
    """The lead needs a work e-mail and a phone."""
    return World(monkeypatch, required=("work_email", "phone"))


@pytest.fixture
def panel(open_page, world):
    """The lead's panel, open as a rep."""
    page = open_page(world.rep)
    page.goto(f"/leads/{world.lead.pk}/")
    return page


def enrich_button(page):
    return page.get_by_role("button", name="Enrich profile")


def test_one_click_runs_to_the_result_without_a_reload(panel, world):
    world.script("hunter", [value("work_email")])
    world.script("peopledatalabs", [value("phone")])
    assert "up to 22 credits" in enrich_button(panel).inner_text()
    enrich_button(panel).click()
    panel.get_by_text("Enriching 2 channels").wait_for()
    panel.get_by_text("asking Hunter, 1 of 4").wait_for()
    world.work()
    panel.get_by_text("All required channels are already found.").wait_for()
    panel.get_by_text("Full · 2 of 2 required").wait_for()
    assert panel.locator("#chan-work_email").get_by_text("ines.moreau@haldenrobotics.example").is_visible()
    panel.locator("#lead-history").get_by_text("22 credits spent in all").wait_for()
    assert panel.locator("#run-box").count() == 0
    said = "Work email found by Hunter, 4 credits. Phone found by People Data Labs, 18 credits."
    panel.locator("#live").filter(has_text=said).wait_for(state="attached")


def test_polling_stops_with_the_run(panel, world):
    enrich_button(panel).click()
    panel.get_by_text("Enriching 2 channels").wait_for()
    world.work()
    panel.get_by_text("Nothing was charged.").first.wait_for()
    asked = []
    panel.on("request", lambda request: asked.append(request.url) if "settled" in request.url else None)
    panel.wait_for_timeout(2500)
    assert asked == []


def test_with_the_panel_closed_the_row_still_follows_its_run_and_then_rests(panel, world):
    world.script("hunter", [value("work_email")])
    world.script("peopledatalabs", [value("phone")])
    enrich_button(panel).click()
    row = panel.locator(f"#lead-{world.lead.pk}")
    row.get_by_text("Running").first.wait_for()
    panel.keyboard.press("Escape")
    panel.locator("#run-box").wait_for(state="detached")
    world.work()
    row.get_by_text("Full").first.wait_for()
    asked = []
    panel.on("request", lambda request: asked.append(request.url))
    panel.wait_for_timeout(4000)
    assert asked == []


def test_a_double_click_is_one_enrichment(panel, world):
    enrich_button(panel).dblclick()
    panel.get_by_text("Enriching 2 channels").wait_for()
    assert RunItem.objects.count() == 1
    assert world.account().held == 22


def test_two_tabs_are_one_enrichment(panel, open_page, world):
    other = open_page(world.rep)
    other.goto(f"/leads/{world.lead.pk}/")
    enrich_button(panel).click()
    panel.get_by_text("Enriching 2 channels").wait_for()
    enrich_button(other).click()
    other.get_by_text("This enrichment has already started.").wait_for()
    other.get_by_text("Enriching 2 channels").wait_for()
    assert RunItem.objects.count() == 1


def test_stop_gives_back_what_was_held(panel, world):
    enrich_button(panel).click()
    panel.get_by_role("button", name="Stop").click()
    panel.get_by_text("Stopped. Nothing had been found yet.").wait_for()
    assert world.account().held == 0


def test_an_opened_disclosure_and_the_focus_survive_the_polling(panel, world):
    from tests.factories import ContactPointFactory

    ContactPointFactory(lead=world.lead, channel="linkedin_url", state="superseded")
    enrich_button(panel).click()
    panel.get_by_text("Enriching 2 channels").wait_for()
    panel.get_by_text("1 earlier value").click()
    panel.get_by_role("button", name="Stop").focus()
    item = RunItem.objects.get()
    LookupFactory(item=item, provider=world.providers["hunter"], channel="work_email")
    panel.get_by_text("asking Apollo, 2 of 4").wait_for()
    panel.wait_for_timeout(1500)
    assert panel.locator("#earlier-linkedin_url").get_attribute("open") is not None
    assert panel.get_by_role("button", name="Stop").evaluate("e => e === document.activeElement")


def test_copying_a_value(panel, world):
    world.script("hunter", [value("work_email")])
    world.enrich()
    panel.reload()
    panel.get_by_role("button", name="Copy work email").click()
    panel.locator("#live").filter(has_text="Copied").wait_for(state="attached")


def test_without_script_the_click_still_starts(open_page, world):
    page = open_page(world.rep, script=False)
    page.goto(f"/leads/{world.lead.pk}/")
    enrich_button(page).click()
    assert page.get_by_text("Enriching 2 channels").is_visible()
    world.work()
    page.get_by_role("link", name="Show the latest state").click()
    assert page.get_by_text("Nothing was charged.").first.is_visible()


@pytest.mark.parametrize("look", [{}, {"dark": True}, {"phone": True}], ids=["light", "dark", "phone"])
def test_every_state_of_the_panel_is_accessible(
    open_page, world, look, assert_accessible, assert_no_sideways_scroll
):
    page = open_page(world.rep, **look)

    def check(lead=world.lead):
        page.goto(f"/leads/{lead.pk}/")
        page.locator("#lead-enrichment").wait_for()
        assert_accessible(page)
        assert_no_sideways_scroll(page)

    check()
    item = world.start()
    VendorCallFactory(item=item, provider=world.providers["hunter"], under_way=True)
    LookupFactory(item=item, provider=world.providers["peopledatalabs"], channel="phone")
    check()
    other = world.new_lead(first_name="Nora")
    world.script("hunter", [value("work_email", "nora.moreau@haldenrobotics.example")])
    world.enrich(other)
    check(other)
