"""Decides whether a value a provider found may be used for a lead, and says in one sentence why not.

Pure: everything that is known comes in by argument. What an admin may decide is in ``Policy``
(``workspace.settings["usability"]``); the rest holds for everybody:

- A work e-mail at a domain that is not the company's is ``risky``: most often it is a former employer's, but
  companies do have several domains and parents, so an admin who accepts risky addresses gets it, marked. The same
  name under another ending (acme.de for acme.com) and a domain spelled like the company's name are the company's.
- A family name that differs is another person, even where the given name fits: a married name is rarer than a
  namesake, and writing to the wrong person costs more than a miss, which is free.
- A confidence nobody stated passes a minimum confidence; vendors that state none would otherwise never be used.
- A value refused before for this lead stays refused, so that no second provider is paid for it.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.channels import Channel
from leads.services import (
    InvalidValue,
    NormalizedEmail,
    PersonName,
    clean_text,
    fold,
    is_disposable,
    is_free_mail,
    is_role_address,
    linkedin_url,
    mailbox_of_another,
    names_agree,
    normalize_email,
    normalize_linkedin,
    normalize_phone,
    registrable_domain,
)

ChannelValue = tuple[str, str]
VERIFICATIONS = {"valid", "catch_all", "risky", "invalid", "unknown"}
IMPERSONAL_LINES = {
    "company", "fax", "headquarters", "hq", "main", "office", "pager", "premium_rate", "shared_cost", "switchboard",
    "toll_free", "voicemail", "work_hq",
}  # fmt: skip


class FoundValue(Protocol):
    """What is judged: a provider's candidate for one channel."""

    channel: str
    value: str
    verification: str
    confidence: int | None
    first_name: str
    last_name: str
    kind: str


@dataclass(frozen=True, slots=True)
class LeadFacts:
    """What is known of the lead a value is meant for."""

    first_name: str = ""
    last_name: str = ""
    full_name: str = ""
    company_name: str = ""
    company_domain: str = ""
    country: str = ""

    @property
    def name(self) -> PersonName:
        """The name to compare with."""
        return PersonName(self.first_name, self.last_name, self.full_name)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a workspace accepts. A catch-all address is accepted and marked, a risky one is not."""

    accept_catch_all: bool = True
    accept_risky: bool = False
    accept_unverified: bool = True
    minimum_confidence: int | None = None

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "Policy":
        """Read ``settings["usability"]``; what is missing or malformed keeps its default."""
        stored = settings.get("usability")
        stored = stored if isinstance(stored, Mapping) else {}
        flags = {
            name: stored[name]
            for name in ("accept_catch_all", "accept_risky", "accept_unverified")
            if isinstance(stored.get(name), bool)
        }
        minimum = stored.get("minimum_confidence")
        if isinstance(minimum, int) and not isinstance(minimum, bool) and 0 <= minimum <= 100:
            flags["minimum_confidence"] = minimum
        return cls(**flags)


@dataclass(frozen=True, slots=True)
class Known:
    """Values (channel, normalized) already decided on: retired or refused for this lead, suppressed, another lead's."""

    retired: Set[ChannelValue] = field(default_factory=frozenset)
    refused: Set[ChannelValue] = field(default_factory=frozenset)
    suppressed: Set[ChannelValue] = field(default_factory=frozenset)
    taken: Set[ChannelValue] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Verdict:
    """``normalized`` and ``display`` are "" only for a malformed value; ``message`` is "" when usable."""

    usable: bool
    normalized: str = ""
    display: str = ""
    verification: str = "unknown"
    confidence: int | None = None
    reason_code: str = ""
    message: str = ""


class _Refused(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class _Value:
    """A candidate in normal form, with the checks' findings so far."""

    channel: Channel
    normalized: str
    display: str
    verification: str
    confidence: int | None
    email: NormalizedEmail | None = None
    line: str = ""
    # Why the value counts as risky though the provider did not say so.
    doubt: tuple[str, str] = ("", "")


def judge(candidate: FoundValue, lead: LeadFacts, policy: Policy, known: Known) -> Verdict:
    """Whether ``candidate`` may be used for ``lead``. Never raises, whatever a vendor sent."""
    try:
        value = _normalized(candidate, lead)
    except InvalidValue as error:
        return Verdict(usable=False, reason_code=error.code, message=error.message)
    try:
        _check_known(value, known)
        _check_kind(value)
        _check_person(candidate, value, lead)
        _check_company(value, lead)
        _check_verification(value, policy)
        if (value.channel.value, value.normalized) in known.refused:
            raise _Refused("refused_before", "This value was already refused for this lead.")
    except _Refused as refusal:
        return _verdict(value, refusal)
    return _verdict(value, None)


def _verdict(value: _Value, refusal: _Refused | None) -> Verdict:
    return Verdict(
        usable=refusal is None,
        normalized=value.normalized,
        display=value.display,
        verification=value.verification,
        confidence=value.confidence,
        reason_code=refusal.code if refusal else "",
        message=str(refusal) if refusal else "",
    )


def _normalized(candidate: FoundValue, lead: LeadFacts) -> _Value:
    channel = Channel(candidate.channel)
    verification = str(candidate.verification or "unknown")
    verification = verification if verification in VERIFICATIONS else "unknown"
    confidence = candidate.confidence
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 100:
        confidence = None
    confidence = None if confidence is None else round(confidence)
    if channel in (Channel.WORK_EMAIL, Channel.PERSONAL_EMAIL):
        email = normalize_email(candidate.value)
        return _Value(channel, email.normalized, email.display, verification, confidence, email=email)
    if channel is Channel.PHONE:
        phone = normalize_phone(candidate.value, lead.country)
        line = str(getattr(candidate, "kind", "") or "").lower()
        if not phone.valid and verification == "valid":
            verification = "unknown"  # possible by its length, but no such range is in use that we know of
        kind = phone.kind if phone.kind in IMPERSONAL_LINES else line
        return _Value(channel, phone.normalized, phone.display, verification, confidence, line=kind)
    profile = normalize_linkedin(candidate.value)
    return _Value(channel, profile, linkedin_url(profile), verification, confidence)


def _check_known(value: _Value, known: Known) -> None:
    key = (value.channel.value, value.normalized)
    if key in known.suppressed:
        raise _Refused("suppressed", "This person or company is suppressed.")
    if key in known.retired:
        raise _Refused("retired_before", "This value bounced or was marked invalid before.")
    if key in known.taken:
        raise _Refused("taken", "Another lead already has this value.")


def _check_kind(value: _Value) -> None:
    if value.email:
        _check_mailbox(value, value.email)
    if value.line in IMPERSONAL_LINES:
        raise _Refused("not_personal", "This is a company line, not the person's own number.")


def _check_mailbox(value: _Value, email: NormalizedEmail) -> None:
    if is_role_address(email.local):
        raise _Refused("role_address", f"{email.local}@ is shared by a team, not one person's address.")
    if is_disposable(email.domain):
        raise _Refused("disposable", f"{email.domain} gives out throw-away addresses.")
    if value.channel is Channel.WORK_EMAIL and is_free_mail(email.domain):
        raise _Refused("free_mail", f"{email.domain} is a private mailbox, not a work address.")


def _check_person(candidate: FoundValue, value: _Value, lead: LeadFacts) -> None:
    theirs = PersonName(clean_text(candidate.first_name, 120), clean_text(candidate.last_name, 120))
    agree = names_agree(lead.name, theirs)
    if agree is False:
        raise _Refused("other_person", f"Belongs to another person: {theirs.display}.")
    if agree is None and value.email and mailbox_of_another(value.email.local, lead.name):
        raise _Refused("other_person", f"Looks like another person's address: {value.display}.")


def _check_company(value: _Value, lead: LeadFacts) -> None:
    if value.email is None:
        return
    own = lead.company_domain and is_company_domain(value.email.domain, lead)
    if value.channel is Channel.PERSONAL_EMAIL and own:
        raise _Refused("work_address", "This is an address at the company, not a personal one.")
    if value.channel is Channel.WORK_EMAIL and lead.company_domain and not own:
        value.doubt = (
            "other_company",
            f"At {value.email.domain}, but the company's domain is {lead.company_domain}.",
        )
        if value.verification != "invalid":
            value.verification = "risky"


def is_company_domain(domain: str, lead: LeadFacts) -> bool:
    """Whether an address's domain can be the lead's company's."""
    theirs, ours = registrable_domain(domain), registrable_domain(lead.company_domain)
    if theirs == ours:
        return True
    label = _compact(theirs.partition(".")[0])
    return len(label) > 2 and label in (_compact(ours.partition(".")[0]), _compact(lead.company_name))


def _compact(text: str) -> str:
    return "".join(char for char in fold(text) if char.isalnum())


def _check_verification(value: _Value, policy: Policy) -> None:
    if value.verification == "invalid":
        raise _Refused("invalid", "The provider itself says that this value does not work.")
    if value.verification == "risky" and not policy.accept_risky:
        code, message = value.doubt if value.doubt[0] else ("risky", "The provider calls this value risky.")
        raise _Refused(code, message)
    if value.email and value.verification == "catch_all" and not policy.accept_catch_all:
        raise _Refused("catch_all", "The domain accepts any address, so this one cannot be verified.")
    if value.email and value.verification == "unknown" and not policy.accept_unverified:
        raise _Refused("unverified", "The provider did not verify this address.")
    minimum = policy.minimum_confidence
    if minimum is not None and value.confidence is not None and value.confidence < minimum:
        raise _Refused(
            "low_confidence", f"Confidence {value.confidence}% is below the minimum of {minimum}%."
        )
