"""The vendors that can be asked, by slug; nothing here knows a model or a database."""

from collections.abc import Mapping

from core.http import HttpClient
from enrichment.adapters.apollo import Apollo
from enrichment.adapters.base import (
    RETRY,
    AccountStatus,
    Adapter,
    AdapterError,
    Answer,
    Candidate,
    LeadQuery,
)
from enrichment.adapters.hunter import Hunter
from enrichment.adapters.peopledatalabs import PeopleDataLabs
from enrichment.adapters.prospeo import Prospeo

__all__ = [
    "ADAPTERS",
    "RETRY",
    "AccountStatus",
    "Adapter",
    "AdapterError",
    "Answer",
    "Candidate",
    "LeadQuery",
    "build_adapter",
]

ADAPTERS: dict[str, type[Adapter]] = {
    adapter.slug: adapter for adapter in (Hunter, Apollo, PeopleDataLabs, Prospeo)
}


def build_adapter(
    vendor: str, credentials: Mapping[str, str], base_url: str | None, http: HttpClient, timeout: float
) -> Adapter:
    """Return the adapter of a known vendor (a key of ADAPTERS); ``timeout`` is in seconds per call."""
    return ADAPTERS[vendor](credentials=credentials, base_url=base_url, http=http, timeout=timeout)
