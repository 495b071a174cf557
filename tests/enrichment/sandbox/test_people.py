"""The sandbox's people: stable, formally valid, and known to different vendors in different measure."""

from collections import Counter
from pathlib import Path

import phonenumbers
import pytest

from enrichment.sandbox.coverage import vendor_record
from enrichment.sandbox.people import REGIONS, Chance, People, Search
from enrichment.sandbox.phones import landline_number, mobile_number
from enrichment.sandbox.vendors import VENDORS

DEMO = Path(__file__).parents[3] / "demo" / "leads-demo.csv"


@pytest.fixture(scope="module")
def demo():
    return People(Chance(1), DEMO)


def test_a_person_is_the_same_whoever_asks_and_however(demo):
    person = demo.directory[0]
    by_domain = Search(person.first_name, person.last_name, domain=person.domain)
    by_company = Search(full_name=person.full_name.upper(), company=person.company)
    by_profile = Search(linkedin_url=person.linkedin_url.replace("https://www.", "http://"))
    by_email = Search(email=person.work_email.upper())
    assert {demo.find(search) for search in (by_domain, by_company, by_profile, by_email)} == {person}


def test_a_stranger_is_made_up_the_same_way_each_time():
    people = [
        People(Chance(5)).find(Search("Zoë", "Óʹneill", domain="halden-capital.example")) for _ in range(2)
    ]
    assert people[0] == people[1]
    by_company = People(Chance(5)).find(Search(full_name="Zoë Óʹneill", company="Halden Capital Ltd"))
    for channel in ("work_email", "personal_email", "mobile", "linkedin_url"):
        assert getattr(by_company, channel) == getattr(people[0], channel)
    assert people[0].work_email == "zoe.oneill@halden-capital.example"
    other = People(Chance(6)).find(Search("Zoë", "Óʹneill", domain="halden-capital.example"))
    assert other.linkedin_url != people[0].linkedin_url


def test_what_the_directory_says_of_somebody_is_what_is_answered(demo):
    rows = [person for person in demo.directory if person.linkedin_known]
    assert len(rows) > 100
    assert all(demo.find(Search(linkedin_url=person.linkedin_url)) == person for person in rows)


@pytest.mark.parametrize("search", [Search(), Search("Ada", "Byron"), Search(company="X"), Search(email="x")])
def test_nobody_in_particular_is_nobody(demo, search):
    assert demo.find(search) is None


def test_names_without_a_latin_letter_still_have_an_address():
    person = People(Chance(1)).find(Search("愛", "李", domain="x.example"))
    assert person.work_email.isascii() and person.work_email.endswith("@x.example")


def test_every_phone_is_valid_in_its_country(demo):
    for person in demo.directory:
        for number in filter(None, (person.mobile, person.landline)):
            parsed = phonenumbers.parse(number)
            assert phonenumbers.is_possible_number(parsed) and phonenumbers.is_valid_number(parsed)
            # The file gives some people elsewhere an American number.
            assert phonenumbers.is_valid_number_for_region(parsed, person.region) or number.startswith(
                "+1202"
            )


def test_no_two_people_of_the_directory_share_a_made_up_phone(demo):
    counts = Counter(person.mobile for person in demo.directory)
    assert sum(count > 1 for count in counts.values()) <= 3  # the file itself repeats a few


@pytest.mark.parametrize("region", sorted(set(REGIONS.values())))
def test_each_country_has_mobiles_and_landlines(region):
    mobiles = {mobile_number(region, index) for index in range(200)}
    assert len(mobiles) >= 50
    kinds = {phonenumbers.number_type(phonenumbers.parse(number)) for number in mobiles}
    assert kinds <= {phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE}
    assert (landline_number(region, 5) == "") == (region == "US")


def test_addresses_are_at_names_kept_for_examples(demo):
    for person in demo.directory:
        assert person.personal_email.endswith(".example")
        assert person.work_email.endswith(".example")


def test_vendors_know_different_people_and_some_people_nobody_knows(demo):
    known = {
        slug: {p.key for p in demo.directory if vendor_record(Chance(1), slug, p) is not None}
        for slug in VENDORS
    }
    for slug, people in known.items():
        assert 0.3 < len(people) / len(demo.directory) < 0.8, slug
        for other in known.keys() - {slug}:
            assert len(people - known[other]) > 30
    nobody = len(demo.directory) - len(set.union(*known.values()))
    assert 0.05 < nobody / len(demo.directory) < 0.25


def test_another_seed_knows_other_things(demo):
    def matches(seed):
        chance = Chance(seed)
        return [vendor_record(chance, "hunter", person) is not None for person in demo.directory]

    assert matches(1) == matches(1) != matches(2)


def test_region_and_size_make_a_difference(demo):
    def share(vendor, people):
        people = list(people)
        return sum(vendor_record(Chance(1), vendor, person) is not None for person in people) / len(people)

    americans = [p for p in demo.directory if p.region == "US"]
    germans = [p for p in demo.directory if p.region == "DE"]
    assert share("apollo", americans) > share("apollo", germans) + 0.1
    small = [p for p in demo.directory if p.employees < 50]
    large = [p for p in demo.directory if p.employees >= 50]
    assert share("hunter", large) > share("hunter", small) + 0.1


def test_some_of_what_is_known_is_wrong(demo):
    seen = Counter()
    for person in demo.directory:
        for slug in VENDORS:
            record = vendor_record(Chance(1), slug, person)
            if record is None:
                continue
            seen[record.email_state] += 1
            seen["wrong person"] += record.last_name != person.last_name
            seen["role"] += record.work_email.startswith(("info@", "sales@", "contact@", "office@", "hello@"))
            seen["landline"] += bool(record.landline)
    for mistake in ("catch_all", "invalid", "unsure", "wrong person", "role", "landline"):
        assert 5 < seen[mistake] < 300, mistake
    assert seen["valid"] > 700
