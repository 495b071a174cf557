"""One row of a file: what is kept of it, what is left out, and when it is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads.imports.rows import RowRefused, parse_row


def parse(**values):
    return parse_row({"first_name": "Ines", "last_name": "Moreau", **values}, 7)


def test_a_full_row_is_taken_over():
    row = parse(
        title=" VP  Sales ", company_name="Halden", company_domain="https://www.halden.example/", industry="Robotics",
        company_size="1,001-5,000", city="Lyon", country="France", linkedin_url="fr.linkedin.com/in/Ines-Moreau",
        icp_score="87", work_email="Ines@Halden.example", personal_email="ines@gmail.com", phone="01 42 68 53 00",
    )  # fmt: skip
    assert row.details | {"seniority": None, "job_function": None, "region": None} == {
        "first_name": "Ines", "last_name": "Moreau", "full_name": "Ines Moreau", "title": "VP Sales",
        "company_name": "Halden", "company_domain": "halden.example", "industry": "Robotics", "company_size": 1001,
        "city": "Lyon", "country": "France", "icp_score": 87, "seniority": None, "job_function": None, "region": None,
    }  # fmt: skip
    assert row.contacts == {
        "linkedin_url": ("https://www.linkedin.com/in/ines-moreau", "linkedin.com/in/ines-moreau"),
        "work_email": ("ines@halden.example", "ines@halden.example"),
        "personal_email": ("ines@gmail.com", "ines@gmail.com"),
        "phone": ("+33 1 42 68 53 00", "+33142685300"),
    }
    assert row.warnings == []


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"full_name": "Ines Moreau", "first_name": "", "last_name": ""}, ("Ines", "Moreau", "Ines Moreau")),
        (
            {"full_name": "Moreau, Ines", "first_name": "", "last_name": ""},
            ("Ines", "Moreau", "Moreau, Ines"),
        ),
        ({"full_name": "Cher", "first_name": "", "last_name": ""}, ("Cher", "", "Cher")),
        ({"first_name": "", "last_name": "Moreau"}, ("", "Moreau", "Moreau")),
        ({"first_name": "Null", "last_name": "Na"}, ("Null", "Na", "Null Na")),
        ({"first_name": "In\u200bes\0", "last_name": "\u202eMoreau"}, ("Ines", "Moreau", "Ines Moreau")),
    ],
)
def test_a_name_comes_from_its_parts_or_as_a_whole(values, name):
    details = parse(**values).details
    assert (details["first_name"], details["last_name"], details["full_name"]) == name


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"first_name": " ", "last_name": "-"}, "There is no name."),
        ({"first_name": "\u200b", "last_name": ""}, "There is no name."),
        ({"first_name": "12", "last_name": "34"}, "“12 34” is not a name."),
        ({"first_name": "x" * 130}, "The name is longer than 120 characters."),
        ({"last_name": "x" * 1_000_000}, "The last name is too long (1,000,000 characters)."),
    ],
)
def test_a_row_without_a_usable_name_is_refused(values, reason):
    with pytest.raises(RowRefused) as refused:
        parse(**values)
    assert refused.value.message == reason


@pytest.mark.parametrize(
    ("values", "warning"),
    [
        ({"work_email": "ines@"}, "E-mail left out: “ines@” is not a valid e-mail address."),
        ({"phone": "call me"}, "Phone left out: “call me” is not a phone number."),
        ({"phone": "1.20256E+10"}, "Phone left out: the spreadsheet has shortened it to “1.20256E+10”."),
        (
            {"linkedin_url": "https://www.linkedin.com/company/halden"},
            "LinkedIn URL left out: This is a company page, not a public profile.",
        ),
        ({"icp_score": "hot"}, "The ICP score “hot” is not a number from 0 to 100; it was left out."),
        ({"icp_score": "101"}, "The ICP score “101” is not a number from 0 to 100; it was left out."),
        ({"icp_score": "inf"}, "The ICP score “inf” is not a number from 0 to 100; it was left out."),
        ({"company_size": "many"}, "“many” is not a number of employees; it was left out."),
        ({"company_size": "9" * 12}, "“999999999999” is not a number of employees; it was left out."),
        ({"company_domain": "halden"}, "“halden” is not a domain; it was left out."),
        (
            {"company_domain": "gmail.com"},
            "gmail.com is a mailbox provider, not the company's domain; it was left out.",
        ),
        ({"title": "x" * 300}, "The title was cut to 200 characters."),
    ],
)
def test_a_bad_value_is_left_out_and_the_row_kept(values, warning):
    row = parse(**values)
    assert row.warnings == [warning]
    assert row.contacts == {}


@pytest.mark.parametrize(
    ("text", "score"),
    [("87", 87), ("87.6", 88), ("87,4", 87), ("87%", 87), ("87/100", 87), ("0", 0), ("n/a", None)],
)
def test_scores_are_read_as_people_write_them(text, score):
    assert parse(icp_score=text).details["icp_score"] == score


@pytest.mark.parametrize(
    ("text", "size"),
    [("5200", 5200), ("5,200", 5200), ("11-50", 11), ("10,001+", 10001), ("5k", 5000), ("> 500", 500), ("1 000", 1000),
     ("51 to 200 employees", 51), ("-", None)],
)  # fmt: skip
def test_company_sizes_are_read_as_people_write_them(text, size):
    assert parse(company_size=text).details["company_size"] == size


def test_a_private_address_in_the_work_column_is_kept_as_the_personal_one():
    row = parse(work_email="ines@gmail.com")
    assert list(row.contacts) == ["personal_email"]
    assert row.details["company_domain"] == ""


def test_a_column_named_only_email_goes_where_its_domain_belongs():
    assert list(parse(email="ines@halden.example").contacts) == ["work_email"]
    assert list(parse(email="ines@web.de").contacts) == ["personal_email"]


def test_several_addresses_in_a_cell_give_the_first_good_one():
    row = parse(email="nonsense; ines@halden.example, ines@gmail.com")
    assert row.contacts["work_email"][1] == "ines@halden.example"
    assert row.contacts["personal_email"][1] == "ines@gmail.com"
    assert len(row.warnings) == 1


def test_a_missing_domain_comes_from_the_work_address():
    assert parse(work_email="ines@eu.halden.example").domain_of_email == "eu.halden.example"
    assert parse(work_email="ines@eu.halden.example", company_domain="halden.example").domain_of_email == ""
    assert parse(work_email="ines@gmail.com").domain_of_email == ""


@pytest.mark.parametrize("text", ["'+33142685300", "+33142685300", "33142685300", "33142685300.0"])
def test_what_spreadsheets_do_to_phone_numbers_is_undone(text):
    assert parse(phone=text).contacts["phone"][1] == "+33142685300"


FIELDS = st.sampled_from(
    ["first_name", "full_name", "title", "icp_score", "company_size", "company_domain", "country", "linkedin_url",
     "work_email", "email", "phone", "company_name"]
)  # fmt: skip


@given(st.dictionaries(FIELDS, st.text(max_size=60) | st.text("@.;0123456789+-eE/%, ", max_size=40)))
def test_no_cell_raises_anything_else_and_what_is_kept_can_be_stored(values):
    try:
        row = parse_row(values, 2)
    except RowRefused as refused:
        assert refused.message.endswith(".")
        return
    assert row.details["full_name"]
    for value in [*row.details.values(), *(text for pair in row.contacts.values() for text in pair)]:
        if isinstance(value, str):
            value.encode("utf-8")
            assert "\0" not in value
    assert row.details["icp_score"] is None or 0 <= row.details["icp_score"] <= 100
