"""Apollo: what is asked, and how its answers and habits are read."""

from dataclasses import replace
from decimal import Decimal

import pytest

from enrichment.adapters import ADAPTERS, AdapterError, Candidate, LeadQuery

ALL = ADAPTERS["apollo"].channels


def test_one_call_answers_every_channel_it_has(sandbox, adapter_for, ada):
    sandbox.faults("apollo", "match")
    answer = adapter_for("apollo").find(ada, ALL)
    truth = sandbox.person(full_name="Ada Byron", domain="analytical-engines.example")
    assert answer.candidates == (
        Candidate("work_email", truth.work_email, "valid", None, "Ada", "Byron"),
        Candidate("personal_email", truth.personal_email, "unknown", None, "Ada", "Byron"),
        Candidate("linkedin_url", truth.linkedin_url, "unknown", None, "Ada", "Byron"),
    )
    assert answer.vendor_cost == Decimal(1)
    assert len(sandbox.log()) == 1


def test_only_what_was_wanted_is_returned(sandbox, adapter_for, ada):
    sandbox.faults("apollo", "match")
    answer = adapter_for("apollo").find(ada, frozenset({"linkedin_url"}))
    assert [candidate.channel for candidate in answer.candidates] == ["linkedin_url"]


def test_phones_are_not_offered():
    assert "phone" not in ALL


@pytest.mark.parametrize("country", ["Germany", "france", "United Kingdom", "CH", " Czechia "])
def test_personal_addresses_of_europeans_are_never_asked_for(sandbox, adapter_for, ada, country):
    sandbox.faults("apollo", "match")
    query = replace(ada, country=country)
    answer = adapter_for("apollo").find(query, ALL)
    assert "personal_email" not in {candidate.channel for candidate in answer.candidates}
    assert "Europe" in ADAPTERS["apollo"].needs(query, frozenset({"personal_email"}))
    assert ADAPTERS["apollo"].needs(query, frozenset({"work_email"})) is None


def test_a_guessed_address_is_risky_and_a_bounced_one_is_none(sandbox, adapter_for, ada):
    sandbox.faults("apollo", "catch_all", times=1)
    sandbox.faults("apollo", "invalid", times=1)
    email = frozenset({"work_email"})
    (guessed,) = adapter_for("apollo").find(ada, email).candidates
    assert (guessed.verification, guessed.confidence) == ("risky", 72)
    assert adapter_for("apollo").find(ada, email).candidates == ()


def test_the_placeholder_of_a_locked_address_is_no_address(sandbox, adapter_for, ada):
    sandbox.faults("apollo", "locked_email")
    answer = adapter_for("apollo").find(ada, ALL)
    assert (answer.candidates, answer.shape_changed) == ((), False)


def test_a_plan_without_the_endpoint_is_a_rejected_key(sandbox, adapter_for, ada):
    sandbox.faults("apollo", "endpoint_refused")
    with pytest.raises(AdapterError) as caught:
        adapter_for("apollo").find(ada, ALL)
    assert caught.value.code == "key_rejected"


def test_the_text_of_a_422_tells_an_empty_account_from_a_bad_lead(sandbox, adapter_for, ada):
    for fault, code in (("out_of_credit", "out_of_credit"), ("422", "refused")):
        sandbox.clear_faults()
        sandbox.faults("apollo", fault)
        with pytest.raises(AdapterError) as caught:
            adapter_for("apollo").find(ada, ALL)
        assert caught.value.code == code


def test_health_says_success_to_anybody_so_the_login_is_read(adapter_for, monkeypatch):
    adapter = adapter_for("apollo")
    assert adapter.check().message == "Connected."
    monkeypatch.setattr(
        adapter,
        "_account",
        lambda *args: type("Reply", (), {"payload": {"healthy": True, "is_logged_in": False}}),
    )
    with pytest.raises(AdapterError) as caught:
        adapter.check()
    assert caught.value.code == "key_rejected"


@pytest.mark.parametrize(
    ("known", "can_ask"),
    [
        ({"linkedin_url": "https://www.linkedin.com/in/ada"}, True),
        ({"work_email": "ada@x.example"}, True),
        ({"full_name": "Ada Byron", "company_name": "X"}, True),
        ({"first_name": "Ada", "last_name": "Byron"}, False),
        ({"company_domain": "x.example"}, False),
    ],
)
def test_what_it_needs(known, can_ask):
    reason = ADAPTERS["apollo"].needs(LeadQuery(**known), frozenset({"work_email"}))
    assert (reason is None) == can_ask
