"""The environment of a test run, set before Django's settings are read (loaded by pytest's -p)."""

import os
import re
from pathlib import Path

os.environ.setdefault("TESTING", "1")
os.environ.setdefault("ALLOW_PRIVATE_HOSTS", "1")
os.environ.setdefault("SECRET_KEY", "tests-only-secret-key-of-no-value-anywhere-else")
os.environ.setdefault("FIELD_ENCRYPTION_KEYS", "dGVzdHMtb25seS1maWVsZC1lbmNyeXB0aW9uLWtleS4=")
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


def redis_url_of_this_worker() -> str:
    """A Redis database of this test process's own: number 0 is the running product's, tests empty theirs."""
    url = os.environ.get("REDIS_URL", "")
    if not url:
        from core.embedded import redis_url

        url = redis_url(Path(os.environ.get("VAR_DIR") or Path(__file__).resolve().parent.parent / "var"))
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    number = 2 + int(worker.removeprefix("gw")) if worker else 1
    if url.startswith("unix:"):
        return re.sub(r"[?&]db=\d+", "", url) + f"?db={number}"
    return re.sub(r"(://[^/?]+)(/\d*)?", rf"\1/{number}", url, count=1)


os.environ["REDIS_URL"] = redis_url_of_this_worker()
