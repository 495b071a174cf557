"""The supervisor restarts what dies and leaves no process behind, however it or its make ends."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

from core.embedded.places import PROJECT_DIR
from core.embedded.processes import is_alive, session_members, wait_until

DRIVER = """
import os, sys
from pathlib import Path
from core.embedded import supervisor
from core.embedded.holding import Holding
from core.embedded.__main__ import only_one

supervisor.STOP_SECONDS = 0.6
home = Path(sys.argv[1])
with only_one(home):
    holding = Holding(home)
    running = supervisor.Supervisor(holding, home)
    try:
        holding.keep_services()
        for line in (home / "Procfile").read_text().splitlines():
            running.add(*line.split(": ", 1))
        running.run(on_tick=lambda: None)
    finally:
        running.stop()
        holding.close()
"""
PLAIN = "plain: echo $$ >> plain.pid; exec sleep 600"
# Deaf to polite signals, with a child in a process group of its own as an RQ worker has one.
DEAF = "deaf: trap '' TERM INT HUP; echo $$ >> deaf.pid; setsid -w true; set -m; sleep 601 & wait; sleep 602"


def command(line: str) -> str:
    name, _, script = line.partition(": ")
    return f'{name}: sh -c "{script.replace("$", chr(92) + "$")}"'


@pytest.fixture
def supervised(tmp_path):
    """Starts the driver on some Procfile lines, directly or under make, and clears up after a failed test."""
    started = []

    def start(*lines: str, under_make: bool = False) -> subprocess.Popen:
        (tmp_path / "Procfile").write_text("\n".join(map(command, lines)))
        (tmp_path / "driver.py").write_text(textwrap.dedent(DRIVER))
        argv = [sys.executable, "driver.py", str(tmp_path)]
        if under_make:
            (tmp_path / "Makefile").write_text(f"run:\n\t@{' '.join(argv)}\n")
            argv = ["make", "run"]
        environment = {name: value for name, value in os.environ.items() if name != "MAKELEVEL"} | {
            "PYTHONPATH": str(PROJECT_DIR),
            "DATABASE_URL": "not-started-here",
            "REDIS_URL": "not-started-here",
        }
        with (tmp_path / "output").open("w") as output:
            process = subprocess.Popen(
                argv, cwd=tmp_path, env=environment, stdout=output, stderr=output, start_new_session=True
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def pids(tmp_path, name: str) -> list[int]:
    file = tmp_path / f"{name}.pid"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def wait_for_start(tmp_path, *names: str) -> list[int]:
    assert wait_until(lambda: all(pids(tmp_path, name) for name in names), 15), (
        tmp_path / "output"
    ).read_text()
    return [pids(tmp_path, name)[-1] for name in names]


def assert_all_gone(leaders: list[int]) -> None:
    assert wait_until(lambda: not any(session_members(leader) for leader in leaders), 10)


def test_a_killed_process_is_started_again(supervised, tmp_path):
    supervised(PLAIN)
    [first] = wait_for_start(tmp_path, "plain")
    os.kill(first, signal.SIGKILL)
    assert wait_until(lambda: len(pids(tmp_path, "plain")) == 2, 10)
    assert is_alive(pids(tmp_path, "plain")[-1])
    assert "ended with signal SIGKILL, starting again" in (tmp_path / "output").read_text()


def test_what_a_killed_process_had_forked_does_not_work_on(supervised, tmp_path):
    supervised(DEAF)
    [first] = wait_for_start(tmp_path, "deaf")
    assert wait_until(lambda: len(session_members(first)) > 1, 10)
    os.kill(first, signal.SIGKILL)
    assert_all_gone([first])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_even_what_ignores_signals(supervised, tmp_path, number):
    process = supervised(PLAIN, DEAF)
    leaders = wait_for_start(tmp_path, "plain", "deaf")
    os.kill(process.pid, number)
    assert process.wait(15) == 0
    assert not any(session_members(leader) for leader in leaders)
    assert "did not stop in time, killed" in (tmp_path / "output").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_to_make_alone_ends_everything(supervised, tmp_path, number):
    process = supervised(PLAIN, under_make=True)
    leaders = wait_for_start(tmp_path, "plain")
    os.kill(process.pid, number)
    process.wait(15)
    assert_all_gone([*leaders, process.pid])


def test_after_a_kill_of_the_supervisor_its_processes_end_and_the_next_start_works(supervised, tmp_path):
    process = supervised(PLAIN, DEAF)
    leaders = wait_for_start(tmp_path, "plain", "deaf")
    process.kill()
    process.wait()
    supervised(PLAIN)
    assert wait_until(lambda: len(pids(tmp_path, "plain")) == 2, 30), (tmp_path / "output").read_text()
    assert not any(session_members(leader) for leader in leaders)


def test_even_without_a_guardian_processes_end_with_a_killed_supervisor(supervised, tmp_path):
    process = supervised(PLAIN)
    leaders = wait_for_start(tmp_path, "plain")
    guardian = next(child.pid for child in psutil.Process(process.pid).children() if child.pid not in leaders)
    for pid in (guardian, process.pid):
        os.kill(pid, signal.SIGKILL)
    assert_all_gone(leaders)


def test_a_second_start_on_the_same_data_is_refused(supervised, tmp_path):
    supervised(PLAIN)
    wait_for_start(tmp_path, "plain")
    second = supervised(PLAIN)
    assert second.wait(15) == 1
    assert re.search(r"already runs on .* \(process \d+\)", (tmp_path / "output").read_text())


def test_a_process_that_keeps_failing_is_started_ever_more_slowly(supervised, tmp_path):
    supervised("failing: date +%s.%N >> failing.times; exit 3")
    times = tmp_path / "failing.times"
    assert wait_until(lambda: times.exists() and len(times.read_text().split()) >= 3, 20)
    first, second, third = map(float, times.read_text().split()[:3])
    assert third - second > second - first > 0.4
    assert time.time() - first < 20
