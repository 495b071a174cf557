"""Stands in for Prospeo's API."""

from collections.abc import Mapping
from typing import Any

from enrichment.sandbox.coverage import Record
from enrichment.sandbox.people import Search
from enrichment.sandbox.vendors.base import Account, Ask, Said, Vendor, stable_id

_STATUS = {"valid": "VERIFIED", "catch_all": "UNVERIFIED", "invalid": "UNAVAILABLE", "unsure": "UNVERIFIED"}


class Prospeo(Vendor):
    """Person enrichment and account information; nearly every error is a 400."""

    slug = "prospeo"
    prefix = "/prospeo"
    find_path = ("POST", "/enrich-person")
    account_path = ("GET", "/account-information")
    median_ms = 650
    limits: Mapping[int, int] = {1: 30, 60: 1800}

    def key(self, ask: Ask) -> str:
        """Own header."""
        return ask.headers.get("x-key", "")

    def search(self, ask: Ask) -> Search | None:
        """One identifier, or a name and a company."""
        data = ask.body.get("data") if isinstance(ask.body, dict) else None
        if not isinstance(data, dict):
            return None
        asked = {name: value for name, value in data.items() if isinstance(value, str)}
        search = Search(
            asked.get("first_name", ""),
            asked.get("last_name", ""),
            asked.get("full_name", ""),
            asked.get("company_name", ""),
            asked.get("company_website", ""),
            asked.get("linkedin_url", ""),
            asked.get("email", ""),
        )
        named = search.full_name or (search.first_name and search.last_name)
        complete = search.linkedin_url or search.email or (named and (search.company or search.domain))
        return search if complete else None

    def found(self, ask: Ask, record: Record, account: Account) -> Said:
        """A match costs one credit, ten with a mobile, and nothing the second time."""
        status = _STATUS[record.email_state] if record.work_email else "UNAVAILABLE"
        if ask.body.get("only_verified_email") and status != "VERIFIED":
            return self.missed(ask)
        if ask.body.get("only_verified_mobile") and not record.mobile:
            return self.missed(ask)
        again = record.full_name in account.people
        account.people.add(record.full_name)
        with_mobile = bool(ask.body.get("enrich_mobile") and record.mobile)
        account.used += 0 if again else 10 if with_mobile else 1
        person = {
            "person_id": stable_id(record.full_name, 8),
            "first_name": record.first_name,
            "last_name": record.last_name,
            "full_name": record.full_name,
            "linkedin_url": record.linkedin_url or None,
            "current_job_title": record.title,
            "job_history": [],
            "email": _email(record.work_email, status),
            "mobile": _mobile(record.mobile, revealed=with_mobile),
        }
        company = {"company_id": "c1", "name": record.company, "domain": record.domain}
        body = {"error": False, "free_enrichment": again, "person": person, "company": company}
        return Said(200, body, "found", self._headers(account))

    def missed(self, ask: Ask) -> Said:
        """A 400 like any other."""
        return Said(400, {"error": True, "error_code": "NO_MATCH"}, "no_match")

    def account(self, ask: Ask, account: Account, *, empty: bool) -> Said:
        """The balance."""
        left = 0 if empty else self.credits - account.used
        response = {"current_plan": "PRO", "remaining_credits": left, "used_credits": account.used}
        return Said(200, {"error": False, "response": response}, "account")

    def error(self, status: int, message: str, *, kind: str) -> Said:
        """A flag and a code."""
        return Said(status, {"error": True, "error_code": kind.upper()}, kind)

    def incomplete(self) -> Said:
        """Not enough to tell who is meant."""
        return self.error(400, "", kind="invalid_datapoints")

    def key_rejected(self) -> Said:
        """The documented code."""
        return self.error(401, "", kind="invalid_api_key")

    def out_of_credit(self) -> Said:
        """A 400 too."""
        return self.error(400, "", kind="insufficient_credits")

    def rate_limited(self, seconds: int = 0) -> Said:
        """Retry-After is not documented."""
        headers = {"x-minute-request-left": "0", "x-minute-reset-seconds": str(seconds)}
        return Said(429, {"error": True, "error_code": "RATE_LIMITED"}, "rate_limited", headers)

    def specials(self) -> dict[str, Said]:
        """An error of its own as a 400, a restricted account, and a match with nothing revealed."""
        person = {
            "first_name": "Ada",
            "last_name": "Byron",
            "linkedin_url": None,
            "email": {"status": "VERIFIED", "revealed": False, "email": "a**@example.com"},
            "mobile": {"status": "VERIFIED", "revealed": False, "mobile": "+1 202-5**-****"},
        }
        masked = {"error": False, "free_enrichment": False, "person": person, "company": None}
        return {
            "internal_error": self.error(400, "", kind="internal_error"),
            "account_restricted": self.error(403, "", kind="account_restricted"),
            "masked": Said(200, masked, "masked"),
        }

    def _headers(self, account: Account) -> dict[str, str]:
        return {
            "x-daily-request-left": "499999",
            "x-minute-request-left": "1799",
            "x-second-rate-limit": "30",
        }


def _email(address: str, status: str) -> dict[str, Any]:
    revealed = bool(address) and status != "UNAVAILABLE"
    return {
        "status": status,
        "revealed": revealed,
        "email": address if revealed else None,
        "verification_method": "SMTP" if status == "VERIFIED" else None,
        "email_mx_provider": "Google",
    }


def _mobile(number: str, *, revealed: bool) -> dict[str, Any]:
    """A number that was not asked for is shown masked."""
    if not number:
        return {"status": None, "revealed": False, "mobile": None}
    shown = number if revealed else f"{number[:5]}***-****"
    return {"status": "VERIFIED", "revealed": revealed, "mobile": shown, "mobile_international": shown}
