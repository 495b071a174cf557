"""Reading answers: cleaned text, waits, shapes, and answers that are stored and read back."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from enrichment.adapters import Answer, Candidate
from enrichment.adapters.base import Reply, percent
from enrichment.adapters.reading import (
    Shape,
    bare_domain,
    clean,
    linkedin_handle,
    present,
    retry_after,
    says_no_credits,
    with_scheme,
)


def test_an_answer_survives_being_stored():
    answer = Answer(
        (
            Candidate("work_email", "ada@x.example", "catch_all", 87, "Ada", "Byron"),
            Candidate("phone", "+12025550100", kind="mobile"),
        ),
        Decimal("1.50"),
        True,
        99,
    )
    assert Answer.from_json(json.loads(json.dumps(answer.to_json()))) == answer
    assert Answer.from_json(json.loads(json.dumps(Answer().to_json()))) == Answer()


def test_what_a_database_refuses_is_not_stored():
    stored = Answer((Candidate("work_email", "a\x00d\ud800a@x.example", first_name="\x00"),)).to_json()
    assert stored["candidates"][0]["value"] == "ada@x.example"
    assert stored["candidates"][0]["first_name"] == ""
    json.dumps(stored).encode("ascii").decode()


def test_a_stored_answer_of_a_later_release_can_be_read():
    stored = Answer((Candidate("phone", "+12025550100"),)).to_json()
    stored["candidates"][0]["seen_on"] = "2026-01-01"
    stored["batch"] = 7
    assert Answer.from_json(stored).candidates == (Candidate("phone", "+12025550100"),)


@pytest.mark.parametrize(
    ("dirty", "tidy"),
    [
        ("  Ada ", "Ada"),
        ("A\x00da", "Ada"),
        ("Ada\ud800", "Ada"),
        ("\u202eAda\u200b\ufeff\u2066", "Ada"),
        ("Zoe\u0308", "Zoë"),
        ("Ada\nByron\t", "Ada Byron"),
        ("a" * 1_000_000, "a" * 500),
        ("ｱﾀﾞ 王", "ｱﾀﾞ 王"),
        ("", ""),
    ],
)
def test_text_is_cleaned(dirty, tidy):
    assert clean(dirty) == tidy


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        ("30", 30),
        ("1.5", 1.5),
        (" 12 ", 12),
        ("3601", 3600),
        ("9" * 300, 3600),
        ("9" * 5000, None),
        ("-1", None),
        ("+5", None),
        ("1e3", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("١٢", None),
        ("Mon, 02 Mar 2026 12:00:30 GMT", 30),
        ("Mon, 02 Mar 2026 11:00:00 GMT", 0),
        ("Mon, 02 Mar 2026 13:00:45 +0100", 45),
        ("Mon, 02 Mar 2026 12:00:10", 10),
        ("Tue, 02 Mar 9999 12:00:00 GMT", 3600),
        ("Mon, 99 Mar 2026 12:00:00 GMT", None),
        ("Mon, 02 Mar 99999999 12:00:00 GMT", None),
    ],
)
def test_retry_after_is_understood_or_ignored(value, seconds):
    headers = {} if value is None else {"Retry-After": value}
    assert retry_after(headers, now=datetime(2026, 3, 2, 12, 0, tzinfo=UTC)) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "Insufficient credits. Please upgrade your plan.",
        "INSUFFICIENT_CREDITS",
        "You have run out of credits",
        "Not enough credits to run this request",
        "no credits",
        "No email credits left",
        "credits exhausted",
        "Balance Depleted",
    ],
)
def test_an_empty_account_is_recognised_by_its_words(text):
    assert says_no_credits(text)


@pytest.mark.parametrize("text", ["", "Invalid key", "credits: 5", "This costs 2 credits", "no match"])
def test_other_words_are_not_an_empty_account(text):
    assert not says_no_credits(text)


@pytest.mark.parametrize(
    ("given", "bare"),
    [
        ("Example.com", "example.com"),
        ("https://www.example.com/about?x=1", "example.com"),
        ("example.com:8080", "example.com"),
        (" www.example.co.uk. ", "example.co.uk"),
        ("", ""),
    ],
)
def test_a_domain_is_stripped_bare(given, bare):
    assert bare_domain(given) == bare


def test_profiles_become_handles_and_full_addresses():
    assert linkedin_handle("https://www.linkedin.com/in/ada-byron/?x=1") == "ada-byron"
    assert linkedin_handle("linkedin.com/in/ada") == "ada"
    assert linkedin_handle("https://www.linkedin.com/company/acme") == ""
    assert with_scheme("linkedin.com/in/ada") == "https://linkedin.com/in/ada"
    assert with_scheme("http://www.linkedin.com/in/ada") == "https://www.linkedin.com/in/ada"
    assert with_scheme("") == ""


def test_blank_values_are_not_sent():
    assert present(a=" x ", b="", c="\x00", d="  ") == {"a": "x"}


@pytest.mark.parametrize(
    ("number", "whole"), [(None, None), (-5, 0), (0.4, 0), (97, 97), (101, 100), (1e300, 100)]
)
def test_confidence_is_a_whole_number_to_a_hundred(number, whole):
    assert percent(number) == whole


@pytest.mark.parametrize("value", ["", "junk", "-1", "NaN", "Infinity", None])
def test_a_header_that_is_no_number_is_nothing(value):
    assert Reply(None, {} if value is None else {"x": value}).header_number("x") is None


def test_only_documented_types_are_read():
    parent = {"a": {"b": 1}, "text": "x", "list": ["x", 1, "y"], "number": 4, "yes": True, "none": None}
    shape = Shape()
    assert shape.required(parent, "a") == {"b": 1}
    assert shape.text(parent, "text") == "x"
    assert shape.number(parent, "number") == 4
    assert (shape.text(parent, "none"), shape.number(parent, "gone"), shape.texts(parent, "none")) == (
        "",
        None,
        [],
    )
    assert shape.optional(parent, "none") == {}
    assert not shape.changed
    for read in (
        lambda s: s.required(parent, "none"),
        lambda s: s.optional(parent, "text"),
        lambda s: s.text(parent, "yes"),
        lambda s: s.number(parent, "yes"),
        lambda s: s.texts(parent, "list"),
        lambda s: s.texts(parent, "text"),
        lambda s: s.objects(parent, "list"),
        lambda s: s.whole([]),
        lambda s: s.whole({}),
    ):
        shape = Shape()
        read(shape)
        assert shape.changed
