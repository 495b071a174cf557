"""Where the embedded services keep their files, and the locks that let one process at a time change them."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

PROJECT_DIR = Path(__file__).resolve().parents[2]
# A socket's path may have 107 bytes on Linux, 103 on macOS; the longest name in it is ".s.PGSQL.5432.lock".
LONGEST_SOCKET_DIR = 80


class EmbeddedServiceError(RuntimeError):
    """An embedded service cannot be started or stopped; the message says why and what to do."""


def default_var_dir() -> Path:
    """VAR_DIR from the environment, else ``var`` in the project."""
    return Path(os.environ.get("VAR_DIR") or PROJECT_DIR / "var").resolve()


def open_var_dir(var_dir: Path) -> Path:
    """Create ``var_dir`` when it is not there and return it with links resolved."""
    var_dir = var_dir.resolve()
    var_dir.mkdir(parents=True, exist_ok=True)
    return var_dir


@contextlib.contextmanager
def exclusive(var_dir: Path, name: str) -> Iterator[None]:
    """Hold the lock ``name`` of ``var_dir``; the kernel drops it when the process dies, however it dies."""
    descriptor = os.open(var_dir / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def socket_dir(service_dir: Path) -> Path:
    """The directory for a service's Unix socket: its own, or a short one when its path is too long."""
    if len(os.fsencode(service_dir)) <= LONGEST_SOCKET_DIR:
        return service_dir
    digest = hashlib.sha256(os.fsencode(service_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"headwater-{os.getuid()}-{digest}"


def drop_socket_dir(service_dir: Path) -> None:
    """Remove the short directory of a service that has stopped; its own stays."""
    if (short := socket_dir(service_dir)) != service_dir:
        shutil.rmtree(short, ignore_errors=True)


def make_private(directory: Path, owner: int, group: int) -> None:
    """Make ``directory`` exist, closed to everyone but ``owner``; refuse one that somebody else put there."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.lstat()
    if directory.is_symlink() or found.st_uid not in (os.getuid(), owner):
        raise EmbeddedServiceError(
            f"{directory} belongs to user id {found.st_uid}, not to you: remove it or run as its owner."
        )
    if (found.st_uid, found.st_gid) != (owner, group):
        os.chown(directory, owner, group)
    directory.chmod(0o700)


def last_lines(log: Path, count: int = 12) -> str:
    """The end of a log file, for an error message."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
    except OSError:
        return "(no log)"
