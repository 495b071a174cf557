"""Every route × person × method, generated from the URLconf: who gets in, who does not, and that nothing changes.

A new route fails here until it has a line in RULES. A parameter of its URL that names a row needs a line in
ROWS, which makes such a row in a workspace and returns what stands in the URL.
"""

import re
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from leads.models import LeadImport
from tests.conftest import HTMX, sign_in
from tests.factories import AudienceFactory, LeadFactory, MembershipFactory, UserFactory, WorkspaceFactory
from tests.factories.enrichment import ProviderFactory, waterfall_of

PUBLIC, SIGNED_IN, VIEWER, REP, ADMIN = "public", "signed in", "viewer", "rep", "admin"

# Route name -> method -> the weakest who may. A method that is not here is refused to everyone.
RULES = {
    "home": {"GET": PUBLIC, "POST": PUBLIC},
    "healthz": {"GET": PUBLIC},
    "readyz": {"GET": PUBLIC},
    "workspaces:login": {"GET": PUBLIC, "POST": PUBLIC},
    "workspaces:logout": {"POST": PUBLIC},
    "workspaces:choose_password": {"GET": PUBLIC, "POST": PUBLIC},
    "workspaces:password_change": {"GET": SIGNED_IN, "POST": SIGNED_IN},
    "workspaces:set_theme": {"POST": PUBLIC},
    "workspaces:switch_workspace": {"POST": SIGNED_IN},
    "workspaces:member_list": {"GET": ADMIN},
    "workspaces:member_add": {"POST": ADMIN},
    "workspaces:member_role": {"POST": ADMIN},
    "workspaces:member_link": {"POST": ADMIN},
    "workspaces:member_remove": {"GET": ADMIN, "POST": ADMIN},
    "workspaces:audit_log": {"GET": ADMIN},
    "audiences:audience_list": {"GET": VIEWER},
    "audiences:audience_create": {"GET": ADMIN, "POST": ADMIN},
    "audiences:default_channels": {"GET": ADMIN, "POST": ADMIN},
    "audiences:default_preview": {"GET": ADMIN},
    "audiences:audience_detail": {"GET": VIEWER},
    "audiences:audience_rename": {"POST": ADMIN},
    "audiences:audience_channels": {"POST": ADMIN},
    "audiences:channels_preview": {"GET": ADMIN},
    "audiences:audience_delete": {"GET": ADMIN, "POST": ADMIN},
    "audiences:audience_leads": {"GET": REP, "POST": REP},
    "audiences:audience_paste": {"POST": REP},
    "audiences:audience_remove_leads": {"POST": REP},
    "audiences:lead_audiences": {"GET": VIEWER},
    "audiences:lead_join": {"POST": REP},
    "audiences:lead_leave": {"POST": REP},
    "audiences:add_import": {"GET": REP, "POST": REP},
    "leads:lead_list": {"GET": VIEWER},
    "leads:lead_panel": {"GET": VIEWER},
    "leads:lead_row": {"GET": VIEWER},
    "leads:lead_head": {"GET": VIEWER},
    "leads:lead_import": {"GET": REP, "POST": REP},
    "leads:lead_import_detail": {"GET": REP},
    "leads:lead_import_refused": {"GET": REP},
    "billing:overview": {"GET": ADMIN},
    "billing:ledger": {"GET": ADMIN},
    "billing:ledger_csv": {"GET": ADMIN},
    "billing:grant": {"GET": ADMIN, "POST": ADMIN},
    "billing:edit_budget": {"GET": ADMIN, "POST": ADMIN},
    "billing:edit_rate": {"GET": ADMIN, "POST": ADMIN},
    "billing:unfreeze": {"POST": ADMIN},
    "billing:balance_card": {"GET": VIEWER},
    "enrichment:lead_enrichment": {"GET": VIEWER},
    "enrichment:start_enrichment": {"POST": REP},
    "enrichment:stop_enrichment": {"POST": REP},
    "enrichment:lead_history": {"GET": VIEWER},
    "enrichment:waterfall": {"GET": VIEWER, "POST": ADMIN},
    "enrichment:roll_back_waterfall": {"POST": ADMIN},
    "enrichment:provider_list": {"GET": ADMIN},
    "enrichment:connect_provider": {"GET": ADMIN, "POST": ADMIN},
    "enrichment:provider_detail": {"GET": ADMIN, "POST": ADMIN},
    "enrichment:replace_key": {"POST": ADMIN},
    "enrichment:test_provider": {"POST": ADMIN},
    "enrichment:switch_provider": {"POST": ADMIN},
}

# URL parameter -> what stands in the URL for a row made in ``workspace``.
ROWS = {
    "lead_id": lambda workspace: LeadFactory(workspace=workspace).pk,
    "audience_id": lambda workspace: AudienceFactory(workspace=workspace).pk,
    "member_id": lambda workspace: MembershipFactory(workspace=workspace).pk,
    "import_id": lambda workspace: LeadImport.objects.create(workspace=workspace, idempotency_key=uuid4()).pk,
    "provider_id": lambda workspace: ProviderFactory(workspace=workspace).pk,
    "number": lambda workspace: (
        waterfall_of(workspace, "work_email", ProviderFactory(workspace=workspace)).version
    ),
}
# URL parameters that name no row of a workspace.
CONSTANTS = {"channel": "work_email", "uid": "MQ", "token": "made-up"}

# What a POST sends where an empty form would not do.
DATA = {
    "workspaces:switch_workspace": lambda workspace: {"workspace": workspace.pk},
    "audiences:lead_join": lambda workspace: {"audience": AudienceFactory(workspace=workspace).pk},
}
# Answers that are right although the person may come in.
ALSO_FINE = {
    "workspaces:choose_password": {404},
    "readyz": {503},  # no worker runs beside a test
}

STRENGTH = [VIEWER, REP, ADMIN]
METHODS = ("GET", "POST")
NEVER = 2**62
WRITE = re.compile(
    r"\bINSERT INTO\b|\bDELETE FROM\b|\bTRUNCATE\b|(?<!FOR )(?<!FOR NO KEY )\bUPDATE\s+\"?\w", re.I
)


def walk(resolver, namespace=""):
    """(full name, parameter names) of every pattern below ``resolver``."""
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            yield from walk(entry, inner)
        elif isinstance(entry, URLPattern):
            yield f"{namespace}{entry.name}", tuple(entry.pattern.converters)


ROUTES = sorted(set(walk(get_resolver())))
KNOWN = [route for route in ROUTES if route[0] in RULES]
OF_A_ROW = [route for route in KNOWN if set(route[1]) & set(ROWS)]


def route_id(route):
    return f"{route[0]}({','.join(route[1])})" if isinstance(route, tuple) else str(route)


def may(person, needed):
    """Whether a member with role ``person`` reaches what needs ``needed``."""
    return needed in (PUBLIC, SIGNED_IN) or STRENGTH.index(person) >= STRENGTH.index(needed)


def url_of(route, workspace, *, never=False):
    """The route's URL with rows of ``workspace`` in it, or with numbers no row has."""
    name, parameters = route
    values = {
        parameter: CONSTANTS[parameter]
        if parameter in CONSTANTS
        else (NEVER if never else ROWS[parameter](workspace))
        for parameter in parameters
    }
    return reverse(name, kwargs=values)


def ask(client, route, method, url, workspace, **extra):
    """The response, and the statements that wrote anything but a session."""
    data = DATA.get(route[0], lambda workspace: {})(workspace) if method == "POST" else {}
    with CaptureQueriesContext(connection) as queries:
        response = getattr(client, method.lower())(url, data, **extra)
    return response, [
        query["sql"]
        for query in queries
        if WRITE.search(query["sql"]) and "django_session" not in query["sql"]
    ]


def assert_let_in(route, response):
    status = response.status_code
    assert status in ALSO_FINE.get(route[0], ()) or (status < 500 and status not in {401, 403, 404, 405}), (
        status
    )
    assert not (status == 302 and response.url.startswith("/login/?next="))


@pytest.fixture
def colleague(db):
    """``colleague("rep")``: a signed-in client and its workspace; None is a person without a workspace."""

    def _colleague(role, **options):
        if role is None:
            return sign_in(UserFactory(), **options), WorkspaceFactory()
        membership = MembershipFactory(role=role)
        if role == ADMIN:  # so that this one is not the last
            MembershipFactory(workspace=membership.workspace, admin=True)
        return sign_in(membership.user, **options), membership.workspace

    return _colleague


def test_every_route_has_a_name_and_a_rule_and_every_rule_a_route():
    names = {name for name, _ in ROUTES}
    assert not {name for name in names if name.endswith("None")}
    assert names - set(RULES) == set(), "routes without a rule"
    assert set(RULES) - names == set(), "rules without a route"
    parameters = {parameter for _, found in ROUTES for parameter in found}
    assert parameters - set(ROWS) - set(CONSTANTS) == set(), "URL parameters without a row"


@pytest.mark.parametrize("role", STRENGTH)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("route", KNOWN, ids=route_id)
def test_a_member_gets_what_the_role_allows_and_nothing_else(colleague, route, method, role):
    client, workspace = colleague(role)
    url = url_of(route, workspace)
    response, written = ask(client, route, method, url, workspace)
    needed = RULES[route[0]].get(method)
    if needed is None:
        assert response.status_code in ({405} if role == ADMIN else {403, 405})
        assert not written
    elif may(role, needed):
        assert_let_in(route, response)
        if method == "GET":
            assert not written, "a GET wrote"
    else:
        assert response.status_code == 403
        assert not written


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("route", KNOWN, ids=route_id)
def test_nobody_signed_in_is_sent_to_sign_in(client, db, route, method):
    workspace = WorkspaceFactory()
    url = url_of(route, workspace)
    response, written = ask(client, route, method, url, workspace)
    needed = RULES[route[0]].get(method)
    if needed == PUBLIC:
        return assert_let_in(route, response)
    assert not written
    if needed is not None:
        assert response.status_code == 302
        assert response.url.startswith("/login/?next=")
        fragment, _ = ask(client, route, method, url, workspace, headers=HTMX)
        assert fragment.status_code == 204
        assert fragment["HX-Redirect"].startswith("/login/")
    else:
        assert response.status_code in {302, 405}
    return None


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("route", KNOWN, ids=route_id)
def test_someone_without_a_workspace_reaches_only_their_own_account(colleague, route, method):
    client, workspace = colleague(None)
    response, written = ask(client, route, method, url_of(route, workspace), workspace)
    needed = RULES[route[0]].get(method)
    if needed == PUBLIC:
        return assert_let_in(route, response)
    assert not written
    if needed == SIGNED_IN:
        assert response.status_code in {200, 302, 404}
    elif needed is not None:
        assert response.status_code == 403
    return None


@pytest.mark.parametrize(
    ("route", "method"),
    [(route, method) for route in OF_A_ROW for method in METHODS if method in RULES[route[0]]],
    ids=route_id,
)
def test_a_row_of_another_workspace_looks_like_one_that_never_was(colleague, route, method):
    client, workspace = colleague(ADMIN)
    foreign, never = url_of(route, WorkspaceFactory()), url_of(route, workspace, never=True)
    there, written = ask(client, route, method, foreign, workspace)
    nowhere, _ = ask(client, route, method, never, workspace)
    assert there.status_code == nowhere.status_code == 404
    assert not written
    assert comparable(there, foreign) == comparable(nowhere, never)


def comparable(response, url):
    """The page without what differs from one request to the next: its own address and the CSRF tokens."""
    text = response.content.decode().replace(url, "URL")
    return re.sub(r'(csrfmiddlewaretoken" value="|X-CSRFToken": ")\w+', "", text)


@pytest.mark.parametrize("route", [r for r in KNOWN if "POST" in RULES[r[0]]], ids=route_id)
def test_a_post_without_the_csrf_token_changes_nothing(colleague, route):
    client, workspace = colleague(ADMIN, enforce_csrf_checks=True)
    response, written = ask(client, route, "POST", url_of(route, workspace), workspace)
    assert response.status_code == 403
    assert not written


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("route", KNOWN, ids=route_id)
def test_other_methods_have_no_effect(colleague, route, method):
    client, workspace = colleague(ADMIN)
    response, written = ask(client, route, method, url_of(route, workspace), workspace)
    assert response.status_code in {302, 403, 404, 405}
    assert not written
