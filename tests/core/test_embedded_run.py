"""``make run``, as a person at a terminal has it: everything comes up, and one Ctrl-C takes everything down."""

import contextlib
import os
import pty
import signal
import socket
import subprocess
import sys
import urllib.request

import psutil
import pytest

from core.embedded.holding import stop_services
from core.embedded.places import PROJECT_DIR
from core.embedded.processes import is_alive, wait_until

GIVEN_BY_THE_TEST_RUN = (
    "TESTING", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "MAKELEVEL",
    "ALLOW_PRIVATE_HOSTS", "DJANGO_SETTINGS_MODULE",
)  # fmt: skip
START_SECONDS = 120


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


@pytest.fixture
def terminal(tmp_path):
    """The product started in a terminal of its own; its process, its address, and what the terminal shows."""
    environment = {name: value for name, value in os.environ.items() if name not in GIVEN_BY_THE_TEST_RUN}
    environment |= {"VAR_DIR": str(tmp_path), "PORT": free_port(), "SANDBOX_PORT": free_port()}
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "core.embedded", "run", "--demo"],
        cwd=PROJECT_DIR,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    os.set_blocking(ours, False)
    yield process, f"http://127.0.0.1:{environment['PORT']}", ours
    process.kill()
    process.wait()
    os.close(ours)
    stop_services(tmp_path)


def test_everything_comes_up_and_one_ctrl_c_takes_everything_down(terminal, tmp_path):
    process, address, screen = terminal
    shown = ""

    def show() -> str:
        nonlocal shown
        with contextlib.suppress(OSError):  # nothing new, or nobody there any more
            shown += os.read(screen, 65536).decode()
        return shown

    def is_ready() -> bool:
        show()
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=2) as response:
                return response.status == 200
        except OSError:
            return process.poll() is not None

    assert wait_until(is_ready, START_SECONDS), shown
    assert wait_until(lambda: f"Headwater is ready:  {address}/" in show(), 10), shown
    assert "rep@example.com" in shown and "headwater-demo" in shown
    with urllib.request.urlopen(address, timeout=10) as page:
        assert page.status == 200

    pid_files = (tmp_path / "postgres" / "postmaster.pid", tmp_path / "redis" / "redis.pid")
    servers = [int(file.read_text().split()[0]) for file in pid_files]
    running = [child.pid for child in psutil.Process(process.pid).children(recursive=True)] + servers
    assert len(running) > 8
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does on Ctrl-C
    assert wait_until(lambda: bool(show()) and process.poll() is not None, 60), shown
    assert process.returncode == 0
    assert [pid for pid in running if is_alive(pid)] == []
    assert "Everything has stopped." in show()
