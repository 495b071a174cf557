"""Stands in for People Data Labs' API v5."""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from enrichment.sandbox.coverage import Record
from enrichment.sandbox.people import Search
from enrichment.sandbox.vendors.base import Account, Ask, Said, Vendor, stable_id

_CONTACT_FIELDS = ("work_email", "personal_emails", "mobile_phone", "phone_numbers", "emails")


class PeopleDataLabs(Vendor):
    """Person enrichment; there is no account call."""

    slug = "peopledatalabs"
    prefix = "/pdl"
    find_path = ("GET", "/v5/person/enrich")
    account_path = ("GET", "")
    median_ms = 260
    limits: Mapping[int, int] = {60: 1000}

    def key(self, ask: Ask) -> str:
        """Own header or query."""
        return ask.headers.get("x-api-key") or ask.query.get("api_key", "")

    def search(self, ask: Ask) -> Search | None:
        """Something that is one person's, or a name with something beside it."""
        asked = ask.query
        company = asked.get("company", "")
        domain = company if "." in company and " " not in company else ""
        search = Search(
            asked.get("first_name", ""),
            asked.get("last_name", ""),
            asked.get("name", ""),
            "" if domain else company,
            domain,
            asked.get("profile", ""),
            asked.get("email", ""),
        )
        named = search.full_name or (search.first_name and search.last_name)
        beside = any(asked.get(name) for name in ("location", "company", "school"))
        return (
            search
            if asked.get("phone") or search.linkedin_url or search.email or (named and beside)
            else None
        )

    def found(self, ask: Ask, record: Record, account: Account) -> Said:
        """A match is billed; what it must have and how sure it must be can be asked for."""
        data = _data(record)
        likelihood = record.score // 10
        least = ask.query.get("min_likelihood", "2")
        too_weak = likelihood < (int(least) if least.isdigit() else 2)
        if too_weak or not _meets(ask.query.get("required", ""), data):
            return self.missed(ask)
        account.used += 1
        headers = self._headers(account) | {"x-call-credits-spent": "1"}
        return Said(200, {"status": 200, "likelihood": likelihood, "data": data}, "found", headers)

    def missed(self, ask: Ask) -> Said:
        """Free."""
        message = "No records were found matching your request"
        said = self.error(404, message, kind="not_found")
        return replace(said, kind="no_match", headers={"x-call-credits-spent": "0"})

    def account(self, ask: Ask, account: Account, *, empty: bool) -> Said:
        """Not reached: it has no such path."""
        return self.error(404, "Not Found", kind="not_found")

    def error(self, status: int, message: str, *, kind: str) -> Said:
        """A status and a typed error."""
        return Said(status, {"status": status, "error": {"type": kind, "message": message}}, kind)

    def incomplete(self) -> Said:
        """With the billing headers every answer has."""
        said = self.error(400, "Request contained no valid identifying data", kind="invalid_request_error")
        return replace(said, headers=self._headers(Account()))

    def key_rejected(self) -> Said:
        """The documented type."""
        return self.error(401, "Request contained a missing or invalid key", kind="authentication_error")

    def out_of_credit(self) -> Said:
        """Payment required."""
        said = self.error(402, "Account maximum reached: you have used your credits", kind="payment_required")
        return replace(said, headers={"x-totallimit-remaining": "0", "x-call-credits-spent": "0"})

    def rate_limited(self, seconds: int = 0) -> Said:
        """No Retry-After; when the window ends is a moment in UTC."""
        resets = datetime.fromtimestamp(time.time() + seconds, UTC).isoformat(timespec="seconds")
        headers = {"x-ratelimit-limit": '{"minute": 1000}', "x-ratelimit-remaining": '{"minute": 0}'}
        said = self.error(429, "Rate limit reached", kind="rate_limit_error")
        return replace(said, headers=headers | {"x-ratelimit-reset": resets})

    def specials(self) -> dict[str, Said]:
        """Plans without contact data get true and false in place of values, and are billed."""
        data = {
            "full_name": "ada byron",
            "linkedin_url": "linkedin.com/in/ada",
            "work_email": True,
            "personal_emails": True,
            "mobile_phone": True,
            "phone_numbers": False,
        }
        headers = {"x-call-credits-spent": "1", "x-totallimit-remaining": "99"}
        return {"booleans": Said(200, {"status": 200, "likelihood": 9, "data": data}, "booleans", headers)}

    def _headers(self, account: Account) -> dict[str, str]:
        return {
            "x-totallimit-remaining": str(self.credits - account.used),
            "x-lifetime-used": str(account.used),
            "x-call-credits-type": "person_enrich",
            "x-ratelimit-limit": '{"minute": 1000}',
            "x-ratelimit-remaining": '{"minute": 900}',
        }


def _data(record: Record) -> dict[str, Any]:
    """The record in the vendor's lower-case, schemeless style."""
    numbers = [number for number in (record.mobile, record.landline) if number]
    work = record.work_email or None
    personal = [record.personal_email] if record.personal_email else []
    emails = [{"address": work, "type": "current_professional"}] if work else []
    return {
        "id": f"q{stable_id(record.full_name, 20)}_0000",
        "full_name": record.full_name.lower(),
        "first_name": record.first_name.lower(),
        "last_name": record.last_name.lower(),
        "job_title": record.title.lower(),
        "job_company_name": record.company.lower(),
        "job_company_website": record.domain,
        "location_country": record.country.lower(),
        "linkedin_url": record.linkedin_url.removeprefix("https://www.") or None,
        "work_email": work,
        "personal_emails": personal,
        "emails": emails + [{"address": address, "type": "personal"} for address in personal],
        "mobile_phone": record.mobile or None,
        "phone_numbers": numbers,
    }


def _meets(required: str, data: Mapping[str, Any]) -> bool:
    """Evaluate ``work_email OR mobile_phone AND linkedin_url``; brackets are not nested here."""
    if not required:
        return True
    plain = required.replace("(", "").replace(")", "")
    return any(
        all(data.get(name.strip()) for name in choice.split(" AND ")) for choice in plain.split(" OR ")
    )
