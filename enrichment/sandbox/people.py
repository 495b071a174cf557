"""The sandbox's people: who they are, and the one true value of each channel, whoever asks and however."""

import csv
import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from enrichment.sandbox.phones import landline_number, mobile_number

# The countries of the people directory; the rest live in the United States.
REGIONS = {
    "united states": "US",
    "united kingdom": "GB",
    "germany": "DE",
    "france": "FR",
    "netherlands": "NL",
    "spain": "ES",
    "italy": "IT",
    "sweden": "SE",
    "denmark": "DK",
    "poland": "PL",
    "czechia": "CZ",
    "brazil": "BR",
    "india": "IN",
    "turkey": "TR",
}
_COUNTRIES = {code: name.title() for name, code in REGIONS.items()}
_TOP_LEVEL = {code.lower(): code for code in REGIONS.values()} | {"uk": "GB"}
_SIZES = (4, 9, 18, 35, 60, 120, 240, 410, 800, 1900, 5200, 14000)
_MAILBOXES = ("mailbox.example", "posteo.example", "inbox.example", "webmail.example")
_TITLES = (
    "Head of Sales",
    "Account Executive",
    "Marketing Director",
    "Founder & CEO",
    "VP Revenue Operations",
)
_COMPANY_ENDINGS = re.compile(r"\b(inc|llc|ltd|limited|gmbh|corp|co|sa|bv|ab|ag|plc)\b\.?", re.IGNORECASE)


class Chance:
    """Draws that depend on a seed and on what is asked, and on nothing else: no order, no clock."""

    def __init__(self, seed: int) -> None:
        self._seed = str(seed).encode()

    def number(self, *about: str) -> int:
        """Return a large whole number for these words."""
        digest = hashlib.blake2b("|".join(about).encode(), key=self._seed, digest_size=8).digest()
        return int.from_bytes(digest, "big")

    def share(self, *about: str) -> float:
        """Return a number from 0 up to 1 for these words."""
        return self.number(*about) / 2**64


@dataclass(frozen=True)
class Search:
    """What a vendor was asked for; "" is not given."""

    first_name: str = ""
    last_name: str = ""
    full_name: str = ""
    company: str = ""
    domain: str = ""
    linkedin_url: str = ""
    email: str = ""

    @property
    def name(self) -> str:
        """The whole name."""
        return self.full_name or f"{self.first_name} {self.last_name}".strip()

    @property
    def who(self) -> str:
        """For the log: the person as far as the request tells."""
        company = self.domain or self.company
        return " at ".join(filter(None, (self.name, company))) or self.linkedin_url or self.email


@dataclass(frozen=True)
class Person:
    """Somebody, with every channel filled in; which vendor knows which of them is another matter."""

    key: str
    first_name: str
    last_name: str
    title: str
    company: str
    domain: str
    country: str
    region: str
    employees: int
    work_email: str
    personal_email: str
    mobile: str
    landline: str
    linkedin_url: str
    linkedin_known: bool = False

    @property
    def full_name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}".strip()


def fold(text: str) -> str:
    """Return text without accents, case and punctuation, for comparing and for mailbox names."""
    plain = text.replace("ı", "i").replace("ß", "ss").replace("ø", "o").replace("ł", "l").replace("Ł", "l")
    plain = unicodedata.normalize("NFKD", plain)
    return re.sub(r"[^a-z0-9]", "", "".join(c for c in plain if not unicodedata.combining(c)).lower())


def _name_key(name: str) -> str:
    """One key for a name however it is written; scripts without Latin letters stay as they are."""
    return fold(name) or "".join(name.casefold().split())


def profile_slug(url: str) -> str:
    """Return the name part of a personal LinkedIn address (or of a bare handle), in lower case."""
    found = re.search(r"linkedin\.com/in/([^/?#]+)", url, re.IGNORECASE)
    return unquote(found[1] if found else "" if "/" in url else url).lower().strip()


def _company_key(company: str, domain: str) -> str:
    """One key for "Halden Capital", "Halden Capital Ltd" and "halden-capital.example"."""
    return fold(domain.partition(".")[0]) if domain else fold(_COMPANY_ENDINGS.sub("", company))


class People:
    """Everybody: the directory's people as they are written there, all others made up from their name."""

    def __init__(self, chance: Chance, directory: Path | None = None) -> None:
        self._chance = chance
        self._by_name: dict[str, Person] = {}
        self._by_slug: dict[str, Person] = {}
        self._by_email: dict[str, Person] = {}
        self.directory: list[Person] = []
        if directory is not None:
            with directory.open(encoding="utf-8-sig", newline="") as lines:
                self._load(csv.DictReader(lines))

    def find(self, search: Search) -> Person | None:
        """Return the one person a search points to; None when it points to nobody in particular."""
        slug = profile_slug(search.linkedin_url)
        known = self._by_slug.get(slug) or self._by_email.get(search.email.lower())
        if known is not None:
            return known
        name, company = _name_key(search.name), _company_key(search.company, search.domain)
        if name and company:
            return self._by_name.get(f"{name}@{company}") or self._made_up(search, slug)
        return self._from_traces(search, slug)

    def _from_traces(self, search: Search, slug: str) -> Person | None:
        """Somebody of whom only a profile or an address is known."""
        if slug and (words := [word for word in slug.split("-") if word.isalpha()]):
            first, last = words[0].title(), " ".join(words[1:]).title()
            domain = search.domain or f"{fold(slug)[:20]}.example"
            return self._made_up(Search(first, last, company=search.company, domain=domain), slug)
        local, _, domain = search.email.lower().partition("@")
        if domain and domain not in _MAILBOXES and "." in local:
            first, _, last = local.partition(".")
            return self._made_up(Search(first.title(), last.title(), domain=domain), "")
        return None

    def _made_up(self, search: Search, slug: str) -> Person:
        first, last = search.first_name, search.last_name
        if not (first and last):
            first, _, last = search.name.partition(" ")
        company_key = _company_key(search.company, search.domain)
        region = _TOP_LEVEL.get(search.domain.rpartition(".")[2].lower(), "US")
        row = {
            "First Name": first,
            "Last Name": last,
            "Company": search.company or company_key.title(),
            "Company Domain": search.domain,
            "Employees": str(_SIZES[self._chance.number(company_key, "size") % len(_SIZES)]),
            "Country": _COUNTRIES[region],
            "LinkedIn URL": f"https://www.linkedin.com/in/{slug}" if slug else "",
        }
        return self._person(row, taken=())

    def _load(self, rows: Iterable[dict[str, str]]) -> None:
        rows = list(rows)
        taken = {row["Phone"] for row in rows if row.get("Phone")}
        for row in rows:
            person = self._person(row, taken=taken)
            taken.add(person.mobile)
            self.directory.append(person)
            for company in {_company_key(person.company, ""), _company_key("", person.domain)}:
                self._by_name.setdefault(f"{_name_key(person.full_name)}@{company}", person)
            self._by_slug.setdefault(profile_slug(person.linkedin_url), person)
            for email in (person.work_email, person.personal_email):
                self._by_email.setdefault(email.lower(), person)

    def _person(self, row: dict[str, str], *, taken: Iterable[str]) -> Person:
        """Fill in what the row does not say."""
        said = {name: (value or "").strip() for name, value in row.items() if isinstance(name, str)}
        first, last = said.get("First Name", ""), said.get("Last Name", "")
        company_key = _company_key(said.get("Company", ""), said.get("Company Domain", ""))
        domain = said.get("Company Domain") or f"{_dashed(said.get('Company', '')) or company_key}.example"
        key = f"{_name_key(first + last)}@{company_key}"
        draw = self._chance.number(key)
        region = REGIONS.get(said.get("Country", "").lower(), "US")
        f, last_word = fold(first) or f"p{draw % 10_000}", fold(last) or "x"
        return Person(
            key=key,
            first_name=first,
            last_name=last,
            title=said.get("Title") or _TITLES[draw % len(_TITLES)],
            company=said.get("Company", ""),
            domain=domain,
            country=_COUNTRIES[region],
            region=region,
            employees=int(said["Employees"]) if said.get("Employees", "").isdigit() else 60,
            work_email=said.get("Work Email") or f"{f}.{last_word}@{domain}",
            personal_email=said.get("Personal Email")
            or f"{f}.{last_word}{draw % 90 + 10}@{_MAILBOXES[draw // 90 % len(_MAILBOXES)]}",
            mobile=said.get("Phone") or _free(region, draw, taken),
            landline=landline_number(region, draw),
            linkedin_url=said.get("LinkedIn URL")
            or f"https://www.linkedin.com/in/{f}-{last_word}-{draw % 16**6:06x}",
            linkedin_known=bool(said.get("LinkedIn URL")),
        )


def _free(region: str, draw: int, taken: Iterable[str]) -> str:
    """A number nobody of the directory has, as far as its range reaches."""
    for step in range(100):
        number = mobile_number(region, draw + step)
        if number not in taken:
            return number
    return mobile_number(region, draw)


def _dashed(company: str) -> str:
    return "-".join(filter(None, (fold(word) for word in _COMPANY_ENDINGS.sub("", company).split())))
