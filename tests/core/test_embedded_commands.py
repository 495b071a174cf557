"""``python -m core.embedded``: services live while used, secrets are made once, mistakes are explained."""

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys

import pytest

from core.embedded import database_url, postgres_server, redis_server
from core.embedded.__main__ import read_port, refuse_taken_port
from core.embedded.holding import stop_services
from core.embedded.local_secrets import ensure_secrets
from core.embedded.places import PROJECT_DIR, EmbeddedServiceError
from core.embedded.processes import is_alive, wait_until


@pytest.fixture
def var_dir(tmp_path, monkeypatch):
    """A data directory of this test's own, and an environment that names no servers."""
    monkeypatch.setenv("VAR_DIR", str(tmp_path))
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    stop_services(tmp_path)


@contextlib.contextmanager
def embedded(*arguments: str, **options):
    process = subprocess.Popen(
        [sys.executable, "-m", "core.embedded", *arguments],
        cwd=PROJECT_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options,
    )  # fmt: skip
    with process:
        yield process


def run_embedded(*arguments: str, **options) -> subprocess.CompletedProcess:
    with embedded(*arguments, **options) as process:
        output, errors = process.communicate(timeout=60)
    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


def is_running(var_dir) -> bool:
    return postgres_server.is_running(var_dir) or redis_server.is_running(var_dir)


def test_exec_gives_the_command_its_services_and_stops_them_after_it(var_dir):
    done = run_embedded("exec", "--", "sh", "-c", 'echo "$DATABASE_URL $REDIS_URL"; exit 7')
    assert done.stdout.startswith("postgresql://headwater@") and "unix://" in done.stdout
    assert done.returncode == 7
    assert not is_running(var_dir)


def test_exec_leaves_services_alone_that_were_up_before(var_dir):
    database_url(var_dir)
    run_embedded("exec", "--", "true")
    assert postgres_server.is_running(var_dir)


def test_the_last_of_two_users_stops_the_services(var_dir):
    wait_for_a_line = ("exec", "--", "sh", "-c", "echo up; read line")
    with embedded(*wait_for_a_line) as first, embedded(*wait_for_a_line) as second:
        assert (first.stdout.readline(), second.stdout.readline()) == ("up\n", "up\n")
        first.communicate("\n", timeout=60)
        assert postgres_server.is_running(var_dir)
        second.communicate("\n", timeout=60)
        assert not is_running(var_dir)


def test_a_killed_exec_leaves_neither_command_nor_services(var_dir):
    with embedded("exec", "--", "sh", "-c", "echo $$; exec sleep 600") as process:
        command = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        assert wait_until(lambda: not is_running(var_dir) and not is_alive(command), 20)


def test_start_status_and_stop(var_dir):
    codes = [run_embedded(word).returncode for word in ("status", "start", "status", "stop", "status")]
    assert codes == [3, 0, 0, 0, 3]


def test_secrets_are_made_once_for_their_owner_alone(tmp_path, monkeypatch):
    monkeypatch.delenv("SECRET_KEY")
    made = ensure_secrets(tmp_path)
    before = made.read_text()
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert ensure_secrets(tmp_path).read_text() == before


def test_no_secrets_are_made_when_the_environment_has_them(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "given")
    monkeypatch.setenv("FIELD_ENCRYPTION_KEYS", "given")
    assert ensure_secrets(tmp_path) is None
    assert not (tmp_path / "secrets.env").exists()


def test_a_taken_port_is_refused_before_anything_starts(var_dir):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(EmbeddedServiceError, match=f"Port {port} on 127.0.0.1 cannot be used"):
            refuse_taken_port("PORT", "127.0.0.1", port)
        done = run_embedded("run", "--demo", env={**os.environ, "PORT": str(port)}, stderr=subprocess.PIPE)
    assert done.returncode == 1 and f"Port {port}" in done.stderr
    assert not is_running(var_dir)


@pytest.mark.parametrize("value", ["0", "-1", "65536", "http", "80 "])
def test_a_port_that_is_none_is_named(monkeypatch, value):
    monkeypatch.setenv("PORT", value)
    with pytest.raises(EmbeddedServiceError, match="not a port number"):
        read_port("PORT", 8000)
