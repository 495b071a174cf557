"""Turns what people and vendors write into one comparable form per value, or says why it cannot.

Two values are the same contact if and only if their normal forms are equal. Nothing here asks the network.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote, urlsplit

import idna
import phonenumbers
from email_validator import EmailNotValidError, validate_email

from core.exceptions import DomainError
from leads.text import fold


class InvalidValue(DomainError):
    """The value cannot be what its channel needs; ``code`` is for machines, the message for people."""

    default_message = "This value cannot be used."

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class NormalizedEmail:
    """``normalized`` is lower case with an ASCII domain; ``display`` is what people read."""

    normalized: str
    display: str

    @property
    def local(self) -> str:
        """What stands before the @."""
        return self.normalized.rpartition("@")[0]

    @property
    def domain(self) -> str:
        """What stands after the @, in ASCII."""
        return self.normalized.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class NormalizedPhone:
    """``normalized`` is E.164; ``valid`` says that the number range is in use, ``kind`` which sort of line."""

    normalized: str
    display: str
    valid: bool
    kind: str


MAX_RAW = 2_000
_COMBINING_IN_A_ROW = 4


def clean_text(value: object, max_length: int) -> str:
    """Return ``value`` as one line of NFC text of at most ``max_length`` characters.

    Control and format characters (NUL, zero-width, direction overrides), lone surrogates and
    private-use characters are removed, white space is collapsed, stacks of combining marks are cut.
    None is "".
    """
    if value is None:
        return ""
    # Bounded work for giant input; what is cut here would have been cut below.
    text = str(value).strip()[: 4 * max_length + 64]
    if not (text.isascii() and text.isprintable()):
        text = unicodedata.normalize("NFC", "".join(_visible(text)))
    return " ".join(text.split())[:max_length].rstrip()


def _visible(text: str) -> Iterator[str]:
    stacked = 0
    for char in text:
        category = unicodedata.category(char)
        if char.isspace():
            yield " "
        elif category[0] != "C":
            stacked = stacked + 1 if category[0] == "M" else 0
            if stacked <= _COMBINING_IN_A_ROW:
                yield char


# --- e-mail addresses

# Ordinary addresses, for which this and email-validator agree; everything else is left to the library.
_PLAIN_EMAIL = re.compile(
    r"(?P<local>[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*)@(?P<domain>(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24})"
)
_SPECIAL_TLDS = {"arpa", "invalid", "local", "localhost", "onion", "test"}


def normalize_email(value: object) -> NormalizedEmail:
    """The address in normal form. InvalidValue when it is not one that mail could be sent to."""
    return _normalized_email(_cut(value, "The e-mail address is too long."))


@lru_cache(maxsize=8_192)
def _normalized_email(text: str) -> NormalizedEmail:
    if text[:7].lower() == "mailto:":
        text = unquote(text[7:].partition("?")[0])
    if "<" in text and text.endswith(">"):
        text = text[text.rindex("<") + 1 : -1]
    text = clean_text(text, MAX_RAW).strip(" ;,'\"").removesuffix(".")
    if not text:
        raise InvalidValue("empty", "There is no e-mail address.")
    lowered = text.lower()
    plain = _PLAIN_EMAIL.fullmatch(lowered)
    if (
        plain
        and len(plain["local"]) <= 64
        and len(lowered) <= 254
        and "--" not in plain["domain"]
        and lowered.rpartition(".")[2] not in _SPECIAL_TLDS
    ):
        return NormalizedEmail(lowered, lowered)
    try:
        checked = validate_email(text, check_deliverability=False, strict=True)
    except (EmailNotValidError, ValueError) as error:
        raise InvalidValue("malformed", _email_reason(text)) from error
    local = unicodedata.normalize("NFC", checked.local_part.lower())
    return NormalizedEmail(f"{local}@{checked.ascii_domain.lower()}", f"{local}@{checked.domain.lower()}")


def _email_reason(text: str) -> str:
    if text.count("@") != 1:
        return f"“{_shown(text)}” has {'no' if '@' not in text else 'more than one'} @."
    return f"“{_shown(text)}” is not a valid e-mail address."


# --- phone numbers

_PHONE_KINDS = {
    phonenumbers.PhoneNumberType.MOBILE: "mobile",
    phonenumbers.PhoneNumberType.FIXED_LINE: "landline",
    phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE: "unknown",
    phonenumbers.PhoneNumberType.TOLL_FREE: "toll_free",
    phonenumbers.PhoneNumberType.PREMIUM_RATE: "premium_rate",
    phonenumbers.PhoneNumberType.SHARED_COST: "shared_cost",
    phonenumbers.PhoneNumberType.UAN: "company",
    phonenumbers.PhoneNumberType.VOICEMAIL: "voicemail",
    phonenumbers.PhoneNumberType.PAGER: "pager",
}


def normalize_phone(value: object, country: str = "") -> NormalizedPhone:
    """The number in E.164; one without a country code is read in ``country`` (a name or an ISO code).

    InvalidValue when it cannot be a phone number; an extension is dropped.
    """
    return _normalized_phone(_cut(value, "The phone number is too long."), country)


@lru_cache(maxsize=8_192)
def _normalized_phone(text: str, country: str) -> NormalizedPhone:
    text = clean_text(text, MAX_RAW).removeprefix("tel:")
    if not text:
        raise InvalidValue("empty", "There is no phone number.")
    if len(text) > 60:
        raise InvalidValue("malformed", "The phone number is too long.")
    region = region_of(country)
    if not region and re.match(r"00[\s./-]*[1-9]", text):
        text = f"+{text[2:].lstrip(' ./-')}"
    try:
        number = phonenumbers.parse(text, region or None)
    except phonenumbers.NumberParseException as error:
        if error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE:
            raise InvalidValue("malformed", f"“{_shown(text)}” has no country code.") from error
        raise InvalidValue("malformed", f"“{_shown(text)}” is not a phone number.") from error
    number.extension = None
    if not phonenumbers.is_possible_number(number) or number.national_number < 1_000:
        raise InvalidValue("malformed", f"“{_shown(text)}” has too few or too many digits.")
    return NormalizedPhone(
        phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164),
        phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL),
        phonenumbers.is_valid_number(number),
        _PHONE_KINDS.get(phonenumbers.number_type(number), "unknown"),
    )


_COUNTRY_ALIASES = {
    "usa": "US", "u.s.": "US", "u.s.a.": "US", "united states of america": "US", "america": "US",
    "uk": "GB", "u.k.": "GB", "great britain": "GB", "england": "GB", "scotland": "GB", "wales": "GB",
    "northern ireland": "GB", "uae": "AE", "czech republic": "CZ", "czechia": "CZ", "turkey": "TR",
    "turkiye": "TR", "holland": "NL", "the netherlands": "NL", "korea": "KR", "south korea": "KR",
    "republic of korea": "KR", "russia": "RU", "russian federation": "RU", "viet nam": "VN", "ivory coast": "CI",
    "macedonia": "MK", "north macedonia": "MK", "swaziland": "SZ", "taiwan, province of china": "TW",
    "hong kong": "HK", "macau": "MO", "republic of ireland": "IE", "brasil": "BR",
}  # fmt: skip


def region_of(country: str) -> str:
    """The ISO 3166 code of a country's code or name (in any language phonenumbers knows), "" if unknown."""
    key = fold(country[:80])
    if not key:
        return ""
    return _COUNTRY_ALIASES.get(key) or _regions().get(key, "")


@lru_cache(maxsize=1)
def _regions() -> dict[str, str]:
    # The geocoder's own table of country names; loading it takes half a second, so only on first use.
    from phonenumbers.geodata.locale import LOCALE_DATA

    names = {
        fold(name): region
        for region, by_language in LOCALE_DATA.items()
        for name in by_language.values()
        if not name.startswith("*")
    }
    return names | {region.lower(): region for region in phonenumbers.SUPPORTED_REGIONS}


# --- LinkedIn

_LINKEDIN_SLUG = re.compile(r"[\w\-.'’·&+~]{2,120}")
_MEMBER_ID = re.compile(r"ac[ow]aa[\w-]{15,}")
_NOT_A_PERSON = {
    "company": "a company page",
    "company-beta": "a company page",
    "school": "a school page",
    "showcase": "a company page",
    "groups": "a group",
    "jobs": "a job",
    "posts": "a post",
    "pulse": "an article",
    "feed": "a post",
    "sales": "a Sales Navigator link",
    "talent": "a Recruiter link",
    "recruiter": "a Recruiter link",
    "profile": "a link that only works when signed in",
}


def normalize_linkedin(value: object) -> str:
    """The public profile as "linkedin.com/in/<slug>", whatever its spelling.

    InvalidValue for anything else, also for links that open only inside LinkedIn's paid products.
    """
    return _normalized_linkedin(_cut(value, "The LinkedIn URL is too long."))


@lru_cache(maxsize=8_192)
def _normalized_linkedin(text: str) -> str:
    text = clean_text(text, MAX_RAW)
    if not text:
        raise InvalidValue("empty", "There is no LinkedIn URL.")
    try:
        address = urlsplit(text if "://" in text else f"https://{_with_host(text)}")
        host = (address.hostname or "").rstrip(".")
    except ValueError as error:
        raise InvalidValue("malformed", f"“{_shown(text)}” is not a LinkedIn profile.") from error
    if address.scheme.lower() not in ("http", "https") or "@" in address.netloc:
        raise InvalidValue("malformed", f"“{_shown(text)}” is not a LinkedIn profile.")
    if host == "lnkd.in":
        raise InvalidValue("not_a_profile", "This is a shortened link, not a public profile.")
    if host != "linkedin.com" and not host.endswith(".linkedin.com"):
        raise InvalidValue("malformed", f"“{_shown(text)}” is not a LinkedIn profile.")
    return f"linkedin.com/in/{_profile_slug(text, [part for part in address.path.split('/') if part])}"


def linkedin_url(normalized: str) -> str:
    """The address to open for a value that ``normalize_linkedin`` returned."""
    return f"https://www.{quote(normalized, safe='/-_.~')}"


def _with_host(text: str) -> str:
    bare = text.lstrip("/")
    return f"linkedin.com/{bare}" if bare[:3].lower() == "in/" else bare


def _profile_slug(text: str, parts: list[str]) -> str:
    if parts and parts[0].lower() in ("mwlite", "m"):
        parts = parts[1:]
    head = parts[0].lower() if parts else ""
    if head == "in" and len(parts) > 1:
        slug = _decoded(parts[1])
    elif head == "pub" and len(parts) > 4:
        # The form before 2014: /pub/name/a/b/c now is /in/name-cba, c and b of three digits.
        name, first, second, third = (_decoded(part) for part in parts[1:5])
        slug = f"{name}-{third:0>3}{second:0>3}{first}"
    elif head == "pub" and len(parts) > 1 and parts[1].lower() != "dir":
        slug = _decoded(parts[1])
    else:
        what = _NOT_A_PERSON.get(head)
        reason = (
            f"This is {what}, not a public profile."
            if what
            else f"“{_shown(text)}” is not a LinkedIn profile."
        )
        raise InvalidValue("not_a_profile", reason)
    if _MEMBER_ID.fullmatch(slug):
        raise InvalidValue("not_a_profile", "This is LinkedIn's internal number, not a public profile.")
    if not _LINKEDIN_SLUG.fullmatch(slug):
        raise InvalidValue("malformed", f"“{_shown(text)}” is not a LinkedIn profile.")
    return slug


def _decoded(part: str) -> str:
    text = part
    for _ in range(2):  # exports sometimes encode what was encoded already
        text = unquote(text, errors="replace")
    return unicodedata.normalize("NFC", clean_text(text, MAX_RAW).lower())


# --- domains

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


def normalize_domain(value: object) -> str:
    """A company's domain in lower-case ASCII, from a domain, a web address or an e-mail address."""
    text = clean_text(_cut(value, "The domain is too long."), MAX_RAW).lower()
    if not text:
        raise InvalidValue("empty", "There is no domain.")
    try:
        host = urlsplit(text if "://" in text else f"//{text}").hostname or ""
        host = host.rstrip(".").removeprefix("www.")
        if not host.isascii():
            host = idna.encode(host, uts46=True).decode()
    except (ValueError, UnicodeError) as error:
        raise InvalidValue("malformed", f"“{_shown(text)}” is not a domain.") from error
    labels = host.split(".")
    if len(labels) < 2 or len(host) > 253 or labels[-1].isdecimal() or not all(map(_LABEL.fullmatch, labels)):
        raise InvalidValue("malformed", f"“{_shown(text)}” is not a domain.")
    return host


def _cut(value: object, message: str) -> str:
    text = "" if value is None else str(value).strip()
    if len(text) > MAX_RAW:
        raise InvalidValue("malformed", message)
    return text


def _shown(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
