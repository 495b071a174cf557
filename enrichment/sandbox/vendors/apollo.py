"""Stands in for Apollo's REST API."""

from collections.abc import Mapping
from typing import Any

from enrichment.sandbox.coverage import Record
from enrichment.sandbox.people import Search
from enrichment.sandbox.vendors.base import Account, Ask, Said, Vendor, stable_id

_STATUS = {"valid": "verified", "catch_all": "guessed", "invalid": "unavailable", "unsure": "unverified"}


class Apollo(Vendor):
    """People match and the health of a key."""

    slug = "apollo"
    prefix = "/apollo/api/v1"
    find_path = ("POST", "/people/match")
    account_path = ("GET", "/auth/health")
    median_ms = 350
    limits: Mapping[int, int] = {60: 1000}

    def key(self, ask: Ask) -> str:
        """Own header or OAuth token."""
        return ask.headers.get("x-api-key") or ask.headers.get("authorization", "").removeprefix("Bearer ")

    def search(self, ask: Ask) -> Search | None:
        """Inputs are read from the query string only; none of them is required."""
        asked = ask.query
        return Search(
            asked.get("first_name", ""),
            asked.get("last_name", ""),
            asked.get("name", ""),
            asked.get("organization_name", ""),
            asked.get("domain", ""),
            asked.get("linkedin_url", ""),
            asked.get("email", ""),
        )

    def found(self, ask: Ask, record: Record, account: Account) -> Said:
        """A person; phones come later by webhook and are not in here."""
        if ask.query.get("reveal_phone_number") == "true" and not ask.query.get("webhook_url"):
            return self.error(400, "Please add a valid 'webhook_url' parameter", kind="wrong_params")
        account.used += 1
        status = _STATUS[record.email_state] if record.work_email else "unavailable"
        person: dict[str, Any] = {
            "id": stable_id(record.full_name, 24),
            "first_name": record.first_name,
            "last_name": record.last_name,
            "name": record.full_name,
            "linkedin_url": record.linkedin_url.replace("https://", "http://") or None,
            "title": record.title,
            "email": record.work_email or None,
            "email_status": status,
            "extrapolated_email_confidence": 0.72 if status == "guessed" else None,
            "headline": f"{record.title} at {record.company}",
            "employment_history": [
                {
                    "organization_name": record.company,
                    "current": True,
                    "title": record.title,
                    "end_date": None,
                }
            ],
            "country": record.country,
            "organization": {"name": record.company, "primary_domain": record.domain},
            "revealed_for_current_team": True,
        }
        if ask.query.get("reveal_personal_emails") == "true":
            person["personal_emails"] = [record.personal_email] if record.personal_email else []
        return Said(
            200, {"request_id": -1039995589705121900, "person": person}, "found", self._headers(account)
        )

    def missed(self, ask: Ask) -> Said:
        """A success without a person."""
        return Said(200, {"request_id": 2039995589705121901, "person": None}, "no_match")

    def account(self, ask: Ask, account: Account, *, empty: bool) -> Said:
        """Health is a success, whoever asks."""
        return Said(200, {"healthy": True, "is_logged_in": True}, "account")

    def error(self, status: int, message: str, *, kind: str) -> Said:
        """Errors are one string."""
        return Said(status, {"error": message, "error_code": kind.upper()}, kind)

    def incomplete(self) -> Said:
        """Not reached: nothing is required."""
        return self.error(422, "Missing parameters", kind="missing_parameters")

    def key_rejected(self) -> Said:
        """Plain text, not JSON."""
        return Said(401, "Invalid access credentials.", "key_rejected")

    def out_of_credit(self) -> Said:
        """The status of a validation error."""
        return Said(422, {"error": "Insufficient credits. Please upgrade your plan."}, "out_of_credit")

    def rate_limited(self, seconds: int = 0) -> Said:
        """With the seconds to wait."""
        message = "The maximum number of api calls allowed for people/match is 1000 times per minute."
        headers = {"retry-after": str(seconds)} if seconds else {}
        return Said(429, {"message": message}, "rate_limited", headers)

    def specials(self) -> dict[str, Said]:
        """The key may not use the endpoint; an address that was not unlocked."""
        person = {
            "id": "64a7",
            "first_name": "Ada",
            "last_name": "Byron",
            "email": "email_not_unlocked@domain.com",
            "email_status": "verified",
            "linkedin_url": None,
        }
        return {
            "endpoint_refused": self.error(403, "people/match is not accessible", kind="api_inaccessible"),
            "locked_email": Said(200, {"request_id": 1, "person": person}, "locked_email"),
        }

    def _headers(self, account: Account) -> dict[str, str]:
        """A window without limit has an empty header."""
        return {
            "x-rate-limit-minute": "1000",
            "x-minute-requests-left": str(max(0, 1000 - account.used % 1000)),
            "x-rate-limit-hourly": "",
            "x-rate-limit-24-hour": "",
        }
