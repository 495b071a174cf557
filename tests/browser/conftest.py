"""A real Chromium against a live server: fixtures for the browser tests.

Every page is watched: a console error, an uncaught exception or a breach of the content security policy fails the
test that caused it.
"""

import os
import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from tests.conftest import sign_in

DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def _chromium():
    """The Chromium to drive: $CHROMIUM, else the system's."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker("browser")


@pytest.fixture(scope="session")
def chromium():
    """One browser process for the whole run."""
    path = _chromium()
    if path is None:
        pytest.skip("no Chromium is installed (apt-get install chromium, or set CHROMIUM to one)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--headless", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, live_server):
    """``open_page(user)``: a page signed in as ``user`` (None: nobody). Options: phone, dark, script, touch.

    Whatever the page complains about is in ``page.complaints`` and fails the test at its end.
    """
    contexts, pages = [], []

    def _open_page(user=None, *, phone=False, dark=False, script=True, viewport=None):
        context = chromium.new_context(
            base_url=live_server.url,
            viewport=viewport or (PHONE if phone else DESKTOP),
            color_scheme="dark" if dark else "light",
            has_touch=phone,
            is_mobile=phone,
            java_script_enabled=script,
            reduced_motion="reduce",
        )
        context.set_default_timeout(10_000)
        contexts.append(context)
        if user is not None:
            session = sign_in(user).cookies["sessionid"].value
            context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        page = context.new_page()
        page.complaints = []
        page.on("pageerror", lambda error: page.complaints.append(f"exception: {error}"))
        page.on(
            "console",
            lambda line: page.complaints.append(line.text) if line.type in ("error", "warning") else None,
        )
        pages.append(page)
        return page

    yield _open_page
    complaints = [complaint for page in pages for complaint in page.complaints]
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def assert_accessible():
    """``assert_accessible(page)``: axe-core finds no violation on the page as it stands."""
    axe = Axe()

    def _assert_accessible(page):
        results = axe.run(page, options=WCAG)
        found = [
            f"{violation['id']}: {node['html'][:160]} ({node.get('failureSummary', '')})"
            for violation in results.response["violations"]
            for node in violation["nodes"]
        ]
        assert found == [], "\n".join(found)

    return _assert_accessible


@pytest.fixture
def assert_no_sideways_scroll():
    """``assert_no_sideways_scroll(page)``: nothing is wider than the window."""

    def _assert_no_sideways_scroll(page):
        wide = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert wide[0] <= wide[1]

    return _assert_no_sideways_scroll
