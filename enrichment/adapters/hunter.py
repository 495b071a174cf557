"""Hunter: work e-mail addresses by name and company, verified. API v2, https://hunter.io/api-documentation/v2."""

from decimal import Decimal

from enrichment.adapters.base import WORK_EMAIL, AccountStatus, Adapter, Answer, Candidate, LeadQuery, percent
from enrichment.adapters.reading import Shape, bare_domain, linkedin_handle, present

_VERIFICATION = {
    "valid": "valid",
    "accept_all": "catch_all",
    "webmail": "risky",
    "invalid": "invalid",
    "disposable": "invalid",
}


class Hunter(Adapter):
    """A miss is free; an address found costs one credit, its repeat in the same period nothing."""

    slug = "hunter"
    name = "Hunter"
    website = "https://hunter.io"
    default_base_url = "https://api.hunter.io/v2"
    channels = frozenset({WORK_EMAIL})
    limits = ("15/second", "500/minute")
    # 202: still searching, the same call again gets the answer and is billed once. 222: the other side's
    # mail server misbehaved. 403 and 429 are the other way round than usual.
    own_codes = {
        202: "pending",
        222: "vendor_error",
        403: "rate_limited",
        429: "out_of_credit",
        451: "suppressed",
    }

    @classmethod
    def needs(cls, query: LeadQuery, channels: frozenset[str]) -> str | None:
        """A name and a company; a LinkedIn profile stands in for either."""
        if query.has_name_and_company or linkedin_handle(query.linkedin_url):
            return None
        return "needs a name and a company, or a LinkedIn URL"

    def find(self, query: LeadQuery, channels: frozenset[str]) -> Answer:
        """Ask the e-mail finder."""
        domain = bare_domain(query.company_domain)
        company = {} if domain else {"company": query.company_name}
        # The profile's slug, not its address, and only where something is missing.
        handle = "" if query.has_name_and_company else linkedin_handle(query.linkedin_url)
        params = present(**query.names, domain=domain, **company, linkedin_handle=handle)
        reply = self._ask("GET", "/email-finder", ref=query.ref, params=params)
        if reply is None:
            return Answer(vendor_cost=Decimal(0))
        shape = Shape()
        data = shape.required(shape.whole(reply.payload), "data")
        email = shape.text(data, "email")
        if not email:
            return Answer(vendor_cost=Decimal(0), shape_changed=shape.changed)
        verification = _VERIFICATION.get(
            shape.text(shape.optional(data, "verification"), "status").lower(), "unknown"
        )
        if verification == "valid" and data.get("accept_all") is True:
            # Both can be said of one address; the domain takes any, so "valid" cannot have been shown.
            verification = "catch_all"
        candidate = Candidate(
            WORK_EMAIL,
            email,
            verification,
            percent(shape.number(data, "score")),
            shape.text(data, "first_name"),
            shape.text(data, "last_name"),
        )
        return Answer((candidate,), Decimal(1), shape.changed)

    def check(self) -> AccountStatus:
        """Read the account's balance; ``credits`` is what is billed, the other counters over-count."""
        shape = Shape()
        data = shape.required(shape.whole(self._account("GET", "/account").payload), "data")
        balance = shape.optional(shape.optional(data, "requests"), "credits")
        left = shape.number(balance, "remaining")
        if left is None and (available := shape.number(balance, "available")) is not None:
            left = available - (shape.number(balance, "used") or 0)
        return AccountStatus(credits_left=None if left is None else int(left))

    def _auth(self) -> dict[str, str]:
        return {"X-API-KEY": self._key}
