"""Prospeo: work e-mail addresses, mobile numbers and LinkedIn profiles. https://prospeo.io/api-docs/enrich-person."""

import re
from decimal import Decimal
from typing import Any

from core.http import Response
from enrichment.adapters.base import (
    LINKEDIN_URL,
    NO_MATCH,
    PHONE,
    WORK_EMAIL,
    AccountStatus,
    Adapter,
    Answer,
    Candidate,
    LeadQuery,
)
from enrichment.adapters.reading import Shape, bare_domain, present, with_scheme

# Nearly everything, a miss too, comes with status 400; only this code tells what it is.
_CODES = {
    "NO_MATCH": NO_MATCH,
    "INSUFFICIENT_CREDITS": "out_of_credit",
    "INVALID_API_KEY": "key_rejected",
    "ACCOUNT_RESTRICTED": "key_rejected",
    "RATE_LIMITED": "rate_limited",
    "INTERNAL_ERROR": "vendor_error",
    "INVALID_DATAPOINTS": "refused",
    "INVALID_REQUEST": "refused",
}
_VERIFICATION = {"VERIFIED": "valid", "UNVERIFIED": "unknown"}
_NO_EMAIL = "UNAVAILABLE"


class Prospeo(Adapter):
    """A match costs one credit, with a mobile number ten; a miss and the same person again nothing."""

    slug = "prospeo"
    name = "Prospeo"
    website = "https://prospeo.io"
    default_base_url = "https://api.prospeo.io"
    channels = frozenset({WORK_EMAIL, PHONE, LINKEDIN_URL})
    # The smallest plan's; keys of larger plans may do more.
    limits = ("5/second", "300/minute")

    @classmethod
    def needs(cls, query: LeadQuery, channels: frozenset[str]) -> str | None:
        """Something that points to one person."""
        if query.linkedin_url or query.work_email or query.personal_email or query.has_name_and_company:
            return None
        return "needs a LinkedIn URL, an e-mail address, or a name and a company"

    def find(self, query: LeadQuery, channels: frozenset[str]) -> Answer:
        """Ask once; a mobile number, ten times as dear, only when a phone is wanted."""
        body = {
            # Where one thing alone is wanted, a match without it is turned into a free miss.
            "only_verified_email": channels == {WORK_EMAIL},
            "enrich_mobile": PHONE in channels,
            "only_verified_mobile": channels == {PHONE},
            "data": present(
                **query.names,
                company_name=query.company_name,
                company_website=bare_domain(query.company_domain),
                linkedin_url=query.linkedin_url,
                email=query.work_email or query.personal_email,
            ),
        }
        reply = self._ask("POST", "/enrich-person", ref=query.ref, json=body)
        if reply is None:
            return Answer(vendor_cost=Decimal(0))
        shape = Shape()
        whole = shape.whole(reply.payload)
        candidates = _candidates(shape, shape.required(whole, "person"))
        price = 10 if any(c.channel == PHONE for c in candidates) else 1 if whole.get("person") else 0
        wanted = tuple(candidate for candidate in candidates if candidate.channel in channels)
        return Answer(wanted, Decimal(0 if whole.get("free_enrichment") is True else price), shape.changed)

    def check(self) -> AccountStatus:
        """Read the account's balance."""
        shape = Shape()
        reply = self._account("GET", "/account-information")
        left = shape.number(shape.required(shape.whole(reply.payload), "response"), "remaining_credits")
        return AccountStatus(credits_left=None if left is None else int(left))

    def _auth(self) -> dict[str, str]:
        return {"X-KEY": self._key}

    def _code(self, status: int, response: Response) -> str:
        told = re.search(r'"error_code"\s*:\s*"([A-Z_]+)"', response.text()) if status >= 400 else None
        return _CODES.get(told[1], "refused") if told and status < 500 else super()._code(status, response)

    def _refusal(self, payload: dict[str, Any]) -> str:
        if payload.get("error") is True:
            return _CODES.get(str(payload.get("error_code")), "refused")
        return super()._refusal(payload)


def _candidates(shape: Shape, person: dict[str, Any]) -> list[Candidate]:
    name = {"first_name": shape.text(person, "first_name"), "last_name": shape.text(person, "last_name")}
    email, mobile = shape.optional(person, "email"), shape.optional(person, "mobile")
    status = shape.text(email, "status").upper()
    found = []
    # What is not revealed is a masked preview of the value.
    if email.get("revealed") is True and status != _NO_EMAIL and (value := shape.text(email, "email")):
        found.append(Candidate(WORK_EMAIL, value, _VERIFICATION.get(status, "unknown"), **name))
    if mobile.get("revealed") is True and (value := shape.text(mobile, "mobile")):
        verified = "valid" if shape.text(mobile, "status").upper() == "VERIFIED" else "unknown"
        found.append(Candidate(PHONE, value, verified, kind="mobile", **name))
    if profile := with_scheme(shape.text(person, "linkedin_url")):
        found.append(Candidate(LINKEDIN_URL, profile, **name))
    return found
