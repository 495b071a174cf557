"""/healthz says the process is up; /readyz names the part that is missing, and no secret."""

import pytest
import redis
from django.conf import settings
from django.db import OperationalError, connection
from rq import Queue, Worker

from config.health import SCHEDULER_HEARTBEAT

pytestmark = pytest.mark.django_db


@pytest.fixture
def broker():
    """The Redis of this test run, without a trace of workers or a scheduler before and after."""
    with redis.from_url(settings.REDIS_URL) as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def worker(broker):
    """A registered worker."""
    worker = Worker([Queue("enrichment", connection=broker)], connection=broker)
    worker.register_birth()
    return worker


@pytest.fixture
def scheduler(broker):
    """A scheduler that went round just now."""
    broker.set(SCHEDULER_HEARTBEAT, 1, ex=30)


def test_the_process_is_healthy_without_asking_the_database(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok\n")
    assert "no-store" in response["Cache-Control"]


def test_all_is_ready_with_a_database_redis_a_worker_and_a_scheduler(client, worker, scheduler):
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "status": "ok",
        "parts": {"database": "ok", "redis": "ok", "workers": "ok", "scheduler": "ok"},
    }


def test_no_worker_is_named(client, scheduler):
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["parts"]["workers"] == "none running"


def test_a_worker_that_no_longer_renews_its_registration_does_not_count(client, broker, worker, scheduler):
    broker.delete(worker.key)  # what its expiry does
    assert client.get("/readyz").json()["parts"]["workers"] == "none running"


def test_a_scheduler_that_has_stopped_is_named(client, worker):
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["parts"]["scheduler"] == "not running"


def test_redis_out_of_reach_is_named_without_its_password(client, settings):
    settings.REDIS_URL = "redis://:a-secret@127.0.0.1:1/0"
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["parts"] == {
        "database": "ok", "redis": "unreachable", "workers": "unknown", "scheduler": "unknown"
    }  # fmt: skip
    assert b"a-secret" not in response.content


def test_a_database_out_of_reach_is_named_without_its_error(client, worker, scheduler, monkeypatch):
    def refuse(*args):
        raise OperationalError("connection to a-secret failed")

    monkeypatch.setattr(connection, "cursor", refuse)
    monkeypatch.setattr(connection, "close", lambda: None)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["parts"]["database"] == "unreachable"
    assert b"a-secret" not in response.content


def test_only_reading_is_answered(client):
    assert client.post("/healthz").status_code == 405
    assert client.post("/readyz").status_code == 405
