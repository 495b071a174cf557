"""Keeps the processes of a Procfile running: one terminal, restarts for what dies, nothing left at the end.

Each process leads a session of its own, so that a signal from the terminal reaches only the supervisor, and
everything that a process forked can be found and ended. Other Procfile runners stop everything when one
process dies; here a new worker takes a dead one's place a moment later (RQ's leave when Redis restarts).
"""

import contextlib
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from core.embedded.holding import Holding
from core.embedded.processes import end_with_parent, is_alive, kill_session, send

TICK_SECONDS = 0.25
STOP_SECONDS = 10
STEADY_SECONDS = 10  # a process that lived this long is started again at once
LONGEST_WAIT = 10.0
COLOURS = (36, 33, 32, 35, 34, 31)
# Bits of a process's mask of blocked signals, by which a make that handles a SIGINT or SIGHUP is told.
MAKE_INTERRUPTED = (1 << (signal.SIGINT - 1)) | (1 << (signal.SIGHUP - 1))


@dataclass
class Process:
    """One line of the Procfile and the operating-system process that runs it now."""

    name: str
    command: str
    restart: bool = True
    stop_last: bool = False
    popen: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float | None = 0.0
    wait: float = 0.0
    returncode: int | None = None
    tail: bytes = field(default=b"", repr=False)


def read_procfile(path: Path) -> dict[str, str]:
    """The commands of a Procfile by name."""
    lines = (re.match(r"^([\w-]+):\s*(\S.*)$", line) for line in path.read_text().splitlines())
    return {found[1]: found[2] for found in lines if found}


class Supervisor:
    """Starts processes, shows what they print, restarts those that end, and stops them all on a signal."""

    def __init__(self, holding: Holding, directory: Path) -> None:
        self._holding = holding
        self._directory = directory
        self._selector = selectors.DefaultSelector()
        self._processes: list[Process] = []
        self._signals = 0
        self._parent = os.getppid()
        self._make_was_interrupted = False
        self._width = 9
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    @property
    def stopping(self) -> bool:
        """Whether somebody asked us to end."""
        return self._signals > 0

    def add(self, name: str, command: str, *, restart: bool = True, stop_last: bool = False) -> Process:
        """Have ``command`` run as ``name`` from the next turn on, until the others ended if ``stop_last``."""
        process = Process(name, command, restart=restart, stop_last=stop_last)
        self._processes.append(process)
        self._width = max(self._width, len(name))
        return process

    def run_once(self, name: str, command: str) -> bool:
        """Run ``command`` to its end; whether it succeeded and nobody asked us to stop."""
        process = self.add(name, command, restart=False)
        while process.returncode is None and not self.stopping:
            self._turn()
        return process.returncode == 0 and not self.stopping

    def run(self, on_tick: Callable[[], None]) -> None:
        """Keep everything running until a signal comes; ``on_tick`` is called a few times a second."""
        while not self.stopping:
            self._turn()
            on_tick()

    def stop(self) -> None:
        """End every process: a polite signal, ten seconds (less after a second Ctrl-C), then no mercy."""
        self._signals = max(self._signals, 1)
        self._stop([process for process in self._processes if process.popen and not process.stop_last])
        self._stop([process for process in self._processes if process.popen])

    def say(self, name: str, text: str, colour: int = 90) -> None:
        """Print lines behind the name of their process; a terminal that has gone is no error."""
        prefix = f"{name:<{self._width}} | "
        if sys.stdout.isatty():
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        lines = "".join(f"{prefix}{line}\n" for line in text.splitlines())
        with contextlib.suppress(OSError):
            os.write(sys.stdout.fileno(), lines.encode())

    def _stop(self, running: list[Process]) -> None:
        send([process.popen.pid for process in running], signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while any(process.popen for process in running):
            if time.monotonic() > deadline or self._signals > 1:
                break
            self._read(0.05)
            for process in running:
                self._reap(process)
        for process in running:
            if process.popen:
                self.say(process.name, "did not stop in time, killed", 31)
                kill_session(process.popen.pid)
                process.popen.wait()
                self._close(process)

    def _on_signal(self, number: int, frame: object) -> None:
        self._signals += 1

    def _turn(self) -> None:
        now = time.monotonic()
        for process in self._processes:
            if not self._reap(process) and process.start_at is not None and process.start_at <= now:
                self._start(process)
        self._read(TICK_SECONDS)
        if "MAKELEVEL" in os.environ and self._make_has_gone():
            self._signals += 1

    def _start(self, process: Process) -> None:
        process.popen = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {process.command}"],
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_parent(),  # noqa: PLW1509 - we have one thread
        )
        self._holding.guard_session(process.popen.pid)
        process.started_at, process.start_at = time.monotonic(), None
        os.set_blocking(process.popen.stdout.fileno(), False)
        self._selector.register(process.popen.stdout, selectors.EVENT_READ, process)

    def _reap(self, process: Process) -> bool:
        """Whether ``process`` runs; one that has ended is cleared away and, unless we stop, due again."""
        if process.popen is None:
            return False
        if process.popen.poll() is None:
            return True
        process.returncode = process.popen.returncode
        kill_session(process.popen.pid)  # what it had forked would work on without a master
        self._close(process)
        if process.restart and not self.stopping:
            steady = time.monotonic() - process.started_at >= STEADY_SECONDS
            process.wait = 0.0 if steady else min(LONGEST_WAIT, max(0.5, process.wait * 2))
            process.start_at = time.monotonic() + process.wait
            self.say(process.name, f"ended with {_describe(process.returncode)}, starting again", 31)
        return False

    def _close(self, process: Process) -> None:
        for _ in range(64):
            if not self._drain(process):
                break
        if process.tail:
            self._show(process, process.tail)
        self._forget(process)
        process.popen.stdout.close()
        process.popen, process.tail = None, b""

    def _forget(self, process: Process) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(process.popen.stdout)

    def _read(self, seconds: float) -> None:
        """Show what the processes print, for at most about ``seconds``."""
        if not self._selector.get_map():
            time.sleep(seconds)
        for key, _ in self._selector.select(seconds):
            if not self._drain(key.data):
                self._forget(key.data)

    def _drain(self, process: Process) -> bool:
        """Show what has come from a process; False when nothing more will come."""
        try:
            data = os.read(process.popen.stdout.fileno(), 65536)
        except BlockingIOError:
            return False
        *lines, process.tail = (process.tail + data).split(b"\n")
        for line in lines:
            self._show(process, line)
        return bool(data)

    def _show(self, process: Process, line: bytes) -> None:
        colour = COLOURS[self._processes.index(process) % len(COLOURS)]
        self.say(process.name, line.decode(errors="replace"), colour)

    def _make_has_gone(self) -> bool:
        """Whether the make that started us was killed, or got a signal that it keeps to itself.

        make passes SIGTERM on to us, but answers SIGINT and SIGHUP by waiting until we end of our own accord,
        because a terminal would have sent them to us as well; ``kill -INT`` does not.
        """
        if os.getppid() != self._parent or not is_alive(self._parent):
            return True
        try:
            status = Path(f"/proc/{self._parent}/status").read_text()
        except OSError:
            return False
        blocked = re.search(r"^SigBlk:\s*([0-9a-f]+)$", status, re.MULTILINE)
        interrupted = bool(blocked and int(blocked[1], 16) & MAKE_INTERRUPTED)
        # It also blocks them for a moment while it forks: two looks in a row decide.
        self._make_was_interrupted, before = interrupted, self._make_was_interrupted
        return interrupted and before


def _describe(returncode: int) -> str:
    if returncode >= 0:
        return f"code {returncode}"
    return f"signal {signal.Signals(-returncode).name}"
