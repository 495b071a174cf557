"""One sandbox for all adapter tests, and adapters pointed at it."""

import pytest

from core.http import HttpClient
from enrichment.adapters import LeadQuery, build_adapter
from enrichment.sandbox import running_sandbox

ADA = LeadQuery(
    ref="hw-42-7",
    first_name="Ada",
    last_name="Byron",
    full_name="Ada Byron",
    company_name="Analytical Engines",
    company_domain="analytical-engines.example",
    country="United States",
)


@pytest.fixture(scope="session")
def _running():
    with running_sandbox(seed=7, latency_scale=0) as running:
        yield running


@pytest.fixture
def sandbox(_running):
    """A sandbox that answers at once, without faults and with an empty log."""
    _running.clear_faults()
    _running.clear_log()
    return _running


@pytest.fixture(scope="session")
def http():
    with HttpClient(allow_private=True, connect_timeout=1) as client:
        yield client


@pytest.fixture
def ada():
    return ADA


@pytest.fixture
def adapter_for(sandbox, http):
    """``adapter_for("hunter")``: that adapter with a key the sandbox takes (or another one)."""

    def _adapter_for(vendor, key="demo-key-1234567890", *, base_url=None, timeout=5):
        credentials = {"api_key": key} if key is not None else {}
        return build_adapter(vendor, credentials, base_url or sandbox.base_url(vendor), http, timeout)

    return _adapter_for
