"""Every way a vendor can fail, for every vendor: the right code, the right words, nothing secret."""

import re
import time
import tracemalloc

import pytest

from enrichment.adapters import ADAPTERS, RETRY, AdapterError, build_adapter
from enrichment.adapters.base import MESSAGES

KEY = "demo-secret-9876543210"

ALIKE = {
    "reset": "no_answer",
    "truncated": "no_answer",
    "html": "bad_answer",
    "empty": "bad_answer",
    "bom": "bad_answer",
    "trailing": "bad_answer",
    "bad_utf8": "bad_answer",
    "nan": "bad_answer",
    "huge_int": "bad_answer",
    "deep": "bad_answer",
    "giant": "too_large",
    "endless": "too_large",
    "gzip_bomb": "too_large",
    "odd_encoding": "too_large",
    "redirect": "redirected",
    "400": "refused",
    "401": "key_rejected",
    "402": "out_of_credit",
    "422": "refused",
    "500": "vendor_error",
    "502": "vendor_error",
    "503": "vendor_error",
    "key_rejected": "key_rejected",
    "out_of_credit": "out_of_credit",
    "no_credit_200": "out_of_credit",
    "rate_limited": "rate_limited",
}
# Hunter means its rate limit by 403 and a used-up plan by 429.
STATUS_403 = dict.fromkeys(ADAPTERS, "key_rejected") | {"hunter": "rate_limited"}
STATUS_429 = dict.fromkeys(ADAPTERS, "rate_limited") | {"hunter": "out_of_credit"}


@pytest.fixture(params=sorted(ADAPTERS))
def vendor(request):
    return request.param


def failure(adapter, query, channels=None):
    with pytest.raises(AdapterError) as caught:
        adapter.find(query, frozenset(channels or adapter.channels))
    return caught.value


@pytest.mark.parametrize(("fault", "code"), ALIKE.items())
def test_each_fault_has_its_code_and_words(sandbox, adapter_for, ada, vendor, fault, code):
    sandbox.faults(vendor, fault)
    error = failure(adapter_for(vendor, KEY), ada)
    assert error.code == code
    assert error.message == MESSAGES[code] == str(error)
    assert [call["answer"] for call in sandbox.log()] == [fault]


@pytest.mark.parametrize("fault", ["silence", "slow_headers", "slow_drip"])
def test_a_vendor_that_takes_for_ever_gives_no_answer(sandbox, adapter_for, ada, vendor, fault):
    sandbox.faults(vendor, fault)
    started = time.monotonic()
    assert failure(adapter_for(vendor, timeout=0.15), ada).code == "no_answer"
    assert time.monotonic() - started < 2


def test_the_statuses_that_some_vendors_swap(sandbox, adapter_for, ada, vendor):
    sandbox.faults(vendor, "403", times=1)
    sandbox.faults(vendor, "429", times=1)
    assert failure(adapter_for(vendor), ada).code == STATUS_403[vendor]
    assert failure(adapter_for(vendor), ada).code == STATUS_429[vendor]


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        ("rate_limited", None),
        ("rate_limited_seconds", 7),
        ("rate_limited_date", pytest.approx(90, abs=3)),
        ("rate_limited_junk", None),
        ("rate_limited_negative", None),
        ("rate_limited_huge", 3600),
        ("rate_limited_past", 0),
    ],
)
def test_a_rate_limit_tells_how_long_to_wait(sandbox, adapter_for, ada, vendor, fault, seconds):
    sandbox.faults(vendor, fault)
    error = failure(adapter_for(vendor), ada)
    assert (error.code, error.retry_after) == ("rate_limited", seconds)


@pytest.mark.parametrize("fault", ["list_for_object", "true", "null", "list", "nested"])
def test_an_answer_of_another_shape_is_no_match_and_noted(sandbox, adapter_for, ada, vendor, fault):
    sandbox.faults(vendor, fault)
    adapter = adapter_for(vendor)
    answer = adapter.find(ada, adapter.channels)
    assert answer.candidates == ()
    assert answer.shape_changed


def test_an_empty_object_for_an_email_is_no_email_and_noted(sandbox, adapter_for, ada, vendor):
    sandbox.faults(vendor, "empty_email_object")
    answer = adapter_for(vendor).find(ada, frozenset({"work_email"}))
    assert answer.shape_changed
    assert all(candidate.value == "ada.byron@analytical-engines.example" for candidate in answer.candidates)


@pytest.mark.parametrize("fault", ["nul", "surrogate", "hostile_text"])
def test_hostile_text_comes_out_clean(sandbox, adapter_for, ada, vendor, fault):
    sandbox.faults(vendor, fault)
    adapter = adapter_for(vendor)
    answer = adapter.find(ada, adapter.channels)
    assert answer.candidates
    for candidate in answer.candidates:
        for text in (candidate.value, candidate.first_name, candidate.last_name):
            assert text.isprintable() and len(text) <= 500
            text.encode()


@pytest.mark.parametrize("fault", ["giant", "gzip_bomb"])
def test_a_huge_answer_costs_little_memory(sandbox, adapter_for, ada, fault):
    sandbox.faults("hunter", fault)
    adapter = adapter_for("hunter")
    tracemalloc.start()
    failure(adapter, ada)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40_000_000


def test_a_miss_is_an_answer_without_candidates_that_costs_nothing(sandbox, adapter_for, ada, vendor):
    sandbox.faults(vendor, "miss")
    adapter = adapter_for(vendor)
    answer = adapter.find(ada, adapter.channels)
    assert (answer.candidates, answer.vendor_cost, answer.shape_changed) == ((), 0, False)


def test_not_found_is_a_miss(sandbox, adapter_for, ada, vendor):
    sandbox.faults(vendor, "404")
    adapter = adapter_for(vendor)
    assert adapter.find(ada, adapter.channels).candidates == ()


def test_nothing_listening_is_unreachable(adapter_for, ada, vendor):
    assert failure(adapter_for(vendor, base_url="http://127.0.0.1:1"), ada).code == "unreachable"


def test_an_address_that_may_not_be_called_is_a_wrong_set_up(http, ada, vendor):
    adapter = build_adapter(vendor, {"api_key": KEY}, "ftp://example.com", http, 5)
    assert failure(adapter, ada).code == "misconfigured"


@pytest.mark.parametrize("key", [None, "", "  "])
def test_without_a_key_nobody_is_asked(sandbox, adapter_for, ada, vendor, key):
    assert failure(adapter_for(vendor, key), ada).code == "misconfigured"
    assert sandbox.log() == []


def test_a_key_that_cannot_be_sent_is_a_wrong_set_up_and_not_told(sandbox, adapter_for, ada, vendor):
    error = failure(adapter_for(vendor, f"{KEY}\u2026"), ada)
    assert error.code == "misconfigured"
    assert KEY not in error.message
    assert sandbox.log() == []


def test_a_wrong_key_and_an_empty_account_are_told_apart(adapter_for, ada, vendor):
    assert failure(adapter_for(vendor, "live-unknown-key"), ada).code == "key_rejected"
    assert failure(adapter_for(vendor, "demo-empty-1234567890"), ada).code == "out_of_credit"


def test_a_test_connection_works_and_fails_for_the_same_reasons(sandbox, adapter_for, vendor):
    assert adapter_for(vendor).check().message == "Connected."
    for key, code in (("live-unknown-key", "key_rejected"), ("", "misconfigured")):
        if vendor == "apollo" and code == "key_rejected":
            continue
        with pytest.raises(AdapterError) as caught:
            adapter_for(vendor, key).check()
        assert caught.value.code == code
    with pytest.raises(AdapterError) as caught:
        adapter_for(vendor, base_url=f"{sandbox.url}/nowhere").check()
    assert caught.value.code == "misconfigured"
    sandbox.faults(vendor, "html")
    with pytest.raises(AdapterError) as caught:
        adapter_for(vendor).check()
    assert caught.value.code == "bad_answer"


def test_the_calls_reference_is_sent_along(sandbox, adapter_for, ada, vendor):
    adapter = adapter_for(vendor)
    adapter.find(ada, adapter.channels)
    (call,) = sandbox.log()
    assert (call["vendor"], call["reference"]) == (vendor, "hw-42-7")


def test_every_code_has_words_and_a_rule_for_asking_again():
    assert RETRY.keys() == MESSAGES.keys()
    assert set(RETRY.values()) == {"later", "once", "never"}
    assert all(re.fullmatch(r"[a-z ]+", message) for message in MESSAGES.values())


def test_asking_again_follows_the_table():
    assert [code for code, rule in RETRY.items() if rule == "later"] == [
        "unreachable",
        "rate_limited",
        "vendor_error",
        "pending",
    ]
    assert [code for code, rule in RETRY.items() if rule == "once"] == ["no_answer", "bad_answer"]


@pytest.mark.parametrize(
    "limit", [limit for adapter in ADAPTERS.values() for limit in adapter.limits] + ["1/second"]
)
def test_documented_limits_can_be_read(limit):
    from limits import parse

    assert parse(limit).amount >= 1
