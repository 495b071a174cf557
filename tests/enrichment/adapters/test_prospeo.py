"""Prospeo: what is asked, and how its answers and habits are read."""

from decimal import Decimal

import pytest

from enrichment.adapters import ADAPTERS, AdapterError, Candidate, LeadQuery

ALL = ADAPTERS["prospeo"].channels


def test_one_call_answers_every_channel_it_has(sandbox, adapter_for, ada):
    sandbox.faults("prospeo", "match")
    answer = adapter_for("prospeo", "demo-prospeo-1").find(ada, ALL)
    truth = sandbox.person(full_name="Ada Byron", domain="analytical-engines.example")
    assert answer.candidates == (
        Candidate("work_email", truth.work_email, "valid", None, "Ada", "Byron"),
        Candidate("phone", truth.mobile, "valid", None, "Ada", "Byron", "mobile"),
        Candidate("linkedin_url", truth.linkedin_url, "unknown", None, "Ada", "Byron"),
    )
    assert answer.vendor_cost == Decimal(10)


def test_a_mobile_is_paid_for_only_when_a_phone_is_wanted(sandbox, adapter_for, ada):
    sandbox.faults("prospeo", "match")
    adapter = adapter_for("prospeo", "demo-prospeo-2")
    assert adapter.find(ada, ALL - {"phone"}).vendor_cost == Decimal(1)
    assert adapter.check().credits_left == 99_999


def test_the_same_person_again_is_free(sandbox, adapter_for, ada):
    sandbox.faults("prospeo", "match")
    adapter = adapter_for("prospeo", "demo-prospeo-3")
    assert [adapter.find(ada, ALL).vendor_cost for _ in range(2)] == [Decimal(10), Decimal(0)]


def test_a_masked_value_is_no_value(sandbox, adapter_for, ada):
    sandbox.faults("prospeo", "masked")
    answer = adapter_for("prospeo").find(ada, ALL)
    assert (answer.candidates, answer.shape_changed) == ((), False)


def test_where_only_an_address_is_wanted_an_unverified_one_is_a_free_miss(sandbox, adapter_for, ada):
    sandbox.faults("prospeo", "catch_all")
    only = adapter_for("prospeo").find(ada, frozenset({"work_email"}))
    assert (only.candidates, only.vendor_cost) == ((), Decimal(0))
    both = adapter_for("prospeo").find(ada, frozenset({"work_email", "linkedin_url"}))
    assert [c.verification for c in both.candidates if c.channel == "work_email"] == ["unknown"]


@pytest.mark.parametrize(
    ("fault", "code"), [("internal_error", "vendor_error"), ("account_restricted", "key_rejected")]
)
def test_a_400_is_told_by_its_code(sandbox, adapter_for, ada, fault, code):
    sandbox.faults("prospeo", fault)
    with pytest.raises(AdapterError) as caught:
        adapter_for("prospeo").find(ada, ALL)
    assert caught.value.code == code


def test_an_error_inside_a_success_is_an_error(adapter_for):
    adapter = adapter_for("prospeo")
    assert adapter._refusal({"error": True, "error_code": "INSUFFICIENT_CREDITS"}) == "out_of_credit"
    assert adapter._refusal({"error": True, "error_code": "NEW_CODE"}) == "refused"
    assert adapter._refusal({"error": False}) == ""


def test_the_balance_is_read(adapter_for):
    assert adapter_for("prospeo", "demo-empty-1").check().credits_left == 0


@pytest.mark.parametrize(
    ("known", "can_ask"),
    [
        ({"linkedin_url": "https://www.linkedin.com/in/ada"}, True),
        ({"work_email": "ada@x.example"}, True),
        ({"full_name": "Ada Byron", "company_name": "X"}, True),
        ({"full_name": "Ada Byron"}, False),
        ({"phone": "+12025550100"}, False),
    ],
)
def test_what_it_needs(known, can_ask):
    reason = ADAPTERS["prospeo"].needs(LeadQuery(**known), ALL)
    assert (reason is None) == can_ask
