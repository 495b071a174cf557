"""The embedded PostgreSQL and Redis start once, are reused, and come back after every way of dying."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import redis

from core.embedded import database_url, postgres_server, redis_server, redis_url
from core.embedded.holding import stop_services
from core.embedded.places import PROJECT_DIR, EmbeddedServiceError
from core.embedded.processes import is_alive, wait_until

ASK_FOR_BOTH = """
import sys
from pathlib import Path
from core.embedded import database_url, redis_url
print(database_url(Path(sys.argv[1])), redis_url(Path(sys.argv[1])))
"""


@pytest.fixture(scope="module")
def shared_var(tmp_path_factory):
    """Services for the tests that do not mind what happened before; their path is too long for a socket."""
    var_dir = tmp_path_factory.mktemp("var") / ("long-" * 20) / "a 'quoted' name"
    yield var_dir
    stop_services(var_dir)


def postgres_pid(var_dir: Path) -> int:
    return int((var_dir / "postgres" / "postmaster.pid").read_text().split()[0])


def redis_pid(var_dir: Path) -> int:
    return int((var_dir / "redis" / "redis.pid").read_text())


def kill(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not any(map(is_alive, pids)), 5)


def use(var_dir: Path) -> None:
    with psycopg.connect(database_url(var_dir)) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("headwater",)
    with redis.from_url(redis_url(var_dir)) as client:
        assert client.ping()


def test_both_start_on_first_use_and_are_reused_within_five_milliseconds(shared_var):
    use(shared_var)
    before = postgres_pid(shared_var), redis_pid(shared_var)
    began = time.perf_counter()
    for _ in range(20):
        database_url(shared_var)
        redis_url(shared_var)
    assert (time.perf_counter() - began) / 20 < 0.005
    assert (postgres_pid(shared_var), redis_pid(shared_var)) == before


def test_postgres_keeps_its_promises_about_durability_and_size(shared_var):
    wanted = {"fsync": "on", "synchronous_commit": "on", "max_connections": "200", "jit": "off"}
    with psycopg.connect(database_url(shared_var)) as connection:
        found = {name: connection.execute(f"SHOW {name}").fetchone()[0] for name in wanted}
        assert found == wanted
        assert connection.info.server_version // 10_000 == 18


def test_only_their_owner_can_reach_them(shared_var):
    use(shared_var)
    for directory in (shared_var / "postgres", shared_var / "redis", shared_var / "redis"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    with psycopg.connect(database_url(shared_var)) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        sockets = Path(connection.execute("SHOW unix_socket_directories").fetchone()[0])
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    with redis.from_url(redis_url(shared_var)) as client:
        assert client.config_get("port") == {"port": "0"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}


def test_after_a_kill_both_come_back_with_what_was_committed(shared_var):
    with psycopg.connect(database_url(shared_var)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value int)")
        connection.execute("INSERT INTO kept VALUES (1)")
    kill(postgres_pid(shared_var), redis_pid(shared_var))
    use(shared_var)
    with psycopg.connect(database_url(shared_var)) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone()[0] >= 1


def test_a_stale_pid_that_now_belongs_to_an_innocent_program_is_no_obstacle(shared_var):
    use(shared_var)
    pid_file = shared_var / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    kill(postgres_pid(shared_var), redis_pid(shared_var))
    innocent = subprocess.Popen(["sleep", "600"])
    try:
        pid_file.write_text("\n".join([str(innocent.pid), *lines[1:]]) + "\n")
        (shared_var / "redis" / "redis.pid").write_text(str(innocent.pid))
        use(shared_var)
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


def test_servers_that_lost_their_sockets_are_replaced(shared_var):
    use(shared_var)
    before = postgres_pid(shared_var), redis_pid(shared_var)
    for service, name in (("postgres", ".s.PGSQL.5432"), ("redis", "redis.sock")):
        (postgres_server.socket_dir(shared_var / service) / name).unlink()
    use(shared_var)
    assert not any(map(is_alive, before))


def test_many_processes_that_ask_at_once_get_one_server(tmp_path):
    askers = [
        subprocess.Popen(
            [sys.executable, "-c", ASK_FOR_BOTH, str(tmp_path)],
            cwd=PROJECT_DIR,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    try:
        answers = {asker.communicate(timeout=60)[0] for asker in askers}
        assert answers == {f"{database_url(tmp_path)} {redis_url(tmp_path)}\n"}
        log = (tmp_path / "postgres" / "server.log").read_text()
        assert log.count("ready to accept connections") == 1
        assert stop_services(tmp_path) == ["Redis", "PostgreSQL"]
        assert stop_services(tmp_path) == []
    finally:
        stop_services(tmp_path)


def test_a_set_up_killed_half_way_is_begun_again(tmp_path):
    unfinished = tmp_path / "postgres.unfinished"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    try:
        assert database_url(tmp_path)
        assert not unfinished.exists()
    finally:
        stop_services(tmp_path)


def test_data_of_another_version_are_refused_with_what_to_do(tmp_path):
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedServiceError, match="holds PostgreSQL 17"):
        database_url(tmp_path)


def test_redis_data_are_kept_apart_by_major_version(shared_var):
    use(shared_var)
    with redis.from_url(redis_url(shared_var)) as client:
        info = client.info("server")
        directory = Path(client.config_get("dir")["dir"])
    assert directory.name == f"redis-{info['redis_version'].partition('.')[0]}" or "valkey" in directory.name


def test_a_missing_redis_is_explained(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(redis_server, "find_spec", lambda name: None)
    with pytest.raises(EmbeddedServiceError, match="no redis-server or valkey-server on the PATH"):
        redis_url(tmp_path)
