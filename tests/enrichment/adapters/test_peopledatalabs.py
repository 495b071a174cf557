"""People Data Labs: what is asked, and how its answers and habits are read."""

from dataclasses import replace
from decimal import Decimal

import pytest

from enrichment.adapters import ADAPTERS, AdapterError, LeadQuery
from enrichment.sandbox import faults as sandbox_faults

ALL = ADAPTERS["peopledatalabs"].channels


def test_one_record_answers_all_four_channels(sandbox, adapter_for, ada):
    sandbox.faults("peopledatalabs", "match")
    answer = adapter_for("peopledatalabs", "demo-pdl-balance").find(ada, ALL)
    truth = sandbox.person(full_name="Ada Byron", domain="analytical-engines.example")
    values = {candidate.channel: candidate.value for candidate in answer.candidates}
    assert values == {
        "work_email": truth.work_email,
        "personal_email": truth.personal_email,
        "phone": truth.mobile,
        "linkedin_url": truth.linkedin_url.replace("www.", ""),
    }
    assert {c.verification for c in answer.candidates} == {"unknown"}
    assert {c.confidence for c in answer.candidates} == {90}
    assert {(c.first_name, c.last_name) for c in answer.candidates} == {("ada", "byron")}
    assert [c.kind for c in answer.candidates if c.channel == "phone"] == ["mobile"]
    assert (answer.vendor_cost, answer.credits_left) == (Decimal(1), 99_999)


def test_a_match_without_the_wanted_field_is_a_free_miss(sandbox, adapter_for, ada, monkeypatch):
    """The sandbox evaluates ``required`` as the vendor does: without it, this match would be billed."""
    monkeypatch.setitem(
        sandbox_faults._RECORDS, "match", lambda record: replace(record, work_email="", personal_email="")
    )
    sandbox.faults("peopledatalabs", "match")
    adapter = adapter_for("peopledatalabs")
    for wanted, cost in (({"work_email"}, 0), ({"work_email", "personal_email"}, 0), ({"phone"}, 1)):
        answer = adapter.find(ada, frozenset(wanted))
        assert (len(answer.candidates), answer.vendor_cost) == (cost, cost)


@pytest.mark.parametrize("channel", ["work_email", "personal_email", "phone"])
def test_true_in_place_of_a_value_stops_the_provider(sandbox, adapter_for, ada, channel):
    sandbox.faults("peopledatalabs", "booleans")
    with pytest.raises(AdapterError) as caught:
        adapter_for("peopledatalabs").find(ada, frozenset({channel}))
    assert caught.value.code == "key_rejected"
    assert caught.value.message == "the account's plan does not include contact data"


def test_true_beside_a_real_value_does_not(sandbox, adapter_for, ada):
    sandbox.faults("peopledatalabs", "booleans")
    answer = adapter_for("peopledatalabs").find(ada, ALL)
    assert [(c.channel, c.value) for c in answer.candidates] == [
        ("linkedin_url", "https://linkedin.com/in/ada")
    ]
    assert answer.credits_left == 99


def find_in(adapter, monkeypatch, query, channels, **data):
    payload = {"status": 200, "likelihood": 7, "data": {"full_name": "ada byron", **data}}
    reply = type("Reply", (), {"payload": payload, "header_number": lambda self, name: None})()
    monkeypatch.setattr(adapter, "_ask", lambda *args, **kwargs: reply)
    return adapter.find(query, channels)


def test_a_current_professional_address_is_a_work_address(adapter_for, ada, monkeypatch):
    emails = [
        {"address": "old@y.example", "type": "professional"},
        {"address": "ada@x.example", "type": "current_professional"},
    ]
    answer = find_in(
        adapter_for("peopledatalabs"),
        monkeypatch,
        ada,
        frozenset({"work_email"}),
        work_email=None,
        emails=emails,
    )
    assert [(c.value, c.confidence) for c in answer.candidates] == [("ada@x.example", 70)]


def test_false_is_no_value_and_no_change(adapter_for, ada, monkeypatch):
    answer = find_in(
        adapter_for("peopledatalabs"),
        monkeypatch,
        ada,
        ALL,
        work_email=False,
        personal_emails=False,
        mobile_phone=False,
    )
    assert (answer.candidates, answer.shape_changed, answer.vendor_cost) == ((), False, Decimal(1))


def test_a_phone_that_is_not_the_mobile_comes_after_it(adapter_for, ada, monkeypatch):
    answer = find_in(
        adapter_for("peopledatalabs"),
        monkeypatch,
        ada,
        frozenset({"phone"}),
        mobile_phone="+12025550101",
        phone_numbers=["+12025550102", "+12025550101"],
    )
    assert [(c.value, c.kind) for c in answer.candidates] == [
        ("+12025550101", "mobile"),
        ("+12025550102", ""),
    ]


def test_the_test_connection_is_the_free_bad_request(sandbox, adapter_for):
    assert adapter_for("peopledatalabs").check().credits_left == 100_000
    sandbox.faults("peopledatalabs", "out_of_credit")
    with pytest.raises(AdapterError) as caught:
        adapter_for("peopledatalabs").check()
    assert caught.value.code == "out_of_credit"


@pytest.mark.parametrize(
    ("known", "can_ask"),
    [
        ({"linkedin_url": "https://www.linkedin.com/in/ada"}, True),
        ({"phone": "+12025550100"}, True),
        ({"personal_email": "ada@mailbox.example"}, True),
        ({"full_name": "Ada Byron", "company_name": "X"}, True),
        ({"full_name": "Ada Byron", "country": "France"}, False),
        ({"company_domain": "x.example"}, False),
    ],
)
def test_what_it_needs(known, can_ask):
    reason = ADAPTERS["peopledatalabs"].needs(LeadQuery(**known), ALL)
    assert (reason is None) == can_ask
