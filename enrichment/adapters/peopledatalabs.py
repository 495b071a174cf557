"""People Data Labs: all four channels from one record of a person. https://docs.peopledatalabs.com/docs/errors."""

from decimal import Decimal
from typing import Any

from enrichment.adapters.base import (
    LINKEDIN_URL,
    PERSONAL_EMAIL,
    PHONE,
    WORK_EMAIL,
    AccountStatus,
    Adapter,
    AdapterError,
    Answer,
    Candidate,
    LeadQuery,
    Reply,
    percent,
)
from enrichment.adapters.reading import Shape, bare_domain, present, with_scheme

# The fields that can answer each channel. A match is billed even without them, so they are required.
_FIELDS = {
    WORK_EMAIL: ("work_email",),
    PERSONAL_EMAIL: ("personal_emails",),
    PHONE: ("mobile_phone", "phone_numbers"),
    LINKEDIN_URL: ("linkedin_url",),
}
# Of 10. Below six, the vendor's documentation says, the record is often another person's.
_MIN_LIKELIHOOD = 6


class PeopleDataLabs(Adapter):
    """A match costs one credit, a repeated one again; a miss is free. Nothing is checked for delivery."""

    slug = "peopledatalabs"
    name = "People Data Labs"
    website = "https://www.peopledatalabs.com"
    default_base_url = "https://api.peopledatalabs.com"
    channels = frozenset(_FIELDS)
    limits = ("1000/minute",)

    @classmethod
    def needs(cls, query: LeadQuery, channels: frozenset[str]) -> str | None:
        """Something that points to one person."""
        known = (query.linkedin_url, query.work_email, query.personal_email, query.phone)
        if any(known) or query.has_name_and_company:
            return None
        return "needs a LinkedIn URL, an e-mail address, a phone, or a name and a company"

    def find(self, query: LeadQuery, channels: frozenset[str]) -> Answer:
        """Ask for a person who has at least one of the wanted fields."""
        names = query.names
        required = [field for channel in sorted(channels) for field in _FIELDS[channel]]
        params = present(
            first_name=names.get("first_name", ""),
            last_name=names.get("last_name", ""),
            name=names.get("full_name", ""),
            company=bare_domain(query.company_domain) or query.company_name,
            location=query.country,
            profile=query.linkedin_url,
            email=query.work_email or query.personal_email,
            phone=query.phone,
            required=" OR ".join(required),
            min_likelihood=str(_MIN_LIKELIHOOD),
        )
        reply = self._ask("GET", "/v5/person/enrich", ref=query.ref, params=params)
        if reply is None:
            return Answer(vendor_cost=Decimal(0))
        return _answer(reply, channels)

    def check(self) -> AccountStatus:
        """Ask about nobody: a working key gets "bad request", which is free."""
        response = self._send("GET", "/v5/person/enrich")
        if response.status != 400 and self._read(response) is None:
            raise AdapterError("misconfigured", f"nothing of {self.name} answers at this address")
        left = Reply(None, response.headers).header_number("x-totallimit-remaining")
        return AccountStatus(credits_left=None if left is None else int(left))

    def _auth(self) -> dict[str, str]:
        return {"X-Api-Key": self._key}


def _answer(reply: Reply, channels: frozenset[str]) -> Answer:
    shape = Shape()
    whole = shape.whole(reply.payload)
    data = shape.required(whole, "data")
    hidden = {name for channel in channels for name in _FIELDS[channel] if data.get(name) is True}
    # Plans without contact data say only whether a field exists: true or false in place of its value.
    data = {name: value for name, value in data.items() if not isinstance(value, bool)}
    likelihood = shape.number(whole, "likelihood")
    candidates = _candidates(shape, data, percent(likelihood * 10) if likelihood is not None else None)
    wanted = tuple(candidate for candidate in candidates if candidate.channel in channels)
    if hidden and not wanted:
        # Every further lead would be billed for such an answer, so this stops the provider.
        raise AdapterError("key_rejected", "the account's plan does not include contact data")
    spent = reply.header_number("x-call-credits-spent")
    left = reply.header_number("x-totallimit-remaining")
    return Answer(
        wanted,
        Decimal(1 if data else 0) if spent is None else spent,
        shape.changed,
        None if left is None else int(left),
    )


def _candidates(shape: Shape, data: dict[str, Any], confidence: int | None) -> list[Candidate]:
    first, last = shape.text(data, "first_name"), shape.text(data, "last_name")
    if not (first and last):
        first, _, last = shape.text(data, "full_name").partition(" ")
    about: dict[str, Any] = {"confidence": confidence, "first_name": first, "last_name": last}
    current = [e for e in shape.objects(data, "emails") if e.get("type") == "current_professional"]
    email = shape.text(data, "work_email") or next((shape.text(e, "address") for e in current), "")
    found = [Candidate(WORK_EMAIL, email, **about)] if email else []
    found += [Candidate(PERSONAL_EMAIL, value, **about) for value in shape.texts(data, "personal_emails")]
    mobile = shape.text(data, "mobile_phone")
    found += [Candidate(PHONE, mobile, kind="mobile", **about)] if mobile else []
    others = [number for number in shape.texts(data, "phone_numbers") if number != mobile]
    found += [Candidate(PHONE, number, **about) for number in others]
    if profile := with_scheme(shape.text(data, "linkedin_url")):
        found.append(Candidate(LINKEDIN_URL, profile, **about))
    return found
