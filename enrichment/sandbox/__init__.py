"""A loopback server that speaks the vendors' documented APIs about people who do not exist."""

from enrichment.sandbox.running import RunningSandbox, running_sandbox
from enrichment.sandbox.vendors import VENDORS

__all__ = ["DEFAULT_PORT", "RunningSandbox", "running_sandbox", "sandbox_base_url"]

DEFAULT_PORT = 8899


def sandbox_base_url(vendor: str, *, host: str = "127.0.0.1", port: int = DEFAULT_PORT) -> str:
    """Return what stands in place of a vendor's own base URL when the sandbox runs at host and port."""
    return f"http://{host}:{port}{VENDORS[vendor].prefix}"
