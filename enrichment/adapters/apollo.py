"""Apollo: work and personal e-mail addresses and LinkedIn profiles. https://docs.apollo.io/reference/people-enrichment.

Phones are not offered: Apollo sends them later, to a public webhook, never in the answer itself.
"""

from decimal import Decimal

from enrichment.adapters.base import (
    LINKEDIN_URL,
    PERSONAL_EMAIL,
    WORK_EMAIL,
    AccountStatus,
    Adapter,
    AdapterError,
    Answer,
    Candidate,
    LeadQuery,
    percent,
)
from enrichment.adapters.reading import Shape, bare_domain, present, with_scheme

_VERIFICATION = {
    "verified": "valid",
    "guessed": "risky",
    "extrapolated": "risky",
    "likely to engage": "risky",
}
_NO_EMAIL = frozenset({"bounced", "unavailable"})
# Stands where an address would be that the account may not see.
_PLACEHOLDER = "email_not_unlocked@"
# Apollo's terms: never ask for the personal addresses of people under the GDPR (EEA, UK, Switzerland).
_GDPR = frozenset(
    """austria belgium bulgaria croatia cyprus czechia denmark estonia finland france germany greece hungary
    iceland ireland italy latvia liechtenstein lithuania luxembourg malta netherlands norway poland portugal
    romania slovakia slovenia spain sweden switzerland uk england scotland wales
    at be bg hr cy cz dk ee fi fr de gr hu is ie it lv li lt lu mt nl no pl pt ro sk si es se ch gb""".split()  # noqa: SIM905
) | {"czech republic", "united kingdom", "great britain", "northern ireland", "the netherlands"}


class Apollo(Adapter):
    """A match costs one credit, with or without an address in it; nothing found costs nothing."""

    slug = "apollo"
    name = "Apollo"
    website = "https://www.apollo.io"
    default_base_url = "https://api.apollo.io/api/v1"
    channels = frozenset({WORK_EMAIL, PERSONAL_EMAIL, LINKEDIN_URL})
    limits = ("1000/minute",)

    @classmethod
    def needs(cls, query: LeadQuery, channels: frozenset[str]) -> str | None:
        """Something that points to one person; a name alone matches nobody."""
        if channels == {PERSONAL_EMAIL} and _under_gdpr(query):
            return "gives no personal addresses of people in Europe"
        if query.linkedin_url or query.work_email or query.personal_email or query.has_name_and_company:
            return None
        return "needs a LinkedIn URL, an e-mail address, or a name and a company"

    def find(self, query: LeadQuery, channels: frozenset[str]) -> Answer:
        """Ask the people match; its inputs go on the query string, a JSON body silently matches nobody."""
        names = query.names
        params = present(
            first_name=names.get("first_name", ""),
            last_name=names.get("last_name", ""),
            name=names.get("full_name", ""),
            organization_name=query.company_name,
            domain=bare_domain(query.company_domain),
            linkedin_url=query.linkedin_url,
            email=query.work_email or query.personal_email,
        )
        if PERSONAL_EMAIL in channels and not _under_gdpr(query):
            params["reveal_personal_emails"] = "true"
        reply = self._ask("POST", "/people/match", ref=query.ref, params=params)
        if reply is None:
            return Answer(vendor_cost=Decimal(0))
        shape = Shape()
        whole = shape.whole(reply.payload)
        person = shape.optional(whole, "person")
        shape.changed |= "person" not in whole
        if not person:
            return Answer(vendor_cost=Decimal(0), shape_changed=shape.changed)
        candidates = _candidates(shape, person)
        wanted = tuple(candidate for candidate in candidates if candidate.channel in channels)
        return Answer(wanted, Decimal(1), shape.changed)

    def check(self) -> AccountStatus:
        """Ask whether the key is logged in; the answer is a success either way."""
        shape = Shape()
        health = shape.whole(self._account("GET", "/auth/health").payload)
        if health.get("is_logged_in") is not True:
            raise AdapterError("key_rejected")
        return AccountStatus()

    def _auth(self) -> dict[str, str]:
        return {"X-Api-Key": self._key, "Cache-Control": "no-cache"}


def _candidates(shape: Shape, person: dict) -> list[Candidate]:
    name = {"first_name": shape.text(person, "first_name"), "last_name": shape.text(person, "last_name")}
    found = []
    email, status = shape.text(person, "email"), shape.text(person, "email_status").lower()
    if email and status not in _NO_EMAIL and not email.lower().startswith(_PLACEHOLDER):
        share = shape.number(person, "extrapolated_email_confidence")
        confidence = percent(share * 100) if share is not None else None
        found.append(Candidate(WORK_EMAIL, email, _VERIFICATION.get(status, "unknown"), confidence, **name))
    found += [Candidate(PERSONAL_EMAIL, value, **name) for value in shape.texts(person, "personal_emails")]
    if profile := with_scheme(shape.text(person, "linkedin_url")):
        found.append(Candidate(LINKEDIN_URL, profile, **name))
    return found


def _under_gdpr(query: LeadQuery) -> bool:
    return query.country.strip().lower() in _GDPR
