"""Checks one row of a file: what can be stored of it, what is left out and why, or why the row is refused."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from core.channels import Channel
from core.exceptions import DomainError
from leads.mailboxes import is_free_mail
from leads.models import Lead
from leads.names import split_full_name
from leads.normalize import (
    InvalidValue,
    NormalizedEmail,
    NormalizedPhone,
    clean_text,
    linkedin_url,
    normalize_domain,
    normalize_email,
    normalize_linkedin,
    normalize_phone,
)

_TEXTS = {
    name: Lead._meta.get_field(name).max_length or 0
    for name in (
        "title", "seniority", "job_function", "company_name", "industry", "city", "region", "country",
    )
}  # fmt: skip
_BLANKS = {"-", "--", "n/a", "#n/a", "null", "none", "nan", "undefined", "unknown"}
_NAME_BLANKS = {"-", "--", "n/a", "#n/a"}
_NAME_LENGTH = Lead._meta.get_field("first_name").max_length or 120
_MAX_SIZE = 2_147_483_647


class RowRefused(DomainError):
    """The row cannot become a lead; the message says why."""


@dataclass(slots=True)
class ParsedRow:
    """A row that can be stored. ``contacts`` maps a channel to (display, normalized).

    ``domain_of_email`` is the company's domain as the work e-mail tells it, where the file names none.
    """

    line: int
    details: dict[str, Any]
    contacts: dict[str, tuple[str, str]] = field(default_factory=dict)
    domain_of_email: str = ""
    cells: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def parse_row(values: dict[str, str], line: int) -> ParsedRow:
    """Check the cells of one row. RowRefused when there is no usable name."""
    row = ParsedRow(line, _names(values))
    for name, length in _TEXTS.items():
        row.details[name] = _text(values.get(name, ""), name, length, row.warnings)
    row.details["icp_score"] = _score(values.get("icp_score", ""), row.warnings)
    row.details["company_size"] = _size(values.get("company_size", ""), row.warnings)
    row.details["company_domain"] = _domain(values.get("company_domain", ""), row.warnings)
    _add_linkedin(row, values.get("linkedin_url", ""))
    _add_emails(row, values)
    _add_phone(row, values.get("phone", ""))
    return row


def _names(values: dict[str, str]) -> dict[str, Any]:
    cells = {name: values.get(name, "") for name in ("first_name", "last_name", "full_name")}
    for name, cell in cells.items():
        if len(cell) > 4 * _NAME_LENGTH:
            raise RowRefused(f"The {_words(name)} is too long ({len(cell):,} characters).")
    first, last, full = (_name(cell) for cell in cells.values())
    if full and not (first and last):
        split_first, split_last = split_full_name(full)
        first, last = first or split_first, last or split_last
    full = full or f"{first} {last}".strip()
    if not full:
        raise RowRefused("There is no name.")
    if not any(char.isalpha() for char in full):
        raise RowRefused(f"“{full[:40]}” is not a name.")
    if max(len(first), len(last)) > _NAME_LENGTH:
        raise RowRefused(f"The name is longer than {_NAME_LENGTH} characters.")
    return {"first_name": first, "last_name": last, "full_name": full[:250]}


def _name(cell: str) -> str:
    text = clean_text(cell, 4 * _NAME_LENGTH)
    return "" if text.lower() in _NAME_BLANKS else text


def _text(cell: str, name: str, length: int, warnings: list[str]) -> str:
    text = clean_text(cell, length)
    if text.lower() in _BLANKS:
        return ""
    if len(cell) > length + 20 and len(text) == length:
        warnings.append(f"The {_words(name)} was cut to {length} characters.")
    return text


def _score(cell: str, warnings: list[str]) -> int | None:
    text = clean_text(cell, 40).rstrip("% ").replace(",", ".")
    if not text or text.lower() in _BLANKS:
        return None
    try:
        score = float(text.partition("/")[0])
        if 0 <= score <= 100:
            return round(score)
    except ValueError:
        pass
    warnings.append(f"The ICP score “{text}” is not a number from 0 to 100; it was left out.")
    return None


def _size(cell: str, warnings: list[str]) -> int | None:
    """The lower end of "1,001-5,000", "10,000+" or "5k"."""
    text = clean_text(cell, 60)
    if not text or text.lower() in _BLANKS:
        return None
    if found := re.match(r"[~><≥≤\s]*(\d{1,3}(?:[,.'’ ]\d{3})+|\d+)(\s?k\b)?", text.lower()):
        size = int(re.sub(r"\D", "", found[1])) * (1000 if found[2] else 1)
        if size <= _MAX_SIZE:
            return size
    warnings.append(f"“{text}” is not a number of employees; it was left out.")
    return None


def _domain(cell: str, warnings: list[str]) -> str:
    if not cell or cell.lower() in _BLANKS:
        return ""
    try:
        domain = normalize_domain(cell)
    except InvalidValue as error:
        warnings.append(f"{error.message[:-1]}; it was left out.")
        return ""
    if is_free_mail(domain):
        warnings.append(f"{domain} is a mailbox provider, not the company's domain; it was left out.")
        return ""
    return domain


def _add_linkedin(row: ParsedRow, cell: str) -> None:
    if not cell or cell.lower() in _BLANKS:
        return
    try:
        profile = normalize_linkedin(cell)
    except InvalidValue as error:
        row.warnings.append(f"LinkedIn URL left out: {error.message}")
    else:
        row.contacts[Channel.LINKEDIN_URL.value] = (linkedin_url(profile), profile)


def _add_emails(row: ParsedRow, values: dict[str, str]) -> None:
    work = list(_emails(values.get("work_email", ""), row.warnings))
    personal = list(_emails(values.get("personal_email", ""), row.warnings))
    for email in _emails(values.get("email", ""), row.warnings):
        (personal if is_free_mail(email.domain) else work).append(email)
    private = [email for email in work if is_free_mail(email.domain)]
    for channel, emails in (
        (Channel.WORK_EMAIL, [email for email in work if email not in private]),
        (Channel.PERSONAL_EMAIL, personal + private),
    ):
        if emails:
            row.contacts[channel.value] = (emails[0].display, emails[0].normalized)
            if channel is Channel.WORK_EMAIL and not row.details["company_domain"]:
                row.domain_of_email = emails[0].domain


def _emails(cell: str, warnings: list[str]) -> Iterable[NormalizedEmail]:
    """The valid addresses of a cell that may list several."""
    for part in re.split(r"[;,\s|]+", cell[:2_000]) if cell.count("@") > 1 else [cell]:
        if not part.strip() or part.strip().lower() in _BLANKS:
            continue
        try:
            yield normalize_email(part)
        except InvalidValue as error:
            warnings.append(f"E-mail left out: {error.message}")


def _add_phone(row: ParsedRow, cell: str) -> None:
    text = cell.strip().lstrip("'")
    if not text or text.lower() in _BLANKS:
        return
    if re.fullmatch(r"\d[.,]\d+e\+?\d+", text.lower()):
        row.warnings.append(f"Phone left out: the spreadsheet has shortened it to “{text[:40]}”.")
        return
    try:
        phone = _phone(text, row.details["country"])
    except InvalidValue as error:
        row.warnings.append(f"Phone left out: {error.message}")
    else:
        row.contacts[Channel.PHONE.value] = (phone.display, phone.normalized)


def _phone(text: str, country: str) -> NormalizedPhone:
    text = text.removesuffix(".0")
    try:
        return normalize_phone(text, country)
    except InvalidValue:
        # A spreadsheet takes "+49170…" for a number and drops the plus.
        if text.isascii() and text.isdigit() and len(text) >= 10:
            phone = normalize_phone(f"+{text}")
            if phone.valid:
                return phone
        raise


def _words(name: str) -> str:
    return name.replace("_", " ")
