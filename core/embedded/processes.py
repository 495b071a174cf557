"""Finds and ends operating-system processes: by pid, or all that stem from one session leader."""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterable

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with_parent() -> Callable[[], None]:
    """For ``Popen(preexec_fn=…)``: the kernel sends the child SIGTERM when we die, where it can (Linux).

    It is there for the moments and the ends in which no guardian watches the child.
    """
    prctl, parent = getattr(ctypes.CDLL(None), "prctl", None), os.getpid()

    def in_child() -> None:
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # it died before we asked
                os._exit(1)

    return in_child


def is_alive(pid: int) -> bool:
    """Whether ``pid`` still runs; a zombie that nobody has waited for does not."""
    import psutil  # 15 ms, not wanted on the fast path

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def session_members(leader: int) -> list[int]:
    """The living processes of the session that ``leader`` opened, also when it is gone itself."""
    import psutil

    members = []
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == leader and is_alive(pid):
                members.append(pid)
    return members


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each process that is still there."""
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, number)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether ``condition`` came true within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def end(pids: Iterable[int], *, polite: signal.Signals = signal.SIGTERM, seconds: float) -> None:
    """Ask the processes to end, wait ``seconds``, and kill those that have not."""
    pids = list(pids)
    send(pids, polite)
    if not wait_until(lambda: not any(map(is_alive, pids)), seconds):
        send(pids, signal.SIGKILL)
        wait_until(lambda: not any(map(is_alive, pids)), 10)


def end_session(leader: int, seconds: float) -> None:
    """Ask a session's leader to end, wait ``seconds`` for the whole session, and kill what is left of it."""
    send([leader], signal.SIGTERM)
    wait_until(lambda: not is_alive(leader), seconds)
    kill_session(leader)


def kill_session(leader: int) -> None:
    """Kill every process of a session, until none is left (one may be forking while we look)."""

    def none_left() -> bool:
        members = session_members(leader)
        send(members, signal.SIGKILL)
        return not members

    wait_until(none_left, 10)
