"""Hunter: what is asked, and how its answers and habits are read."""

from dataclasses import replace
from decimal import Decimal

import pytest

from enrichment.adapters import ADAPTERS, AdapterError, Candidate, LeadQuery

EMAIL = frozenset({"work_email"})


def test_a_found_address_comes_with_its_verification_and_name(sandbox, adapter_for, ada):
    sandbox.faults("hunter", "match")
    answer = adapter_for("hunter").find(ada, EMAIL)
    assert answer.candidates == (
        Candidate("work_email", "ada.byron@analytical-engines.example", "valid", 95, "Ada", "Byron"),
    )
    assert (answer.vendor_cost, answer.shape_changed) == (Decimal(1), False)


def test_an_address_at_a_domain_that_takes_any_is_catch_all(sandbox, adapter_for, ada):
    sandbox.faults("hunter", "catch_all")
    (candidate,) = adapter_for("hunter").find(ada, EMAIL).candidates
    assert candidate.verification == "catch_all"


def test_valid_and_accept_all_at_once_is_catch_all(adapter_for, ada, monkeypatch):
    adapter = adapter_for("hunter")
    verification = {"status": "valid"}
    payload = {"data": {"email": "ada@x.example", "accept_all": True, "verification": verification}}
    monkeypatch.setattr(adapter, "_ask", lambda *args, **kwargs: type("Reply", (), {"payload": payload}))
    assert adapter.find(ada, EMAIL).candidates[0].verification == "catch_all"
    payload["data"]["accept_all"] = False
    assert adapter.find(ada, EMAIL).candidates[0].verification == "valid"


@pytest.mark.parametrize(
    ("status", "ours"),
    [
        ("accept_all", "catch_all"),
        ("webmail", "risky"),
        ("invalid", "invalid"),
        ("disposable", "invalid"),
        ("unknown", "unknown"),
        ("something new", "unknown"),
        (None, "unknown"),
    ],
)
def test_its_words_become_ours(adapter_for, ada, monkeypatch, status, ours):
    adapter = adapter_for("hunter")
    payload = {"data": {"email": "ada@x.example", "verification": {"status": status}}}
    monkeypatch.setattr(adapter, "_ask", lambda *args, **kwargs: type("Reply", (), {"payload": payload}))
    assert adapter.find(ada, EMAIL).candidates[0].verification == ours


def test_an_invalid_address_and_another_persons_are_told_as_they_are(sandbox, adapter_for, ada):
    sandbox.faults("hunter", "invalid", times=1)
    sandbox.faults("hunter", "wrong_person", times=1)
    (invalid,) = adapter_for("hunter").find(ada, EMAIL).candidates
    (other,) = adapter_for("hunter").find(ada, EMAIL).candidates
    assert invalid.verification == "invalid"
    assert (other.first_name, other.last_name) == ("Robin", "Ashcombe")


@pytest.mark.parametrize(
    ("fault", "code"),
    [("pending", "pending"), ("verification_failed", "vendor_error"), ("suppressed", "suppressed")],
)
def test_its_own_statuses(sandbox, adapter_for, ada, fault, code):
    sandbox.faults("hunter", fault)
    with pytest.raises(AdapterError) as caught:
        adapter_for("hunter").find(ada, EMAIL)
    assert caught.value.code == code


def test_the_balance_is_read_from_the_billed_meter(adapter_for, ada, sandbox):
    sandbox.faults("hunter", "match", times=1)
    adapter = adapter_for("hunter", "demo-balance-test-1")
    adapter.find(ada, EMAIL)
    assert adapter.check().credits_left == 99_999
    assert adapter_for("hunter", "demo-empty-1").check().credits_left == 0


def test_the_domain_is_preferred_to_the_company_and_a_profile_stands_in_for_either(sandbox, adapter_for, ada):
    adapter = adapter_for("hunter")
    adapter.find(replace(ada, company_domain="https://www.X.example/"), EMAIL)
    adapter.find(replace(ada, company_domain=""), EMAIL)
    adapter.find(LeadQuery(linkedin_url="https://www.linkedin.com/in/ada-byron"), EMAIL)
    assert [call["who"] for call in sandbox.log()] == [
        "Ada Byron at x.example",
        "Ada Byron at Analytical Engines",
        "ada-byron",
    ]


@pytest.mark.parametrize(
    ("known", "can_ask"),
    [
        ({"first_name": "Ada", "last_name": "Byron", "company_domain": "x.example"}, True),
        ({"full_name": "Ada Byron", "company_name": "X"}, True),
        ({"linkedin_url": "https://www.linkedin.com/in/ada"}, True),
        ({"linkedin_url": "https://www.linkedin.com/company/x"}, False),
        ({"first_name": "Ada", "last_name": "Byron"}, False),
        ({"company_domain": "x.example", "work_email": "a@x.example"}, False),
    ],
)
def test_what_it_needs(known, can_ask):
    reason = ADAPTERS["hunter"].needs(LeadQuery(**known), EMAIL)
    assert (reason is None) == can_ask
