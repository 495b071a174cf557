"""Runs the product and its services: ``python -m core.embedded run | exec | start | stop | status``."""

import argparse
import contextlib
import fcntl
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

from core.embedded import database_url, redis_url
from core.embedded.holding import SERVICES, Holding, stop_services
from core.embedded.local_secrets import ensure_secrets
from core.embedded.places import PROJECT_DIR, EmbeddedServiceError, default_var_dir, open_var_dir
from core.embedded.postgres_server import programs
from core.embedded.processes import end_with_parent, is_alive, wait_until
from core.embedded.supervisor import Supervisor, read_procfile

CHECK_SERVICES_SECONDS = 5
DEMO_LOGINS = ("admin@example.com", "rep@example.com", "viewer@example.com")
DEMO_PASSWORD = "headwater-demo"  # noqa: S105 - demo data only, printed for the person who started the demo


def main(arguments: list[str]) -> int:
    """Do what the command line says; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m core.embedded", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run everything until Ctrl-C")
    run.add_argument(
        "--demo", action="store_true", help="with demo data and a sandbox in place of the vendors"
    )
    execute = commands.add_parser(
        "exec", help="run a command with the services up, then stop what was started"
    )
    execute.add_argument("argv", nargs=argparse.REMAINDER)
    commands.add_parser("start", help="start the services and leave them running")
    commands.add_parser("stop", help="stop whatever runs")
    commands.add_parser("status", help="say what runs")
    options = parser.parse_args(arguments)
    var_dir = default_var_dir()
    match options.command:
        case "run":
            return run_everything(var_dir, demo=options.demo)
        case "exec":
            return run_command(var_dir, options.argv[options.argv[:1] == ["--"] :])
        case "start":
            return start(var_dir)
        case "stop":
            return stop(var_dir)
        case _:
            return status(var_dir)


def run_everything(var_dir: Path, *, demo: bool) -> int:
    """Bring the product up, keep it up until a signal, and leave no process behind."""
    host, port = os.environ.get("HOST") or "127.0.0.1", read_port("PORT", 8000)
    sandbox_port = read_port("SANDBOX_PORT", 8899)
    os.environ.update(HOST=host, PORT=str(port), SANDBOX_PORT=str(sandbox_port))
    os.environ.update(DJANGO_SETTINGS_MODULE="config.settings", PYTHONUNBUFFERED="1")
    os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    if demo:
        os.environ.setdefault("DEMO", "1")
        os.environ.setdefault("ALLOW_PRIVATE_HOSTS", "1")
        ensure_secrets(var_dir)
    with only_one(var_dir):
        refuse_taken_port("PORT", host, port)
        if demo:
            refuse_taken_port("SANDBOX_PORT", "127.0.0.1", sandbox_port)
        holding = Holding(var_dir)
        supervisor = Supervisor(holding, PROJECT_DIR)
        try:
            return supervise(supervisor, holding, demo=demo)
        finally:
            supervisor.stop()
            holding.close()
            supervisor.say("headwater", "Everything has stopped.")


def supervise(supervisor: Supervisor, holding: Holding, *, demo: bool) -> int:
    """Prepare the database and the static files, then run the Procfile until a signal."""
    supervisor.say("headwater", "Starting PostgreSQL and Redis")
    holding.keep_services()
    supervisor.say("headwater", "Preparing the database and static files")
    if not supervisor.run_once("prepare", "python manage.py prepare"):
        return 0 if supervisor.stopping else 1
    for name, command in read_procfile(PROJECT_DIR / "Procfile").items():
        if name != "sandbox" or demo:
            supervisor.add(name, command, stop_last=name == "sandbox")
    supervisor.run(on_tick=Attendant(supervisor, holding, demo=demo))
    supervisor.say("headwater", "Stopping")
    return 0


class Attendant:
    """Looks after the services while everything runs, and greets once the web server answers."""

    def __init__(self, supervisor: Supervisor, holding: Holding, *, demo: bool) -> None:
        self._supervisor, self._holding, self._demo = supervisor, holding, demo
        self._greeted = False
        self._checked_at = time.monotonic()

    def __call__(self) -> None:
        """One look; called a few times a second."""
        if not self._greeted and web_answers(os.environ["HOST"], int(os.environ["PORT"])):
            self._greeted = True
            self._supervisor.say("headwater", greeting(demo=self._demo), 1)
        if time.monotonic() - self._checked_at > CHECK_SERVICES_SECONDS:
            self._checked_at = time.monotonic()
            try:
                self._holding.keep_services()
            except EmbeddedServiceError as error:
                self._supervisor.say("headwater", str(error), 31)


def greeting(*, demo: bool) -> str:
    """Where the product is to be found and, for a demo, who can sign in."""
    lines = ["", f"Headwater is ready:  {address()}"]
    if demo:
        lines += [f"  {login:<20} {DEMO_PASSWORD}" for login in DEMO_LOGINS]
    return "\n".join([*lines, "Ctrl-C stops everything.", ""])


def address() -> str:
    """The address to open in a browser on this machine."""
    host = os.environ["HOST"]
    return f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{os.environ['PORT']}/"  # noqa: S104


def web_answers(host: str, port: int) -> bool:
    """Whether /healthz answers on the port."""
    connection = http.client.HTTPConnection("127.0.0.1" if host == "0.0.0.0" else host, port, timeout=1)  # noqa: S104
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def read_port(name: str, default: int) -> int:
    """A port from the environment; EmbeddedServiceError when it is none."""
    value = os.environ.get(name) or str(default)
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise EmbeddedServiceError(f"{name} is {value!r}, which is not a port number.")
    return int(value)


def refuse_taken_port(name: str, host: str, port: int) -> None:
    """EmbeddedServiceError when something else listens on the port."""
    try:
        family, kind, *_, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
            probe.listen(1)
    except OSError as error:
        raise EmbeddedServiceError(
            f"Port {port} on {host} cannot be used ({error.strerror}). "
            f"End the program that uses it, or choose another: {name}={port + 1} make run"
        ) from None


@contextlib.contextmanager
def only_one(var_dir: Path) -> Iterator[None]:
    """Refuse a second start on the same data; wait for one that was killed and is still being cleared up."""
    descriptor = os.open(open_var_dir(var_dir) / "run.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def free() -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if (other := running_supervisor(var_dir)) and is_alive(other):
                raise EmbeddedServiceError(
                    f"Headwater already runs on {var_dir} (process {other}). `make stop` ends it."
                ) from None
            return False
        return True

    try:
        if not wait_until(free, 60):
            raise EmbeddedServiceError(f"What an earlier start left on {var_dir} does not end.")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def running_supervisor(var_dir: Path) -> int | None:
    """The process that holds the run lock of ``var_dir``, or held it last."""
    try:
        return int((var_dir / "run.lock").read_text() or 0) or None
    except (OSError, ValueError):
        return None


def run_command(var_dir: Path, argv: list[str]) -> int:
    """Run a command with the services up; its exit code. Signals go to the command, we only wait for it."""
    if not argv:
        raise EmbeddedServiceError("exec needs a command to run.")
    ensure_secrets(var_dir)
    if not os.environ.get("DATABASE_URL"):  # psql and pg_dump of the server's own version
        os.environ["PATH"] = os.pathsep.join([str(programs()), os.environ.get("PATH", os.defpath)])
    holding = Holding(var_dir)
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, frame: object) -> None:
        if child is not None:
            child.send_signal(number)

    signal.signal(signal.SIGINT, lambda *_: None)  # the terminal has sent it to the command as well
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    try:
        holding.keep_services()
        if not (shutil.which(argv[0])):
            raise EmbeddedServiceError(f"There is no program {argv[0]!r}.")
        child = subprocess.Popen(argv, preexec_fn=end_with_parent())  # noqa: PLW1509 - we have one thread
        holding.guard_process(child.pid)
        code = child.wait()
        return code if code >= 0 else 128 - code
    finally:
        holding.close()


def start(var_dir: Path) -> int:
    """Start the services, and make the secrets that the settings need."""
    ensure_secrets(var_dir)
    print(f"DATABASE_URL={database_url(open_var_dir(var_dir))}")
    print(f"REDIS_URL={redis_url(var_dir)}")
    return 0


def stop(var_dir: Path) -> int:
    """End a running supervisor, then the services."""
    supervisor = running_supervisor(var_dir)
    if supervisor and run_is_locked(var_dir) and is_alive(supervisor):
        os.kill(supervisor, signal.SIGTERM)
        if not wait_until(lambda: not run_is_locked(var_dir), 60):
            raise EmbeddedServiceError(f"Process {supervisor} does not end.")
        print("Stopped Headwater.")
    if stopped := stop_services(var_dir):
        print(f"Stopped {' and '.join(stopped)}.")
    return 0


def run_is_locked(var_dir: Path) -> bool:
    """Whether a supervisor, or the guardian of one that was killed, holds ``var_dir``."""
    try:
        descriptor = os.open(var_dir / "run.lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def status(var_dir: Path) -> int:
    """Print what runs; 0 when the services do, else 3 as init scripts have it."""
    found = {service.name: service.is_running(var_dir) for service in SERVICES}
    for name, is_up in {"Headwater": run_is_locked(var_dir), **found}.items():
        print(f"{name:<12}{'running' if is_up else 'stopped'}")
    return 0 if all(found.values()) else 3


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except EmbeddedServiceError as error:
        sys.exit(f"headwater: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
