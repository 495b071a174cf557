"""Fixtures every test may use: workspaces, signed-in clients, real concurrency, the job queue."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.cache import cache
from django.db import connections
from django.test import Client

from tests.factories import MembershipFactory, WorkspaceFactory

HTMX = {"HX-Request": "true"}


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """Transactional tests empty tables by TRUNCATE: the ledger's refusal of that, and no other, is off."""
    with django_db_blocker.unblock(), connections["default"].cursor() as cursor:
        cursor.execute("ALTER TABLE billing_ledgerentry DISABLE TRIGGER ledger_entry_never_truncated")


@pytest.fixture(autouse=True)
def empty_redis():
    """Each test starts with nothing cached, throttled or queued."""
    cache.clear()


@pytest.fixture
def workspace(db):
    """The workspace most tests happen in."""
    return WorkspaceFactory(name="Brightline")


@pytest.fixture
def other_workspace(db):
    """A workspace whose rows nobody of ``workspace`` may reach; it has an admin of its own."""
    workspace = WorkspaceFactory(name="Elsewhere")
    MembershipFactory(workspace=workspace, admin=True)
    return workspace


@pytest.fixture
def member(workspace):
    """``member("rep")``: the workspace's user with that role, the same one each time (or ``workspace=``)."""
    made = {}

    def _member(role, workspace=workspace):
        key = (role, workspace.pk)
        if key not in made:
            made[key] = MembershipFactory(workspace=workspace, role=role).user
        return made[key]

    return _member


@pytest.fixture
def admin(member):
    """An admin of ``workspace``."""
    return member("admin")


@pytest.fixture
def rep(member):
    """A rep of ``workspace``."""
    return member("rep")


@pytest.fixture
def viewer(member):
    """A viewer of ``workspace``."""
    return member("viewer")


def sign_in(user, *, htmx=False, enforce_csrf_checks=False):
    """A browser in which ``user`` is signed in; None stays anonymous. ``htmx`` sends HX-Request each time."""
    client = Client(headers=HTMX if htmx else {}, enforce_csrf_checks=enforce_csrf_checks)
    if user is not None:
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def client_for(member, workspace):
    """``client_for("rep")``: a client signed in with that role in ``workspace`` (or ``workspace=``).

    ``client_for(None)`` is anonymous, ``client_for(user)`` signs in that person, ``htmx=True`` asks for
    fragments.
    """

    def _client_for(who, workspace=workspace, **options):
        user = member(who, workspace) if isinstance(who, str) else who
        return sign_in(user, **options)

    return _client_for


@pytest.fixture
def at_once(transactional_db):
    """``at_once(f, g)``: run the callables in threads of their own connections, started together.

    Returns each one's result, or the exception it raised, in order. Use with ``transaction=True`` rows.
    """

    def _at_once(*callables):
        barrier = threading.Barrier(len(callables))

        def call(function):
            try:
                barrier.wait(timeout=10)
                return function()
            except Exception as error:
                return error
            finally:
                connections.close_all()

        with ThreadPoolExecutor(len(callables)) as pool:
            return list(pool.map(call, callables))

    return _at_once


@pytest.fixture
def run_queue():
    """``run_queue()``: do every job that is queued, in this process, and return when the queue is empty."""
    import django_rq
    from rq import SimpleWorker

    def _run_queue(name="enrichment"):
        django_rq.get_worker(name, worker_class=SimpleWorker).work(burst=True, logging_level="WARNING")

    return _run_queue
