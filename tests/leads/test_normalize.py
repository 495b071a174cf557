"""Contact values in one comparable form."""

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from leads.normalize import (
    InvalidValue,
    clean_text,
    linkedin_url,
    normalize_domain,
    normalize_email,
    normalize_linkedin,
    normalize_phone,
    region_of,
)

PROFILE = "linkedin.com/in/jon-smith"


@pytest.mark.parametrize(
    "spelling",
    [
        "https://www.linkedin.com/in/jon-smith",
        "http://linkedin.com/in/jon-smith/",
        "HTTPS://WWW.LINKEDIN.COM/IN/Jon-Smith",
        "linkedin.com/in/jon-smith",
        "www.linkedin.com/in/jon-smith/?originalSubdomain=uk&trk=x#about",
        "//www.linkedin.com/in/jon-smith",
        "https://uk.linkedin.com/in/jon-smith",
        "https://linkedin.com./in/jon-smith",
        "https://www.linkedin.com/in/jon-smith/en",
        "https://www.linkedin.com/in/jon-smith/details/experience/",
        "https://www.linkedin.com/mwlite/in/jon-smith",
        "https://touch.linkedin.com/in/jon%2Dsmith",
        "https://www.linkedin.com/in/jon%252Dsmith",
        "https://www.linkedin.com/pub/jon-smith",
        "\u200bhttps://www.linkedin.com/in/jon-smith\u200e ",
        "in/jon-smith",
        "/in/jon-smith/",
    ],
)
def test_every_spelling_of_a_profile_is_one(spelling):
    assert normalize_linkedin(spelling) == PROFILE


def test_accents_in_a_profile_compare_equal_however_they_are_encoded():
    spellings = ["in/José-Martínez", "in/jos%C3%A9-mart%C3%ADnez", "in/jose\u0301-marti\u0301nez"]
    assert {normalize_linkedin(text) for text in spellings} == {"linkedin.com/in/josé-martínez"}
    assert linkedin_url("linkedin.com/in/josé") == "https://www.linkedin.com/in/jos%C3%A9"


def test_the_public_form_of_before_2014_is_the_profile_it_became():
    assert normalize_linkedin("https://www.linkedin.com/pub/jon-smith/1b/23/4a5") == f"{PROFILE}-4a50231b"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "https://www.linkedin.com/sales/lead/ACwAAA,NAME",
            "This is a Sales Navigator link, not a public profile.",
        ),
        (
            "https://www.linkedin.com/sales/people/ACwAAA",
            "This is a Sales Navigator link, not a public profile.",
        ),
        ("https://www.linkedin.com/company/acme", "This is a company page, not a public profile."),
        ("https://www.linkedin.com/school/mit", "This is a school page, not a public profile."),
        ("https://www.linkedin.com/talent/profile/x", "This is a Recruiter link, not a public profile."),
        (
            "https://www.linkedin.com/in/ACoAAABcDeFgHiJkLmNoPqRs",
            "This is LinkedIn's internal number, not a public profile.",
        ),
        ("https://lnkd.in/abc", "This is a shortened link, not a public profile."),
        ("https://www.linkedin.com/", "“https://www.linkedin.com/” is not a LinkedIn profile."),
        ("https://evil.com/in/jon-smith", "“https://evil.com/in/jon-smith” is not a LinkedIn profile."),
        (
            "https://linkedin.com.evil.com/in/jon",
            "“https://linkedin.com.evil.com/in/jon” is not a LinkedIn profile.",
        ),
        ("https://notlinkedin.com/in/jon", "“https://notlinkedin.com/in/jon” is not a LinkedIn profile."),
        (
            "https://linkedin.com@evil.com/in/jon",
            "“https://linkedin.com@evil.com/in/jon” is not a LinkedIn profile.",
        ),
        ("javascript://linkedin.com/in/jon", "“javascript://linkedin.com/in/jon” is not a LinkedIn profile."),
        (
            "https://www.linkedin.com/in/<script>",
            "“https://www.linkedin.com/in/<script>” is not a LinkedIn profile.",
        ),
        ("jon smith", "“jon smith” is not a LinkedIn profile."),
        ("http://[", "“http://[” is not a LinkedIn profile."),
        ("", "There is no LinkedIn URL."),
    ],
)
def test_what_is_not_a_public_profile_says_what_it_is(value, message):
    with pytest.raises(InvalidValue) as refused:
        normalize_linkedin(value)
    assert refused.value.message == message


@pytest.mark.parametrize(
    ("value", "normalized", "display"),
    [
        (" Jon.Smith@Acme.COM ", "jon.smith@acme.com", "jon.smith@acme.com"),
        ("Jon Smith <jon@acme.com>", "jon@acme.com", "jon@acme.com"),
        ("mailto:jon@acme.com?subject=hi", "jon@acme.com", "jon@acme.com"),
        ("jon@acme.com;", "jon@acme.com", "jon@acme.com"),
        ("jon\u200b@acme.com\x00", "jon@acme.com", "jon@acme.com"),
        ("ines@halden-robotics.example", "ines@halden-robotics.example", "ines@halden-robotics.example"),
        ("josé@exämple.de", "josé@xn--exmple-cua.de", "josé@exämple.de"),
        ("josé@xn--exmple-cua.de", "josé@xn--exmple-cua.de", "josé@exämple.de"),
        ("jose\u0301@acme.com", "josé@acme.com", "josé@acme.com"),
    ],
)
def test_an_address_has_one_normal_form(value, normalized, display):
    email = normalize_email(value)
    assert (email.normalized, email.display) == (normalized, display)
    assert f"{email.local}@{email.domain}" == normalized


@pytest.mark.parametrize(
    "value",
    ["", None, "jon", "jon@", "@acme.com", "a@b@c.de", "jon@acme", "a b@c.de", "a..b@c.de", ".a@c.de", "jon@localhost",
     "jon@mail.test", "jon@1.2.3.4", "jon@[1.2.3.4]", '"jon"@acme.com', "jon@-acme.com", "jon@acme-.com",
     "x" * 65 + "@acme.com", "a@" + "b" * 64 + ".com", "a@xn--.com", "a@b.c\r\nBcc: d@e.fr", {}, 5],
)  # fmt: skip
def test_what_mail_cannot_be_sent_to_is_refused(value):
    with pytest.raises(InvalidValue):
        normalize_email(value)


LOCAL = st.text("ab0._+-", min_size=1, max_size=66)
DOMAIN = st.text("ab0.-", min_size=1, max_size=70)


@given(
    local=LOCAL, domain=DOMAIN, tld=st.sampled_from(["com", "example", "test", "arpa", "c", "c0m", "museum"])
)
def test_the_short_cut_for_plain_addresses_agrees_with_the_library(local, domain, tld):
    address = f"{local}@{domain}.{tld}"
    try:
        expected = validate_email(address, check_deliverability=False, strict=True).normalized.lower()
    except EmailNotValidError:
        expected = None
    if address.endswith(".") or address != address.strip(" ;,'\""):
        return
    try:
        assert normalize_email(address).display == expected
    except InvalidValue:
        assert expected is None


@pytest.mark.parametrize(
    ("value", "country", "normalized", "display"),
    [
        ("+1 (202) 555-0187", "", "+12025550187", "+1 202-555-0187"),
        ("(202) 555-0187", "United States", "+12025550187", "+1 202-555-0187"),
        ("0170 1234567", "Deutschland", "+491701234567", "+49 170 1234567"),
        ("+49 (0)170 1234567", "US", "+491701234567", "+49 170 1234567"),
        ("0049 170 1234567", "", "+491701234567", "+49 170 1234567"),
        ("tel:+33-1-42-68-53-00", "", "+33142685300", "+33 1 42 68 53 00"),
        ("+33 1 42 68 53 00 ext. 12", "", "+33142685300", "+33 1 42 68 53 00"),
        ("\u202d+33 1 42 68 53 00\u202c", "", "+33142685300", "+33 1 42 68 53 00"),
        ("１ ４１５ ５５５ ０１０１", "us", "+14155550101", "+1 415-555-0101"),
    ],
)
def test_a_phone_number_is_kept_as_e164(value, country, normalized, display):
    phone = normalize_phone(value, country)
    assert (phone.normalized, phone.display) == (normalized, display)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "There is no phone number."),
        ("call me", "“call me” is not a phone number."),
        ("030 123456", "“030 123456” has no country code."),
        ("+49 12", "“+49 12” has too few or too many digits."),
        ("+1 202 555 0187 9999", "“+1 202 555 0187 9999” has too few or too many digits."),
        ("1" * 61, "The phone number is too long."),
        ("1" * 9_999, "The phone number is too long."),
    ],
)
def test_what_cannot_be_dialled_is_refused(value, message):
    with pytest.raises(InvalidValue) as refused:
        normalize_phone(value)
    assert refused.value.message == message


@pytest.mark.parametrize(
    ("country", "region"),
    [("Germany", "DE"), ("deutschland", "DE"), ("Türkiye", "TR"), ("Turkey", "TR"), ("Czechia", "CZ"), ("USA", "US"),
     ("U.K.", "GB"), ("gb", "GB"), ("Brasil", "BR"), ("Atlantis", ""), ("", "")],
)  # fmt: skip
def test_a_country_is_known_by_name_and_code(country, region):
    assert region_of(country) == region


@pytest.mark.parametrize(
    ("value", "domain"),
    [("https://www.Acme.com/about?x=1", "acme.com"), ("acme.com:443", "acme.com"), ("jon@acme.co.uk", "acme.co.uk"),
     ("münchen.de", "xn--mnchen-3ya.de"), ("http://eu.acme.com.", "eu.acme.com"), ("\u200bacme.com", "acme.com")],
)  # fmt: skip
def test_a_company_domain_comes_from_whatever_names_it(value, domain):
    assert normalize_domain(value) == domain


@pytest.mark.parametrize(
    "value", ["", "acme", "1.2.3.4", "http://[::1]/", "-acme.com", "a..com", "x" * 300 + ".com", "a b.com"]
)
def test_what_is_not_a_domain_is_refused(value):
    with pytest.raises(InvalidValue):
        normalize_domain(value)


ANYTHING = st.text(max_size=200) | st.binary(max_size=50).map(
    lambda raw: raw.decode("utf-8", "surrogateescape")
)


@given(ANYTHING, st.integers(1, 120))
def test_cleaned_text_can_be_stored_and_shown(text, length):
    cleaned = clean_text(text, length)
    cleaned.encode("utf-8")
    assert len(cleaned) <= length
    assert cleaned == " ".join(cleaned.split())
    assert all(char == " " or char.isprintable() for char in cleaned)
    assert clean_text(cleaned, length) == cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [(None, ""), ("a\x00b\u202ec\u200b\ufeff", "abc"), ("a\r\n\t b", "a b"), ("e\u0301", "é")],
)
def test_what_cannot_be_seen_is_removed(text, cleaned):
    assert clean_text(text, 120) == cleaned


def test_a_tower_of_marks_on_one_letter_is_cut():
    assert len(clean_text("Z" + "\u0301\u0330" * 30, 120)) <= 5


@given(ANYTHING)
def test_normal_forms_are_stable_and_nothing_else_is_raised(text):
    for normalize, read in (
        (normalize_email, lambda email: email.normalized),
        (lambda value: normalize_phone(value, "FR"), lambda phone: phone.normalized),
        (normalize_linkedin, str),
        (normalize_domain, str),
    ):
        try:
            once = read(normalize(text))
        except InvalidValue as refused:
            assert refused.code and refused.message.endswith(".")
        else:
            assert read(normalize(once)) == once


@given(st.text("abcdefghijklmnopqrstuvwxyzäéø0123456789-", min_size=2, max_size=30))
def test_a_profile_survives_being_opened_and_read_again(slug):
    normalized = f"linkedin.com/in/{slug}"
    try:
        assert normalize_linkedin(normalized) == normalize_linkedin(
            linkedin_url(normalize_linkedin(normalized))
        )
    except InvalidValue:
        assert slug.startswith("ac")
