"""Holds the embedded services while something uses them, and stops them after the last user.

A user is a ``run`` or ``exec`` of this package. Each holds one shared lock. Beside it stands a *guardian*: a
small process that waits for its user's end, however that comes, ends what the user had started and left, and,
when no other user is left, stops the services that users had started (those that were up before, from a plain
manage.py say, stay up).
"""

import contextlib
import fcntl
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.embedded import postgres_server, redis_server
from core.embedded.places import open_var_dir
from core.embedded.processes import end, end_session

LEFTOVER_SECONDS = 5


@dataclass(frozen=True)
class Service:
    """One embedded server; every function takes the data directory of the installation."""

    name: str
    variable: str
    is_running: Callable[[Path], bool]
    ensure: Callable[[Path], str]
    stop: Callable[[Path], bool]

    def started_mark(self, var_dir: Path) -> Path:
        """The file that says a user started this server, so that the last user stops it."""
        return var_dir / f"{self.name.lower()}.started"


SERVICES = (
    Service(
        "Redis", "REDIS_URL", redis_server.is_running, redis_server.ensure_redis, redis_server.stop_redis
    ),
    Service(
        "PostgreSQL",
        "DATABASE_URL",
        postgres_server.is_running,
        postgres_server.ensure_postgres,
        postgres_server.stop_postgres,
    ),
)


class Holding:
    """The embedded services this process wants running, watched over by a guardian until ``close``.

    Only services whose URL is not in the environment are held. Make one early and from a process with one
    thread: the guardian is a fork of it.
    """

    def __init__(self, var_dir: Path) -> None:
        self._var_dir = open_var_dir(var_dir)
        self._services = [service for service in SERVICES if not os.environ.get(service.variable)]
        self._lock = os.open(self._var_dir / "users.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        self._guardian, self._line = _fork_guardian(self._var_dir, self._lock)

    def keep_services(self) -> None:
        """Start what does not run and put the URLs into the environment; quick when all is well."""
        for service in self._services:
            if not service.is_running(self._var_dir):
                service.started_mark(self._var_dir).touch()
            os.environ[service.variable] = service.ensure(self._var_dir)

    def guard_session(self, leader: int) -> None:
        """Have the guardian end the whole session of ``leader`` if we do not."""
        os.write(self._line, f"session {leader}\n".encode())

    def guard_process(self, pid: int) -> None:
        """Have the guardian end one process if we do not."""
        os.write(self._line, f"process {pid}\n".encode())

    def close(self) -> None:
        """Let go: when this returns, services that only we used, and users started, have stopped."""
        os.close(self._line)
        os.waitpid(self._guardian, 0)
        os.close(self._lock)


def stop_services(var_dir: Path) -> list[str]:
    """Stop the embedded services of ``var_dir`` and name those that ran."""
    return [service.name for service in SERVICES if service.stop(var_dir)]


def _fork_guardian(var_dir: Path, lock: int) -> tuple[int, int]:
    """Fork the guardian; its pid, and the pipe whose closing tells it that we are gone."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(reading)
        return pid, writing
    status = 1
    try:
        os.close(writing)
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        _watch(reading, var_dir, lock)
        status = 0
    finally:
        os._exit(status)  # never back into our parent's code


def _watch(reading: int, var_dir: Path, lock: int) -> None:
    """Read what to guard until the pipe closes, then clear up. Nothing is said: the terminal may be gone."""
    sessions: list[int] = []
    processes: list[int] = []
    with os.fdopen(reading) as line:
        for entry in line:
            kind, pid = entry.split()
            (sessions if kind == "session" else processes).append(int(pid))
    end(processes, seconds=LEFTOVER_SECONDS)
    for leader in sessions:
        end_session(leader, LEFTOVER_SECONDS)
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for service in SERVICES:
            if (mark := service.started_mark(var_dir)).exists():
                mark.unlink()
                service.stop(var_dir)
