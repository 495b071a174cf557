"""The secrets of an installation that was given none: made once, kept in ``VAR_DIR/secrets.env`` (0600)."""

import base64
import os
import secrets
from pathlib import Path

from core.embedded.places import exclusive, open_var_dir

NAMES = ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS")


def ensure_secrets(var_dir: Path) -> Path | None:
    """Write ``secrets.env``, which settings read, unless it is there; None when the environment has them."""
    if all(os.environ.get(name) for name in NAMES):
        return None
    target = open_var_dir(var_dir) / "secrets.env"
    with exclusive(target.parent, "secrets"):
        if not target.exists():
            unfinished = target.with_suffix(".unfinished")
            unfinished.unlink(missing_ok=True)
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write("# Back this up: without it the stored provider keys cannot be read.\n")
                file.write(f"SECRET_KEY={secrets.token_urlsafe(50)}\n")
                file.write(f"FIELD_ENCRYPTION_KEYS={base64.urlsafe_b64encode(os.urandom(32)).decode()}\n")
            unfinished.rename(target)
    return target
