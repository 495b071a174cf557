"""What every page shares: toasts, menus, the workspace switcher, themes without script, error pages."""

import pytest
from playwright.sync_api import expect

from billing.services import grant_credits
from tests.factories import LeadFactory, MembershipFactory, WorkspaceFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def page(open_page, rep, workspace):
    """The leads page of a rep with one lead and a second workspace."""
    LeadFactory(workspace=workspace, full_name="Ines Moreau")
    MembershipFactory(user=rep, workspace=WorkspaceFactory(name="Second place"), viewer=True)
    page = open_page(rep)
    page.goto("/leads/")
    return page


def show_toast(page, **detail):
    page.evaluate("detail => htmx.trigger(document.body, 'toast', detail)", detail)
    return page.locator(".toast").last


def test_a_toast_says_what_happened_and_leaves_by_itself(page):
    page.clock.install()
    toast = show_toast(page, kind="ok", text="Saved as <b>v15</b>.")
    expect(toast).to_contain_text("Saved as <b>v15</b>.")
    expect(toast).to_have_attribute("role", "status")
    page.clock.fast_forward(7_000)
    expect(page.locator(".toast")).to_have_count(0)


def test_an_error_stays_until_it_is_closed(page):
    page.clock.install()
    toast = show_toast(page, kind="bad", text="Hunter refused the key.")
    expect(toast).to_have_attribute("role", "alert")
    page.clock.fast_forward(60_000)
    expect(toast).to_be_visible()
    toast.get_by_role("button", name="Close message").click()
    expect(page.locator(".toast")).to_have_count(0)


def test_the_pointer_stops_the_clock(page):
    page.clock.install()
    toast = show_toast(page, kind="ok", text="Saved.")
    toast.hover()
    page.clock.fast_forward(60_000)
    expect(toast).to_be_visible()


@pytest.mark.parametrize(
    "href", ["https://elsewhere.example/", "//elsewhere.example/", "javascript:alert(1)"]
)
def test_a_toast_links_only_inside_the_product(page, href):
    assert show_toast(page, kind="ok", text="Done.", href=href).locator("a").count() == 0
    expect(show_toast(page, kind="ok", text="Done.", href="/leads/").locator("a")).to_have_attribute(
        "href", "/leads/"
    )


def test_at_most_three_toasts_stand_at_once(page):
    for number in range(5):
        show_toast(page, kind="ok", text=f"Number {number}")
    expect(page.locator(".toast p")).to_have_text(["Number 2", "Number 3", "Number 4"])


def test_a_failed_request_says_so(page):
    page.route("**/leads/?*", lambda route: route.fulfill(status=500, body="no"))
    page.get_by_role("link", name="Empty 1").click()
    expect(page.locator(".toast")).to_contain_text("The server could not answer this request.")
    expect(page.locator("#lead-table")).not_to_have_attribute("aria-busy", "true")
    page.complaints.clear()  # the browser's own note of the 500


def test_a_lost_connection_says_so(page):
    page.route("**/leads/?*", lambda route: route.abort())
    page.get_by_role("link", name="Empty 1").click()
    expect(page.locator(".toast")).to_contain_text("We could not reach the server.")
    page.complaints.clear()  # the browser's own note of the lost connection


def test_the_switcher_works_in_another_workspace(page):
    page.locator("summary.brand").click()
    page.get_by_role("button", name="Second place").click()
    expect(page.get_by_text("No leads yet")).to_be_visible()
    expect(page.locator(".brand")).to_contain_text("Second place")


def test_the_balance_follows_what_is_spent(page, rep, workspace):
    card = page.locator("#balance-card")
    expect(card).to_contain_text("0 credits left")
    grant_credits(workspace=workspace, amount=1840, key="grant:1", actor=rep)
    page.evaluate("htmx.trigger(document.body, 'credits-changed')")
    expect(card).to_contain_text("1,840 credits left")


def test_menus_are_worked_with_the_arrow_keys_and_give_the_focus_back(page):
    summary = page.locator(".me summary")
    summary.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("button", name="Light", exact=True)).to_be_focused()
    page.keyboard.press("End")
    expect(page.get_by_role("button", name="Sign out")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
    expect(summary).to_be_focused()


def test_a_click_elsewhere_closes_a_menu(page):
    page.locator(".me summary").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.locator("#main h1").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()


def test_signing_out_leads_to_the_login_page(page):
    page.locator(".me summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login/**")


def test_the_theme_button_works_without_script(open_page, rep):
    page = open_page(rep, script=False)
    page.goto("/leads/?sort=name")
    page.get_by_role("button", name="Switch between light and dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.url.endswith("/leads/?sort=name")


def test_the_theme_can_follow_the_system_again(page):
    toggle = page.get_by_role("button", name="Switch between light and dark")
    with page.expect_response("**/theme/"):
        toggle.click()
    page.locator(".me summary").click()
    with page.expect_response("**/theme/"):
        page.get_by_role("button", name="As the system").click()
    page.reload()
    assert page.locator("html").get_attribute("data-theme") is None


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_error_pages_and_the_open_menus_are_accessible(open_page, rep, workspace, assert_accessible, dark):
    page = open_page(rep, dark=dark)
    for url, words in (("/leads/999999/", "Not found"), ("/members/", "Not allowed")):
        page.goto(url)
        expect(page.get_by_role("heading", level=1)).to_have_text(words)
        assert_accessible(page)
    page.complaints.clear()  # the browser's own notes of the 404 and the 403
    page.goto("/leads/")
    page.locator(".me summary").click()
    show_toast(page, kind="warn", text="80% of the November budget is used.", href="/leads/")
    assert_accessible(page)


def test_every_request_of_the_page_stays_on_this_server(open_page, rep, live_server):
    page = open_page(rep)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/leads/")
    assert asked
    assert all(url.startswith(live_server.url) for url in asked)
