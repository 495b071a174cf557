"""The template tags: what they say in words, and that data is only ever text."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.template import Context, Template
from django.test import RequestFactory
from django.utils import timezone

from core.templatetags import ui

HOSTILE = '"><img src=x onerror=alert(1)>'


def lead(required=15, present=0, **more):
    missing = required & ~present
    status = "full" if not missing else "partial" if required & present else "empty"
    return SimpleNamespace(required_channels=required, present_channels=present, status=status, **more)


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0 credits"), (1, "1 credit"), (-1, "−1 credit"), (12, "12 credits"), (-1840, "−1,840 credits"),
     (1234567, "1,234,567 credits")],
)  # fmt: skip
def test_credits_are_whole_numbers_in_words(value, words):
    assert ui.credits(value) == words


def test_a_change_carries_its_sign():
    assert [ui.signed(value) for value in (5000, 0, -5000)] == ["+5,000", "0", "−5,000"]


@pytest.mark.parametrize(
    ("value", "total", "words"),
    [(0, 0, "0%"), (0, 5, "0%"), (5, 5, "100%"), (1, 3, "33%"), (1, 1000, "under 1%"), (999, 1000, "99%")],
)
def test_a_share_never_reads_as_all_or_nothing_when_it_is_not(value, total, words):
    assert ui.percent(value, total) == words


@pytest.mark.parametrize(
    ("age", "short", "in_text"),
    [
        (timedelta(seconds=5), "just now", "just now"),
        (timedelta(minutes=12, seconds=3), "12 min", "12 min ago"),
        (timedelta(hours=5, minutes=1), "5 h", "5 h ago"),
        (timedelta(days=3, hours=1), "3 d", "3 d ago"),
    ],
)
def test_a_time_is_short_with_the_full_time_in_its_title(age, short, in_text):
    moment = timezone.now() - age
    assert f">{short}</time>" in ui.ago(moment)
    assert f">{in_text}</time>" in ui.since(moment)
    assert f"{timezone.localtime(moment):%H:%M}" in ui.ago(moment)


def test_an_old_time_is_a_date_and_one_of_another_year_names_it():
    assert ">3 Nov 2019</time>" in ui.ago(datetime(2019, 11, 3, 9, 5, tzinfo=UTC))
    assert ">3 Nov 2019, 09:05</time>" in ui.when(datetime(2019, 11, 3, 9, 5, tzinfo=UTC))


def test_no_time_at_all_says_never():
    assert "never" in ui.ago(None)
    assert ui.since(None) == "never"


@pytest.mark.parametrize(
    ("present", "shape", "words"),
    [(15, 'class="disc"', "Full"), (1, 'class="pie"', "Partial"), (0, 'class="ring"', "Empty")],
)
def test_the_status_is_a_shape_and_a_word(present, shape, words):
    html = ui.status(lead(present=present))
    assert shape in html
    assert words in html


def test_a_partial_lead_says_how_much_is_there():
    assert "1/3" in ui.status(lead(required=7, present=9))
    assert "Partial · 1 of 3 required" in ui.status_pill(lead(required=7, present=9))


def test_a_run_goes_before_the_status_it_will_change():
    assert "Running" in ui.status(lead(live_state="running"))
    assert "Running" in ui.status(lead(live_state="admitted"))
    assert "Waiting" in ui.status(lead(live_state="waiting"))
    assert "Empty" in ui.status(lead(live_state=None))


def test_channel_marks_say_in_one_sentence_what_the_tiles_show():
    bounced = [SimpleNamespace(channel="personal_email")]
    html = ui.channel_marks(lead(required=7, present=1, live_state=None, bounced_points=bounced))
    assert "Work email found, Personal email bounced, Phone missing, LinkedIn URL missing" in html
    running = ui.channel_marks(lead(required=5, present=1, live_state="running"))
    assert "Work email found, Personal email missing, Phone searching, LinkedIn URL missing" in running


def test_a_channel_found_again_after_a_bounce_is_found():
    html = ui.channel_marks(lead(present=1, bounced_points=[SimpleNamespace(channel="work_email")]))
    assert "Work email found" in html


@pytest.mark.parametrize("tag", [ui.avatar, ui.monogram])
@pytest.mark.parametrize("name", [HOSTILE, "", " ", "<b> &", "‮gpj", "Łukasz Żółty"])
def test_names_in_tags_are_text(tag, name):
    html = tag(name)
    assert html.count("<") == 2
    assert "<img" not in html


def test_initials_are_of_the_first_and_last_name():
    assert ">IM<" in ui.avatar("Ines de la Moreau")
    assert ">Ł<" in ui.avatar("łukasz")


def test_a_meter_speaks_a_sentence_and_stays_inside_its_track():
    html = ui.bar(30, 20, HOSTILE)
    assert 'width="100.00%"' in html
    assert "<img" not in html
    assert 'width="0.00%"' in ui.bar(5, 0, "nothing yet")


def rendered(source, url="/", **context):
    request = RequestFactory().get(url)
    return Template(source).render(Context({"request": request, **context}))


def test_query_changes_and_drops_parameters_and_keeps_the_rest():
    assert rendered("{% query sort='name' cursor=None %}", "/?q=a%26b&cursor=x") == "?q=a%26b&amp;sort=name"


def test_query_keeps_hostile_values_inside_the_attribute():
    html = rendered('<a href="{% query sort="x" %}">', f"/?q={HOSTILE}")
    assert html.count("<") == 1


def test_the_sidebar_shows_what_the_role_may_use_and_marks_the_current_page():
    seen = {"admin": (True, True), "rep": (False, True), "viewer": (False, False)}
    for role, (providers, imports) in seen.items():
        html = rendered("{% navigation %}", "/leads/7/", membership=SimpleNamespace(role=role))
        assert ("Providers" in html, "Import" in html) == (providers, imports)
        assert html.count('aria-current="page"') == 1
        assert 'href="/leads/" data-go="l" aria-current="page"' in html
