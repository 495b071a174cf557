"""Stands in for Hunter's API v2."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from enrichment.sandbox.coverage import Record
from enrichment.sandbox.people import Search
from enrichment.sandbox.vendors.base import Account, Ask, Said, Vendor

_STATUS = {"valid": "valid", "catch_all": "accept_all", "invalid": "invalid", "unsure": "unknown"}


class Hunter(Vendor):
    """E-mail finder and account."""

    slug = "hunter"
    prefix = "/hunter/v2"
    find_path = ("GET", "/email-finder")
    account_path = ("GET", "/account")
    median_ms = 480
    limits: Mapping[int, int] = {1: 15, 60: 500}

    def key(self, ask: Ask) -> str:
        """Query, own header or bearer token."""
        bearer = ask.headers.get("authorization", "").removeprefix("Bearer ")
        return ask.query.get("api_key") or ask.headers.get("x-api-key") or bearer

    def search(self, ask: Ask) -> Search | None:
        """A name and a company; the LinkedIn handle stands in for either."""
        asked = ask.query
        search = Search(
            asked.get("first_name", ""),
            asked.get("last_name", ""),
            asked.get("full_name", ""),
            asked.get("company", ""),
            asked.get("domain", ""),
            asked.get("linkedin_handle", ""),
        )
        named = search.full_name or (search.first_name and search.last_name)
        complete = (named and (search.domain or search.company)) or search.linkedin_url
        return search if complete else None

    def found(self, ask: Ask, record: Record, account: Account) -> Said:
        """The finder gives an address with its verification, or null."""
        if not record.work_email:
            return self.missed(ask)
        account.used += 1
        now = datetime.now(UTC)
        data = {
            "first_name": record.first_name,
            "last_name": record.last_name,
            "email": record.work_email,
            "score": record.score,
            "domain": record.domain,
            "accept_all": record.email_state == "catch_all",
            "position": record.title,
            "twitter": None,
            "linkedin_url": None,
            "phone_number": None,
            "company": record.company,
            "source_type": "generated",
            "sources": [
                {
                    "domain": record.domain,
                    "uri": f"https://{record.domain}/team",
                    "extracted_on": (now - timedelta(days=300)).date().isoformat(),
                    "last_seen_on": (now - timedelta(days=20)).date().isoformat(),
                    "still_on_page": True,
                }
            ],
            "verification": {"date": now.date().isoformat(), "status": _STATUS[record.email_state]},
        }
        return Said(200, {"data": data, "meta": _meta(ask)}, "found")

    def missed(self, ask: Ask) -> Said:
        """A success without an address."""
        data = {
            "first_name": ask.query.get("first_name"),
            "last_name": ask.query.get("last_name"),
            "email": None,
            "score": None,
            "domain": ask.query.get("domain"),
            "accept_all": None,
            "position": None,
            "twitter": None,
            "linkedin_url": None,
            "phone_number": None,
            "company": ask.query.get("company"),
            "sources": [],
            "verification": {"date": None, "status": None},
        }
        return Said(200, {"data": data, "meta": _meta(ask)}, "no_match")

    def account(self, ask: Ask, account: Account, *, empty: bool) -> Said:
        """The balance, in floats."""
        total = 0 if empty else self.credits
        used = float(account.used)
        data = {
            "first_name": "Demo",
            "last_name": "Admin",
            "email": "admin@example.com",
            "plan_name": "Starter",
            "plan_level": 1,
            "reset_date": (datetime.now(UTC) + timedelta(days=14)).date().isoformat(),
            "requests": {
                "credits": {"used": used, "available": float(total), "remaining": max(0.0, total - used)},
                "searches": {"used": account.used * 2, "available": total},
                "verifications": {"used": account.used, "available": total},
            },
        }
        return Said(200, {"data": data}, "account")

    def error(self, status: int, message: str, *, kind: str) -> Said:
        """Errors are a list."""
        return Said(status, {"errors": [{"id": kind, "code": status, "details": message}]}, kind)

    def incomplete(self) -> Said:
        """Wrong parameters."""
        return self.error(400, "You are missing the domain parameter", kind="wrong_params")

    def key_rejected(self) -> Said:
        """The documented words."""
        return self.error(401, "No user found for the API key supplied", kind="authentication_failed")

    def out_of_credit(self) -> Said:
        """429 is the used-up plan …"""
        return self.error(429, "You have reached the number of searches of your plan", kind="usage_exceeded")

    def rate_limited(self, seconds: int = 0) -> Said:
        """… and 403 is the rate limit."""
        return self.error(403, "You have reached the rate limit of this endpoint", kind="rate_limit_reached")

    def specials(self) -> dict[str, Said]:
        """Still searching, verification failed, a person who objected, and a valid address that nobody checked."""
        return {
            "pending": Said(202, {"data": {"email": None}, "meta": {}}, "pending"),
            "verification_failed": self.error(222, "The SMTP server misbehaved", kind="verification_failed"),
            "suppressed": self.error(451, "This person asked us not to process them", kind="claimed_email"),
        }


def _meta(ask: Ask) -> dict[str, Any]:
    names = ("first_name", "last_name", "full_name", "domain", "company", "linkedin_handle", "max_duration")
    return {"params": {name: ask.query.get(name) for name in names}}
