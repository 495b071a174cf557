"""The leads list and its panel in a real browser: pointer, keyboard, history, small screens, both themes, no script."""

import re

import pytest
from playwright.sync_api import expect

from core.channels import Channel
from leads.models import Lead
from leads.services import search_text_of
from tests.factories import AudienceFactory, ContactPointFactory, LeadFactory
from tests.factories.enrichment import RunFactory, RunItemFactory

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = [
    ("Ines Moreau", "Halden Robotics", 96),
    ("Łukasz Żółty", "Copperline", 90),
    ("Priya Raghavan", "Quantive Labs", 85),
    ("Marcus Oyelaran", "Lumenstack", 80),
]


@pytest.fixture
def leads(workspace):
    """Four leads of every status; the list shows them in this order."""
    made = [
        LeadFactory(
            workspace=workspace,
            full_name=name,
            company_name=company,
            icp_score=score,
            city="Munich",
            required=["work_email", "phone"],
            search_text=search_text_of(
                full_name=name, title="", company_name=company, company_domain="haldenrobotics.example"
            ),
        )
        for name, company, score in PEOPLE
    ]
    for channel in Channel.values:
        ContactPointFactory(lead=made[1], channel=channel)
    ContactPointFactory(lead=made[0], channel="phone")
    ContactPointFactory(lead=made[0], channel="work_email", state="bounced")
    AudienceFactory(
        workspace=workspace, name="DACH mid-market", required=["work_email", "phone"], leads=made[:2]
    )
    return made


@pytest.fixture
def page(open_page, rep, leads):
    """The list, open as a rep."""
    page = open_page(rep)
    page.goto("/leads/")
    return page


def rows(page):
    return page.locator("#lead-table .who-name")


def panel_name(page):
    return page.locator("aside.panel h2")


def path(page):
    return page.evaluate("location.pathname + location.search")


# Pointer -----------------------------------------------------------------------------------------


def test_the_list_shows_the_leads_best_fit_first(page):
    expect(rows(page)).to_have_text([name for name, _, _ in PEOPLE])
    expect(page.locator("aside.panel")).to_have_count(0)


def test_typing_searches_after_a_moment_and_keeps_what_is_typed(page):
    field = page.get_by_role("searchbox", name="Search leads")
    field.press_sequentially("zolty", delay=20)
    expect(rows(page)).to_have_text(["Łukasz Żółty"])
    expect(field).to_be_focused()
    expect(field).to_have_value("zolty")
    expect(page.locator("#live")).to_have_text("1 lead")
    assert path(page) == "/leads/?q=zolty"
    field.press_sequentially("x", delay=20)
    expect(page.get_by_text("No leads match “zoltyx”.")).to_be_visible()
    page.get_by_role("link", name="Clear search").click()
    expect(rows(page)).to_have_count(4)


def test_filters_become_chips_that_can_be_taken_away(page):
    page.locator("#lead-filter-open").click()
    page.get_by_label("Audience").select_option(label="DACH mid-market")
    page.get_by_label("Missing channel").select_option(label="Work email")
    page.get_by_role("button", name="Apply").click()
    expect(rows(page)).to_have_text(["Ines Moreau"])
    assert re.fullmatch(r"/leads/\?audience=\d+&missing=work_email", path(page))
    page.get_by_role("link", name="Remove filter Missing").click()
    expect(rows(page)).to_have_count(2)
    page.get_by_role("link", name="Remove filter Audience").click()
    expect(rows(page)).to_have_count(4)
    assert path(page) == "/leads/"


def test_status_tabs_and_column_heads_change_the_list_in_place(page):
    page.evaluate("window.notReloaded = true")
    page.get_by_role("link", name="Empty 2").click()
    expect(rows(page)).to_have_text(["Priya Raghavan", "Marcus Oyelaran"])
    page.get_by_role("link", name="Name", exact=True).click()
    expect(rows(page)).to_have_text(["Marcus Oyelaran", "Priya Raghavan"])
    expect(page.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "ascending")
    assert page.evaluate("window.notReloaded")


def test_a_click_anywhere_on_a_row_opens_the_panel_beside_the_list(page, leads):
    page.locator(f"#lead-{leads[2].pk} .c-icp").click()
    expect(panel_name(page)).to_have_text("Priya Raghavan")
    expect(page.locator("tr.open .who-name")).to_have_text("Priya Raghavan")
    expect(page).to_have_title("Priya Raghavan · Headwater")
    assert path(page) == f"/leads/{leads[2].pk}/"
    expect(rows(page)).to_have_count(4)


def test_back_closes_the_panel_and_forward_opens_it_without_losing_the_list(page, leads):
    page.evaluate("window.notReloaded = true")
    rows(page).nth(1).click()
    expect(panel_name(page)).to_have_text("Łukasz Żółty")
    page.go_back()
    expect(page.locator("aside.panel")).to_have_count(0)
    assert path(page) == "/leads/"
    page.go_forward()
    expect(panel_name(page)).to_have_text("Łukasz Żółty")
    assert page.evaluate("window.notReloaded")


def test_back_to_another_list_shows_that_list(page):
    page.get_by_role("link", name="Full 1").click()
    expect(rows(page)).to_have_count(1)
    page.go_back()
    expect(rows(page)).to_have_count(4)
    expect(page.get_by_role("link", name="All 4")).to_have_attribute("aria-current", "page")


def test_closing_puts_the_address_and_the_focus_back(page, leads):
    rows(page).first.click()
    page.get_by_role("link", name="Close panel").click()
    expect(page.locator("aside.panel")).to_have_count(0)
    expect(rows(page).first).to_be_focused()
    assert path(page) == "/leads/"
    expect(page).to_have_title("Leads · Headwater")


def test_another_list_closes_the_panel(page):
    rows(page).first.click()
    expect(panel_name(page)).to_have_text("Ines Moreau")
    page.get_by_role("link", name="Empty 2").click()
    expect(page.locator("aside.panel")).to_have_count(0)
    assert path(page) == "/leads/?status=empty"


def test_a_finished_enrichment_refreshes_its_row_and_the_head_of_the_panel(page, leads):
    lead = leads[3]
    page.locator(f"#open-{lead.pk}").click()
    expect(page.locator("#lead-head .pill").first).to_contain_text("Empty")
    ContactPointFactory(lead=Lead.objects.get(pk=lead.pk), channel="phone")
    page.evaluate("id => htmx.trigger(document.body, `lead-changed-${id}`)", lead.pk)
    expect(page.locator(f"#lead-{lead.pk} .word")).to_have_text("Partial 1/2")
    expect(page.locator("#lead-head .pill").first).to_have_text("Partial · 1 of 2 required")
    expect(page.locator("tr.open .who-name")).to_have_text("Marcus Oyelaran")


def test_a_value_can_be_copied_and_the_copy_is_said(page, leads):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    rows(page).nth(1).click()
    page.get_by_role("button", name="Copy phone").click()
    expect(page.locator("#live")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()").startswith("+1415555")


def test_a_modified_click_leaves_the_link_to_the_browser(page):
    with page.context.expect_page() as opened:
        rows(page).first.click(modifiers=["ControlOrMeta"])
    opened.value.wait_for_load_state()
    assert opened.value.locator("aside.panel h2").inner_text() == "Ines Moreau"
    expect(page.locator("aside.panel")).to_have_count(0)


# Keyboard ----------------------------------------------------------------------------------------


def test_the_whole_way_by_keyboard(page, leads):
    page.keyboard.press("j")
    expect(rows(page).first).to_be_focused()
    page.keyboard.press("j")
    expect(rows(page).nth(1)).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("Space")
    expect(panel_name(page)).to_have_text("Ines Moreau")
    expect(panel_name(page)).to_be_focused()
    page.keyboard.press("j")
    expect(panel_name(page)).to_have_text("Łukasz Żółty")
    page.keyboard.press("j")
    expect(panel_name(page)).to_have_text("Priya Raghavan")
    page.keyboard.press("k")
    expect(panel_name(page)).to_have_text("Łukasz Żółty")
    expect(page.locator("tr.open .who-name")).to_have_text("Łukasz Żółty")
    page.keyboard.press("Escape")
    expect(page.locator("aside.panel")).to_have_count(0)
    expect(rows(page).nth(1)).to_be_focused()


def test_moving_on_with_j_still_leaves_one_step_back_to_the_list(page, leads):
    rows(page).first.click()
    expect(panel_name(page)).to_have_text("Ines Moreau")
    page.keyboard.press("j")
    expect(panel_name(page)).to_have_text("Łukasz Żółty")
    expect(page).to_have_url(re.compile(rf"/leads/{leads[1].pk}/$"))
    page.go_back()
    expect(page.locator("aside.panel")).to_have_count(0)
    assert path(page) == "/leads/"


def test_letters_typed_into_a_field_are_letters(page):
    page.keyboard.press("/")
    field = page.get_by_role("searchbox", name="Search leads")
    expect(field).to_be_focused()
    page.keyboard.type("jk")
    expect(field).to_have_value("jk")


def test_escape_closes_the_menu_before_the_panel(page):
    rows(page).first.click()
    expect(panel_name(page)).to_have_text("Ines Moreau")
    page.keyboard.press("f")
    expect(page.get_by_role("button", name="Apply")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Apply")).to_be_hidden()
    expect(page.locator("#lead-filter-open")).to_be_focused()
    expect(panel_name(page)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("aside.panel")).to_have_count(0)


def test_single_keys_can_be_turned_off(page):
    page.keyboard.press("?")
    page.get_by_role("switch", name="Single-key shortcuts").click()
    page.keyboard.press("Escape")
    page.reload()
    page.keyboard.press("j")
    expect(rows(page).first).not_to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keyboard shortcuts")).to_be_visible()


def test_g_and_a_letter_go_to_a_page(page):
    page.keyboard.press("g")
    page.keyboard.press("w")
    page.wait_for_url("**/waterfalls/**")


def test_the_skip_link_is_first_and_leads_to_the_sheet(page):
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()


# Themes, small screens, no script ----------------------------------------------------------------


def test_the_theme_button_changes_the_theme_for_good(page):
    with page.expect_response("**/theme/"):
        page.get_by_role("button", name="Switch between light and dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_list_and_panel_are_accessible(
    open_page, rep, workspace, leads, assert_accessible, assert_no_sideways_scroll, dark, phone
):
    RunItemFactory(
        workspace=workspace, run=RunFactory(workspace=workspace), lead=leads[3], priority=20, waiting=True
    )
    page = open_page(rep, dark=dark, phone=phone)
    page.goto("/leads/")
    assert_accessible(page)
    assert_no_sideways_scroll(page)
    rows(page).first.click()
    expect(panel_name(page)).to_have_text("Ines Moreau")
    assert_accessible(page)
    assert_no_sideways_scroll(page)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_filter_menu_the_dialog_and_an_empty_list_are_accessible(
    open_page, rep, leads, assert_accessible, dark
):
    page = open_page(rep, dark=dark)
    page.goto("/leads/")
    page.locator("#lead-filter-open").click()
    assert_accessible(page)
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert_accessible(page)
    page.goto("/leads/?q=nobody&status=full&missing=phone")
    assert_accessible(page)


def test_on_a_phone_the_panel_covers_the_list_and_the_rest_is_inert(open_page, rep, leads):
    page = open_page(rep, phone=True)
    page.goto("/leads/")
    rows(page).first.tap()
    expect(panel_name(page)).to_be_focused()
    assert page.evaluate("document.getElementById('main').inert")
    page.get_by_role("link", name="Close panel").tap()
    expect(page.locator("aside.panel")).to_have_count(0)
    assert not page.evaluate("document.getElementById('main').inert")
    expect(rows(page).first).to_be_focused()


def test_on_a_phone_the_sidebar_is_a_drawer(open_page, rep, leads):
    page = open_page(rep, phone=True)
    page.goto("/leads/")
    expect(page.get_by_role("link", name="Waterfalls")).to_be_hidden()
    page.get_by_role("link", name="Open menu").tap()
    expect(page.get_by_role("link", name="Waterfalls")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Waterfalls")).to_be_hidden()
    expect(page.get_by_role("link", name="Open menu")).to_be_focused()


@pytest.mark.parametrize("width", [320, 600, 900, 1100, 1300])
def test_no_width_scrolls_sideways(open_page, rep, leads, assert_no_sideways_scroll, width):
    page = open_page(rep, viewport={"width": width, "height": 800})
    for url in ("/leads/", f"/leads/{leads[0].pk}/"):
        page.goto(url)
        assert_no_sideways_scroll(page)


def test_without_script_search_filters_order_and_panel_are_links_and_forms(open_page, rep, leads):
    page = open_page(rep, script=False)
    page.goto("/leads/")
    page.get_by_role("searchbox", name="Search leads").fill("moreau")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_text(["Ines Moreau"])
    rows(page).first.click()
    expect(panel_name(page)).to_have_text("Ines Moreau")
    page.get_by_role("link", name="Close panel").click()
    page.goto("/leads/?sort=name")
    page.locator("#lead-filter-open").click()
    page.get_by_label("Missing channel").select_option(label="Phone")
    page.get_by_role("button", name="Apply").click()
    expect(rows(page)).to_have_text(["Marcus Oyelaran", "Priya Raghavan"])


def test_without_script_a_phone_reaches_the_menu(open_page, rep, leads):
    page = open_page(rep, script=False, phone=True)
    page.goto("/leads/")
    page.get_by_role("link", name="Open menu").click()
    expect(page.get_by_role("link", name="Waterfalls")).to_be_visible()


# Hostile data ------------------------------------------------------------------------------------


def test_a_hostile_lead_runs_nothing_and_breaks_no_layout(
    open_page, rep, workspace, assert_no_sideways_scroll
):
    attack = '"><img src=x onerror="window.owned=1"><script>window.owned=1</script>'
    long = "W" * 190
    lead = LeadFactory(
        workspace=workspace, full_name=attack, title=long, company_name="‮" + long, city=attack[:100],
        icp_score=100, required=["work_email"],
    )  # fmt: skip
    ContactPointFactory(lead=lead, channel="phone", value=attack, source_name=attack[:80])
    other = LeadFactory(workspace=workspace, full_name=long, title=attack, company_name=attack, icp_score=99)
    AudienceFactory(workspace=workspace, name=long[:120], leads=[lead, other])
    for size in ({"phone": True}, {}):
        page = open_page(rep, **size)
        page.goto("/leads/")
        assert_no_sideways_scroll(page)
        for row in (0, 1):
            page.goto("/leads/")
            rows(page).nth(row).click()
            expect(panel_name(page)).to_be_visible()
            assert_no_sideways_scroll(page)
            panel = page.locator("aside.panel .scroll")
            assert panel.evaluate("part => part.scrollWidth <= part.clientWidth")
        assert page.evaluate("window.owned") is None
        assert page.locator("main img, aside img").count() == 0
