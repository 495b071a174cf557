"""Reordering a waterfall in a real browser: keys, buttons, menus, drafts, and the page without script."""

import pytest

from core.channels import Channel
from enrichment.services.waterfalls import current_steps
from tests.factories.enrichment import ProviderFactory, waterfall_of

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/waterfalls/work_email/"


@pytest.fixture
def providers(workspace):
    return [ProviderFactory(workspace=workspace, vendor=v) for v in ("hunter", "apollo", "prospeo")]


@pytest.fixture
def waterfall(workspace, providers, admin):
    return waterfall_of(workspace, Channel.WORK_EMAIL, *providers, user=admin)


@pytest.fixture
def editor(open_page, waterfall, admin):
    """The waterfall page, open as an admin."""
    page = open_page(admin)
    page.goto(URL)
    return page


def shown(page):
    """The order in the page, and that its numbers agree."""
    positions = page.locator("[data-position]").all_inner_texts()
    assert positions == [str(n + 1) for n in range(len(positions))]
    return page.locator("tr[data-step]").evaluate_all("rows => rows.map(row => row.dataset.name)")


def saved(waterfall):
    return [step.name for step in current_steps(waterfall)]


def save(page, version):
    page.get_by_role("button", name=f"Save as v{version}").click()
    page.get_by_text(f"Saved as v{version}.").wait_for()


def grip(page, name):
    return page.get_by_role("button", name=f"Move {name}, position")


def test_the_handle_is_lifted_moved_and_dropped_by_keys(editor, waterfall):
    grip(editor, "Prospeo").focus()
    editor.keyboard.press("Space")
    editor.get_by_text("Prospeo lifted, position 3 of 3", exact=True).wait_for()
    editor.keyboard.press("ArrowUp")
    editor.keyboard.press("ArrowUp")
    assert shown(editor) == ["Prospeo", "Hunter", "Apollo"]
    editor.locator("#live").filter(has_text="Prospeo, position 1 of 3").wait_for(state="attached")
    assert grip(editor, "Prospeo").evaluate("element => element === document.activeElement")
    editor.keyboard.press("Space")
    assert editor.locator("tr.lifted").count() == 0
    assert editor.get_by_text("1 unsaved change").is_visible()
    save(editor, 2)
    assert saved(waterfall) == ["Prospeo", "Hunter", "Apollo"]


def test_escape_puts_a_lifted_row_back(editor, waterfall):
    grip(editor, "Hunter").focus()
    editor.keyboard.press("Space")
    editor.keyboard.press("ArrowDown")
    assert shown(editor) == ["Apollo", "Hunter", "Prospeo"]
    editor.keyboard.press("Escape")
    assert shown(editor) == ["Hunter", "Apollo", "Prospeo"]
    assert not editor.locator("#savebar").is_visible()


def test_arrows_alone_move_nothing_that_is_not_lifted(editor):
    grip(editor, "Hunter").focus()
    editor.keyboard.press("ArrowDown")
    assert shown(editor) == ["Hunter", "Apollo", "Prospeo"]


def test_alt_and_arrows_move_the_row_that_has_the_focus(editor, waterfall):
    editor.get_by_role("switch", name="Use Apollo").focus()
    editor.keyboard.press("Alt+ArrowUp")
    editor.keyboard.press("Alt+ArrowUp")
    assert shown(editor) == ["Apollo", "Hunter", "Prospeo"]
    assert editor.get_by_role("switch", name="Use Apollo").evaluate("e => e === document.activeElement")
    save(editor, 2)
    assert saved(waterfall) == ["Apollo", "Hunter", "Prospeo"]


def test_buttons_and_the_position_menu_move_rows(editor, waterfall):
    editor.get_by_role("button", name="Move Prospeo up").click()
    assert shown(editor) == ["Hunter", "Prospeo", "Apollo"]
    editor.locator("tr[data-name=Hunter] [data-position]").click()
    editor.locator("tr[data-name=Hunter] .menu-list").get_by_role("button", name="3").click()
    assert shown(editor) == ["Prospeo", "Apollo", "Hunter"]
    assert (
        editor.get_by_text("2 unsaved changes").is_visible()
        or editor.get_by_text("1 unsaved change").is_visible()
    )
    save(editor, 2)
    assert saved(waterfall) == ["Prospeo", "Apollo", "Hunter"]


def test_the_first_cannot_go_up_nor_the_last_down(editor):
    assert editor.get_by_role("button", name="Move Hunter up").get_attribute("aria-disabled") == "true"
    editor.get_by_role("button", name="Move Hunter up").click(force=True)
    assert shown(editor) == ["Hunter", "Apollo", "Prospeo"]
    editor.get_by_role("button", name="Move Hunter down").click()
    assert editor.get_by_role("button", name="Move Hunter up").get_attribute("aria-disabled") == "false"


def test_a_switch_is_a_change_and_discard_takes_it_back(editor, waterfall):
    editor.get_by_role("switch", name="Use Apollo").uncheck()
    assert editor.get_by_text("Apollo off").is_visible()
    editor.get_by_role("link", name="Discard").click()
    assert editor.get_by_role("switch", name="Use Apollo").is_checked()
    assert not editor.locator("#savebar").is_visible()


def test_moving_there_and_back_is_no_change(editor):
    editor.get_by_role("button", name="Move Hunter down").click()
    assert editor.locator("#savebar").is_visible()
    editor.get_by_role("button", name="Move Hunter up").click()
    assert not editor.locator("#savebar").is_visible()


def test_leaving_with_a_draft_asks(editor):
    asked = []
    editor.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    editor.get_by_role("button", name="Move Hunter down").click()
    editor.get_by_role("link", name="Phone").click()
    editor.wait_for_url("**/waterfalls/phone/")
    assert asked == ["beforeunload"]


def test_a_draft_that_lost_is_shown_beside_the_live_order(editor, open_page, waterfall, member, admin):
    other = open_page(admin)
    other.goto(URL)
    other.get_by_role("button", name="Move Apollo up").click()
    save(other, 2)
    editor.get_by_role("button", name="Move Prospeo up").click()
    editor.complaints.clear()
    editor.get_by_role("button", name="Save as v2").click()
    editor.get_by_text("saved v2 in the meantime.").wait_for()
    editor.complaints[:] = [text for text in editor.complaints if "409" not in text]
    assert shown(editor) == ["Hunter", "Prospeo", "Apollo"]
    save(editor, 3)
    assert saved(waterfall) == ["Hunter", "Prospeo", "Apollo"]


def test_without_script_the_same_page_does_the_same(open_page, waterfall, admin):
    page = open_page(admin, script=False)
    page.goto(URL)
    page.get_by_role("button", name="Move Prospeo up").click()
    page.get_by_role("switch", name="Use Hunter").uncheck()
    page.get_by_role("button", name="Move Prospeo up").click()
    page.locator("#savebar").get_by_role("button", name="Save as v2").click()
    assert saved(waterfall) == ["Prospeo", "Hunter", "Apollo"]
    assert [step.enabled for step in current_steps(waterfall)] == [True, False, True]


@pytest.mark.parametrize("look", [{}, {"dark": True}, {"phone": True}], ids=["light", "dark", "phone"])
def test_the_waterfall_page_is_accessible(
    open_page, waterfall, providers, admin, look, assert_accessible, assert_no_sideways_scroll
):
    page = open_page(admin, **look)
    page.goto(URL)
    assert_accessible(page)
    page.get_by_role("switch", name="Use Hunter").uncheck()
    grip(page, "Prospeo").focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowUp")
    assert_accessible(page)
    assert_no_sideways_scroll(page)


@pytest.mark.parametrize("look", [{}, {"dark": True}, {"phone": True}], ids=["light", "dark", "phone"])
def test_the_provider_pages_are_accessible(
    open_page, providers, admin, look, assert_accessible, assert_no_sideways_scroll
):
    page = open_page(admin, **look)
    for path in (
        "/providers/",
        f"/providers/{providers[0].pk}/",
        "/providers/connect/",
        "/providers/connect/?vendor=apollo",
    ):
        page.goto(path)
        assert_accessible(page)
        assert_no_sideways_scroll(page)
