"""The sandbox as a server: documented answers, faults, log, latency, limits, and who may control it."""

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from enrichment.sandbox import DEFAULT_PORT, running_sandbox, sandbox_base_url
from enrichment.sandbox.faults import known_faults
from enrichment.sandbox.vendors import VENDORS

ROOT = Path(__file__).parents[3]
ADA = {"first_name": "Ada", "last_name": "Byron", "domain": "analytical-engines.example"}


@pytest.fixture(scope="module")
def sandbox():
    with running_sandbox(seed=3, latency_scale=0) as running:
        yield running


@pytest.fixture(autouse=True)
def clean_slate(sandbox):
    sandbox.clear_faults()
    sandbox.clear_log()


@pytest.fixture(scope="module")
def session():
    with requests.Session() as session:
        session.trust_env = False
        yield session


def find(session, sandbox, *, key="demo-key", **params):
    url = f"{sandbox.base_url('hunter')}/email-finder"
    return session.get(url, params=ADA | params, headers={"X-API-KEY": key}, timeout=5)


def test_hunter_takes_its_key_in_three_places(session, sandbox):
    url = f"{sandbox.base_url('hunter')}/account"
    for kwargs in (
        {"headers": {"X-API-KEY": "demo-1"}},
        {"headers": {"Authorization": "Bearer demo-1"}},
        {"params": {"api_key": "demo-1"}},
    ):
        assert session.get(url, timeout=5, **kwargs).status_code == 200
    refused = session.get(url, timeout=5)
    assert refused.status_code == 401
    assert refused.json()["errors"][0]["details"] == "No user found for the API key supplied"


def test_apollo_reads_the_query_only_and_refuses_in_plain_text(session, sandbox):
    sandbox.faults("apollo", "match", ref="analytical")
    url = f"{sandbox.base_url('apollo')}/people/match"
    key = {"x-api-key": "demo-1"}
    asked = {"first_name": "Ada", "last_name": "Byron", "domain": "analytical-engines.example"}
    assert session.post(url, params=asked, headers=key, timeout=5).json()["person"]["first_name"] == "Ada"
    assert session.post(url, json=asked, headers=key, timeout=5).json()["person"] is None
    refused = session.post(url, params=asked, timeout=5)
    assert refused.headers["Content-Type"].startswith("text/plain")


def test_people_data_labs_wants_enough_to_tell_people_apart(session, sandbox):
    url = f"{sandbox.base_url('peopledatalabs')}/v5/person/enrich"
    answer = session.get(url, params={"name": "Ada Byron"}, headers={"X-Api-Key": "demo-1"}, timeout=5)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert answer.headers["x-totallimit-remaining"] == "100000"


def test_prospeo_says_everything_with_400(session, sandbox):
    url, key = f"{sandbox.base_url('prospeo')}/enrich-person", {"X-KEY": "demo-1"}
    sandbox.faults("prospeo", "miss")
    person, lacking = {"full_name": "Ada Byron", "company_name": "X"}, "INVALID_DATAPOINTS"
    for body, code in (
        ({"data": person}, "NO_MATCH"),
        ({"data": {}}, lacking),
        ([], lacking),
    ):
        answer = session.post(url, json=body, headers=key, timeout=5)
        assert (answer.status_code, answer.json()) == (400, {"error": True, "error_code": code})


def test_an_unknown_path_is_not_found(session, sandbox):
    for path in ("/", "/hunter/v2/nothing", "/apollo/api/v1/../../_control", "/clearbit/v1/people"):
        assert session.get(sandbox.url + path, headers={"X-API-KEY": "demo-1"}, timeout=5).status_code == 404


def test_the_log_tells_each_call_without_the_key(session, sandbox):
    sandbox.faults("hunter", "match", times=1)
    find(session, sandbox, key="demo-very-secret")
    find(session, sandbox, key="live-very-secret")
    calls = session.get(f"{sandbox.url}/_control/log", timeout=5).json()
    assert [(c["vendor"], c["who"], c["answer"], c["status"]) for c in calls] == [
        ("hunter", "Ada Byron at analytical-engines.example", "match", 200),
        ("hunter", "Ada Byron at analytical-engines.example", "authentication_failed", 401),
    ]
    assert "work_email" in calls[0]["channels"] and calls[1]["channels"] == []
    assert "secret" not in str(calls)
    assert session.delete(f"{sandbox.url}/_control/log", timeout=5).json() == []
    assert sandbox.log() == []


def test_a_fault_hits_as_often_as_told_and_only_whom_it_was_meant_for(session, sandbox):
    told = {"vendor": "hunter", "fault": "500", "times": 2, "ref": "byron"}
    assert session.post(f"{sandbox.url}/_control/faults", json=told, timeout=5).status_code == 201
    assert find(session, sandbox, last_name="Lovelace").status_code == 200
    assert [find(session, sandbox).status_code for _ in range(3)] == [500, 500, 200]
    assert session.get(f"{sandbox.url}/_control/faults", timeout=5).json()["active"] == []


def test_a_fault_without_a_vendor_hits_all_and_can_be_cleared(session, sandbox):
    session.post(f"{sandbox.url}/_control/faults", json={"fault": "html"}, timeout=5)
    assert find(session, sandbox).headers["Content-Type"].startswith("text/html")
    session.delete(f"{sandbox.url}/_control/faults", timeout=5)
    assert find(session, sandbox).json()["data"]["domain"] == ADA["domain"]


@pytest.mark.parametrize(
    "told",
    [
        {"vendor": "hunter", "fault": "no such fault"},
        {"vendor": "clearbit", "fault": "html"},
        {"vendor": "hunter", "fault": "booleans"},
        {"vendor": "hunter", "fault": "html", "times": 0},
        {"vendor": "hunter", "fault": "html", "times": "twice"},
        ["hunter"],
    ],
)
def test_a_fault_that_is_not_understood_is_refused_in_words(session, sandbox, told):
    answer = session.post(f"{sandbox.url}/_control/faults", json=told, timeout=5)
    assert answer.status_code == 400 and answer.json()["error"]
    assert sandbox.sandbox.active_faults() == []


def test_every_fault_of_every_vendor_can_be_switched_on(sandbox):
    names = {name for vendor in VENDORS.values() for name in known_faults(vendor)}
    assert len(names) > 45
    for slug, vendor in VENDORS.items():
        for name in known_faults(vendor):
            sandbox.faults(slug, name)


def test_a_latency_can_be_fixed_and_set_free_again(session, sandbox):
    url = f"{sandbox.url}/_control/latency"
    session.post(url, json={"vendor": "hunter", "ms": 120}, timeout=5)
    started = time.monotonic()
    find(session, sandbox)
    assert 0.12 <= time.monotonic() - started < 0.5
    session.post(url, json={"vendor": "hunter", "ms": None}, timeout=5)
    started = time.monotonic()
    find(session, sandbox)
    assert time.monotonic() - started < 0.1
    assert session.post(url, json={"vendor": "hunter", "ms": -1}, timeout=5).status_code == 400
    assert session.post(url, json={"vendor": "nobody", "ms": 1}, timeout=5).status_code == 400


def test_usual_latencies_are_near_their_medians():
    for vendor in VENDORS.values():
        drawn = sorted(vendor.latency() * 1000 for _ in range(400))
        assert 0.85 < drawn[200] / vendor.median_ms < 1.15
        assert drawn[-1] > 1.5 * vendor.median_ms


def test_control_is_hidden_from_web_pages_and_other_names(session, sandbox):
    for host in ("evil.example", "sandbox.internal:80"):
        answer = session.get(f"{sandbox.url}/_control/log", headers={"Host": host}, timeout=5)
        assert answer.status_code == 404


def test_documented_rate_limits_are_kept_when_asked_for(session):
    with running_sandbox(rate_limits=True) as strict:
        url, key = f"{strict.base_url('hunter')}/email-finder", {"X-API-KEY": "demo-1"}
        statuses = [session.get(url, params=ADA, headers=key, timeout=5).status_code for _ in range(40)]
        other = session.get(url, params=ADA, headers={"X-API-KEY": "demo-2"}, timeout=5)
    assert 15 <= statuses.count(200) <= 30 and statuses.count(403) >= 10
    assert other.status_code == 200


def test_a_sandbox_stops_at_once_with_calls_under_way():
    with running_sandbox() as running:
        running.faults("hunter", "silence")
        host, port = running.url.removeprefix("http://").split(":")
        connection = socket.create_connection((host, int(port)))
        connection.sendall(b"GET /hunter/v2/email-finder?a=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        while not running.log():
            time.sleep(0.005)
        started = time.monotonic()
    assert time.monotonic() - started < 2
    connection.close()


def test_the_command_serves_until_it_is_told_to_stop(session):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "manage.py", "provider_sandbox", "--port", str(port), "--latency-scale", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            lines = [process.stdout.readline() for _ in range(6)]
            assert re.search(r"knows 600 people", lines[0])
            assert sandbox_base_url("prospeo", port=port) in "".join(lines)
            for _ in range(100):
                try:
                    answer = session.get(
                        f"{sandbox_base_url('hunter', port=port)}/account",
                        headers={"X-API-KEY": "demo-1"},
                        timeout=5,
                    )
                    break
                except requests.ConnectionError:
                    time.sleep(0.02)
            assert answer.json()["data"]["requests"]["credits"]["remaining"] == 100_000
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)
    assert process.returncode == 0


def test_the_default_address_is_fixed():
    assert sandbox_base_url("hunter") == f"http://127.0.0.1:{DEFAULT_PORT}/hunter/v2"
    assert sandbox_base_url("apollo") == f"http://127.0.0.1:{DEFAULT_PORT}/apollo/api/v1"
    assert sandbox_base_url("peopledatalabs") == f"http://127.0.0.1:{DEFAULT_PORT}/pdl"
    assert sandbox_base_url("prospeo") == f"http://127.0.0.1:{DEFAULT_PORT}/prospeo"
