"""What of a provider's answer may be used, and what a rep reads when it may not."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichment.usability import Known, LeadFacts, Policy, judge

INES = LeadFacts("Ines", "Moreau", "Ines Moreau", "Halden Robotics", "halden-robotics.example", "France")


@dataclass
class Found:
    channel: str
    value: str
    verification: str = "valid"
    confidence: int | None = 95
    first_name: str = ""
    last_name: str = ""
    kind: str = ""


def email(value, **more):
    return Found("work_email", value, **more)


def verdict(found, lead=INES, policy=Policy(), known=Known()):  # noqa: B008
    return judge(found, lead, policy, known)


@pytest.mark.parametrize(
    ("found", "normalized", "display"),
    [
        (
            email(" Ines.Moreau@Halden-Robotics.example "),
            "ines.moreau@halden-robotics.example",
            "ines.moreau@halden-robotics.example",
        ),
        (
            email("i@mail.halden-robotics.example"),
            "i@mail.halden-robotics.example",
            "i@mail.halden-robotics.example",
        ),
        (email("i@haldenrobotics.example"), "i@haldenrobotics.example", "i@haldenrobotics.example"),
        (Found("personal_email", "ines@gmail.com"), "ines@gmail.com", "ines@gmail.com"),
        (Found("phone", "01 42 68 53 00"), "+33142685300", "+33 1 42 68 53 00"),
        (
            Found("linkedin_url", "http://fr.linkedin.com/in/Ines-Moreau/?x=1"),
            "linkedin.com/in/ines-moreau",
            "https://www.linkedin.com/in/ines-moreau",
        ),
    ],
)
def test_a_good_value_is_usable_in_its_normal_form(found, normalized, display):
    result = verdict(found)
    assert (result.usable, result.normalized, result.display, result.message) == (
        True,
        normalized,
        display,
        "",
    )
    assert (result.verification, result.confidence) == ("valid", 95)


@pytest.mark.parametrize(
    ("found", "code", "message"),
    [
        (email("not an address"), "malformed", "“not an address” has no @."),
        (
            email("info@halden-robotics.example"),
            "role_address",
            "info@ is shared by a team, not one person's address.",
        ),
        (email("ines@mailinator.com"), "disposable", "mailinator.com gives out throw-away addresses."),
        (email("ines@gmail.com"), "free_mail", "gmail.com is a private mailbox, not a work address."),
        (
            email("ines.moreau@globex.example"),
            "other_company",
            "At globex.example, but the company's domain is halden-robotics.example.",
        ),
        (
            email("ines@halden-robotics.example", first_name="Jon", last_name="Smith"),
            "other_person",
            "Belongs to another person: Jon Smith.",
        ),
        (
            email("jon.smith@halden-robotics.example"),
            "other_person",
            "Looks like another person's address: jon.smith@halden-robotics.example.",
        ),
        (
            email("ines@halden-robotics.example", verification="invalid"),
            "invalid",
            "The provider itself says that this value does not work.",
        ),
        (
            email("ines@halden-robotics.example", verification="risky"),
            "risky",
            "The provider calls this value risky.",
        ),
        (
            Found("personal_email", "ines@halden-robotics.example"),
            "work_address",
            "This is an address at the company, not a personal one.",
        ),
        (Found("phone", "call me"), "malformed", "“call me” is not a phone number."),
        (Found("phone", "+33 1 42"), "malformed", "“+33 1 42” has too few or too many digits."),
        (
            Found("phone", "+33142685300", kind="work_hq"),
            "not_personal",
            "This is a company line, not the person's own number.",
        ),
        (
            Found("phone", "+33 800 123 456"),
            "not_personal",
            "This is a company line, not the person's own number.",
        ),
        (
            Found("linkedin_url", "https://www.linkedin.com/sales/lead/ACwAAA,x"),
            "not_a_profile",
            "This is a Sales Navigator link, not a public profile.",
        ),
        (
            Found("linkedin_url", "https://www.linkedin.com/in/jon", first_name="Jon", last_name="Smith"),
            "other_person",
            "Belongs to another person: Jon Smith.",
        ),
    ],
)
def test_an_unusable_value_says_why(found, code, message):
    result = verdict(found)
    assert (result.usable, result.reason_code, result.message) == (False, code, message)


@pytest.mark.parametrize(
    ("known", "code"),
    [
        ("suppressed", "suppressed"),
        ("retired", "retired_before"),
        ("refused", "refused_before"),
        ("taken", "taken"),
    ],
)
def test_a_value_decided_on_before_is_not_used_again(known, code):
    key = ("work_email", "ines.moreau@halden-robotics.example")
    found = email("Ines.Moreau@halden-robotics.example")
    assert verdict(found, known=Known(**{known: {key}})).reason_code == code
    assert verdict(found, known=Known(**{known: {("personal_email", key[1])}})).usable


def test_the_reason_itself_is_told_again_before_refused_before():
    found = email("info@halden-robotics.example")
    known = Known(refused={("work_email", "info@halden-robotics.example")})
    assert verdict(found, known=known).reason_code == "role_address"


@pytest.mark.parametrize(
    ("stored", "verification", "usable"),
    [
        ({}, "catch_all", True),
        ({"accept_catch_all": False}, "catch_all", False),
        ({}, "unknown", True),
        ({"accept_unverified": False}, "unknown", False),
        ({}, "risky", False),
        ({"accept_risky": True}, "risky", True),
        ({"accept_risky": True}, "invalid", False),
        ({"accept_risky": "yes", "minimum_confidence": "90", "accept_catch_all": None}, "risky", False),
    ],
)
def test_the_workspace_decides_which_verification_is_enough(stored, verification, usable):
    policy = Policy.from_settings({"usability": stored})
    result = verdict(email("ines@halden-robotics.example", verification=verification), policy=policy)
    assert (result.usable, result.verification) == (usable, verification)


def test_malformed_settings_keep_the_defaults():
    assert Policy.from_settings({}) == Policy.from_settings({"usability": []}) == Policy()


@pytest.mark.parametrize(
    ("confidence", "usable"), [(79, False), (80, True), (None, True), ("x", True), (True, True)]
)
def test_a_minimum_confidence_holds_where_one_is_stated(confidence, usable):
    policy = Policy.from_settings({"usability": {"minimum_confidence": 80}})
    result = verdict(email("ines@halden-robotics.example", confidence=confidence), policy=policy)
    assert result.usable is usable


def test_an_address_elsewhere_is_marked_risky_for_those_who_accept_that():
    result = verdict(email("ines.moreau@globex.example"), policy=Policy(accept_risky=True))
    assert (result.usable, result.verification) == (True, "risky")


def test_without_a_company_domain_any_work_domain_will_do():
    lead = LeadFacts("Ines", "Moreau", company_name="Halden")
    assert verdict(email("ines@globex.example"), lead).usable


@pytest.mark.parametrize(
    ("domain", "company", "usable"),
    [
        ("acme.de", "acme.com", True),
        ("acme.co.uk", "acme.com", True),
        ("eu.acme.com", "www.acme.com", True),
        ("acme.com", "eu.acme.com", True),
        ("notacme.com", "acme.com", False),
        ("acme.com.evil.com", "acme.com", False),
        ("halden-robotics.io", "hr-group.com", True),
        ("co.uk", "acme.co.uk", False),
    ],
)
def test_several_domains_of_one_company_are_recognised(domain, company, usable):
    lead = LeadFacts("Ines", "Moreau", company_name="Halden Robotics", company_domain=company)
    assert verdict(email(f"ines@{domain}"), lead).usable is usable


@pytest.mark.parametrize(
    ("lead", "first", "last", "usable"),
    [
        (("William", "Gates"), "Bill", "Gates", True),
        (("Jürgen", "Müller"), "Juergen", "Mueller", True),
        (("Søren", "Kjær"), "Soren", "Kjaer", True),
        (("Łukasz", "Żak"), "Lukasz", "Zak", True),
        (("Torhan", "Akça"), "Torhan", "Akca", True),
        (("Maud", "van der Leek"), "Maud", "Leek", True),
        (("Anna", "Smith-Jones"), "Anna", "Jones", True),
        (("Ines", "Moreau"), "I.", "Moreau", True),
        (("Ines", "Moreau"), "Moreau", "Ines", True),
        (("Ines", "Moreau"), "Dr. Ines", "Moreau, MBA", True),
        (("Katherine", "O'Brien"), "Kate", "OBrien", True),
        (("Иван", "Петров"), "Ivan", "Petrov", True),
        (("Ines", "Moreau"), "", "", True),
        (("Ines", "Moreau"), "Karen", "Moreau", False),
        (("Ines", "Moreau"), "Ines", "Smith", False),
        (("Jon", "Smith"), "Jan", "Schmidt", False),
    ],
)
def test_names_are_compared_with_tolerance_but_another_person_is_refused(lead, first, last, usable):
    facts = LeadFacts(*lead, company_domain="acme.com")
    result = verdict(email("x@acme.com", first_name=first, last_name=last), facts)
    assert result.usable is usable
    assert result.reason_code == ("" if usable else "other_person")


@pytest.mark.parametrize("channel", ["work_email", "personal_email", "phone", "linkedin_url"])
@given(
    value=st.text(max_size=80)
    | st.none()
    | st.integers()
    | st.dictionaries(st.text(), st.text(), max_size=1),
    first=st.text(max_size=20) | st.none(),
    confidence=st.none() | st.floats() | st.integers() | st.text(),
    verification=st.text(max_size=10) | st.none(),
)
def test_nothing_a_vendor_sends_raises(channel, value, first, confidence, verification):
    found = Found(channel, value, verification=verification, confidence=confidence, first_name=first)
    result = verdict(found)
    assert result.usable or (result.reason_code and result.message.endswith("."))
    assert "\0" not in result.normalized + result.display
    assert len(result.normalized) <= 500 and len(result.display) <= 500


def test_a_megabyte_of_text_is_refused_at_once():
    for channel in ("work_email", "phone", "linkedin_url"):
        assert verdict(Found(channel, "a" * 1_000_000, first_name="b" * 1_000_000)).reason_code == "malformed"
