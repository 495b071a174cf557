"""Hostile values in every place of every route: no answer is a 500, and nothing crosses a workspace's border.

Each value goes into one field at a time, the other fields being right, so that it gets as far as it can.
A new POST route fails here until it has a line in FIELDS.
"""

from itertools import product
from urllib.parse import quote
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import transaction
from django.http import HttpResponseBase
from django.test import Client
from django.urls import reverse

from leads.models import LeadImport
from tests.conftest import sign_in
from tests.factories import (
    AudienceFactory,
    ContactPointFactory,
    LeadFactory,
    MembershipFactory,
    WorkspaceFactory,
)
from tests.factories.billing import CreditAccountFactory, HoldFactory
from tests.factories.enrichment import KEY, ProviderFactory, RunItemFactory, waterfall_of
from tests.factories.workspaces import PASSWORD
from tests.test_access_matrix import CONSTANTS, ROUTES, RULES

# Nothing listens there, and it is no network.
NOWHERE = "http://127.0.0.1:9"
MARK = "Zanzibar"

TEXTS = [
    "",
    "a\0b",
    str(2**31),
    str(2**63),
    "9" * 18,
    "-1.2:3",
    "9" * 5_000,
    "²",
    "㌀" * 200,  # folded it is six times as long
    "\u202e\u200b🏴\u200d☠" + "\u0308" * 300,
    "'\"><img src=x onerror=alert(1)><b hx-post=/billing/grant/ hx-trigger=load>",
    "a & b | !c:* <-> 'd' \\' OR 1=1; --",
    "//evil.example/",
    "http://[",
    "x\r\nSet-Cookie: a=b",
]
# Fields and parameters that name a row, and fields that name an earlier request.
ROW_FIELDS = {"lead", "audience", "order", "on", "move", "workspace"}
ROW_PARAMETERS = {"audience", "imported", "before", "after"}
KEY_FIELDS = {"key", "idempotency_key"}
URL_NUMBERS = ["0", str(2**31), str(2**63 - 1), str(2**63), str(10**30), "9" * 5_000]
URL_TEXTS = [quote(text) for text in ("\0", "a\0b", "x" * 3_000, "'\"><b>", "-1", "+1-a", "MQ==", "é", "%")]

# What each GET route reads of its query string.
QUERIES = {
    "workspaces:login": ["next"],
    "workspaces:audit_log": ["before"],
    "leads:lead_list": ["q", "status", "audience", "missing", "sort", "imported", "cursor", "page"],
    "leads:lead_panel": ["q", "status", "audience", "missing", "sort", "imported", "cursor"],
    "leads:lead_row": ["q", "sort"],
    "audiences:audience_detail": ["after"],
    "audiences:audience_leads": ["q"],
    "audiences:channels_preview": ["channels"],
    "audiences:default_preview": ["channels"],
    "billing:overview": ["by"],
    "billing:ledger": ["kind", "holds", "before", "after"],
    "billing:ledger_csv": ["kind", "holds", "before", "after"],
    "enrichment:lead_enrichment": ["settled"],
    "enrichment:lead_history": ["show", "length"],
    "enrichment:waterfall": ["versions", "from", "to"],
    "enrichment:connect_provider": ["vendor"],
}

# What each POST route takes, all of it right.
FIELDS = {
    "home": lambda home: {},
    "workspaces:login": lambda home: {
        "username": home.admin.email, "password": "wrong-on-purpose", "next": "/leads/"
    },
    "workspaces:logout": lambda home: {},
    "workspaces:choose_password": lambda home: {"new_password1": "x" * 20, "new_password2": "x" * 20},
    "workspaces:password_change": lambda home: {
        "old_password": PASSWORD, "new_password1": "Quiet-harbour-29", "new_password2": "Quiet-harbour-29"
    },
    "workspaces:set_theme": lambda home: {"theme": "dark", "next": "/leads/"},
    "workspaces:switch_workspace": lambda home: {"workspace": home.workspace.pk},
    "workspaces:member_add": lambda home: {"email": "new@example.com", "role": "rep"},
    "workspaces:member_role": lambda home: {"role": "viewer"},
    "workspaces:member_link": lambda home: {},
    "workspaces:member_remove": lambda home: {},
    "audiences:audience_create": lambda home: {"name": "Ours", "channels": "phone"},
    "audiences:default_channels": lambda home: {"channels": "phone"},
    "audiences:audience_rename": lambda home: {"name": "Ours"},
    "audiences:audience_channels": lambda home: {"channels": "phone"},
    "audiences:audience_delete": lambda home: {},
    "audiences:audience_leads": lambda home: {"lead": home.values["lead_id"]},
    "audiences:audience_paste": lambda home: {"values": "ines@halden.example"},
    "audiences:audience_remove_leads": lambda home: {"lead": home.values["lead_id"]},
    "audiences:lead_join": lambda home: {"audience": home.values["audience_id"]},
    "audiences:lead_leave": lambda home: {},
    "audiences:add_import": lambda home: {"audience": home.values["audience_id"]},
    "leads:lead_import": lambda home: {"idempotency_key": uuid4(), "file": ""},
    "billing:grant": lambda home: {"amount": 5, "note": "Top-up", "key": uuid4()},
    "billing:edit_budget": lambda home: {"monthly_limit": 5, "renewal_day": 1, "alert_percent": 80},
    "billing:edit_rate": lambda home: {
        "credits": 5, "provider:hunter": 4, "new_provider": "clay", "new_credits": 3
    },
    "billing:unfreeze": lambda home: {},
    "enrichment:start_enrichment": lambda home: {
        "idempotency_key": uuid4(), "quoted": 1_000, "ask_again": "on"
    },
    "enrichment:stop_enrichment": lambda home: {},
    "enrichment:waterfall": lambda home: {
        "order": home.values["provider_id"],
        "on": home.values["provider_id"],
        "base_version": home.values["number"],
        "move": f"{home.values['provider_id']}:up",
    },
    "enrichment:roll_back_waterfall": lambda home: {},
    "enrichment:connect_provider": lambda home: {
        "vendor": "hunter",
        "name": "Second",
        "base_url": NOWHERE,
        "timeout_seconds": 5,
        "recheck_days": 5,
        "api_key": KEY,
        "save_anyway": "1",
    },
    "enrichment:provider_detail": lambda home: {
        "name": "Hunter", "base_url": NOWHERE, "timeout_seconds": 5, "recheck_days": 5
    },
    "enrichment:replace_key": lambda home: {"api_key": KEY, "save_anyway": "1"},
    "enrichment:test_provider": lambda home: {},
    "enrichment:switch_provider": lambda home: {"on": "1"},
}  # fmt: skip

POSTS = [route for route in ROUTES if "POST" in RULES[route[0]]]


class Place:
    """A workspace with one row of everything, and an admin; ``values`` is what stands in URLs for its rows."""

    def __init__(self, mark=""):
        self.workspace = workspace = WorkspaceFactory(name=f"{mark or 'Home'}")
        self.admin = MembershipFactory(workspace=workspace, admin=True).user
        self.member = MembershipFactory(workspace=workspace, user__name=f"{mark} Person")
        lead = LeadFactory(workspace=workspace, missing_all=True, full_name=f"{mark} Moreau")
        ContactPointFactory(lead=lead, value=f"{mark.lower()}ines@halden.example")
        busy = RunItemFactory(lead=LeadFactory(workspace=workspace, full_name=f"{mark} Busy"), running=True)
        audience = AudienceFactory(workspace=workspace, name=f"{mark} All", leads=[lead])
        provider = ProviderFactory(workspace=workspace, name=f"{mark} Hunter", base_url=NOWHERE)
        CreditAccountFactory(workspace=workspace)
        hold = HoldFactory(workspace=workspace, account=None, subject_label=f"{mark} Subject")
        done = LeadImport.objects.create(
            workspace=workspace, idempotency_key=uuid4(), file_name=f"{mark}.csv", columns=["Name"]
        )
        self.values = {
            "lead_id": lead.pk,
            "audience_id": audience.pk,
            "member_id": self.member.pk,
            "import_id": done.pk,
            "provider_id": provider.pk,
            "number": waterfall_of(workspace, "work_email", provider).version,
        }
        self.ids = {*self.values.values(), busy.pk, busy.lead_id, hold.pk, workspace.pk, self.member.user_id}
        self.untouched = self.rows()
        self.keys = [done.idempotency_key, busy.run.idempotency_key]

    def url(self, route, **changes):
        """The route's URL with this place's rows in it, or with ``changes`` put in as they stand."""
        name, parameters = route
        known = {**CONSTANTS, **self.values}
        marks = {parameter: 7_000_000_000 + n for n, parameter in enumerate(parameters)}
        texts = {
            parameter: known[parameter] if parameter in CONSTANTS and parameter not in changes else mark
            for parameter, mark in marks.items()
        }
        url = reverse(name, kwargs=texts)
        for parameter, mark in marks.items():
            if texts[parameter] == mark:
                url = url.replace(str(mark), str(changes.get(parameter, known[parameter])))
        return url

    def rows(self):
        """Everything the database holds of this workspace."""
        found = []
        for model in apps.get_models():
            if any(field.name == "workspace" for field in model._meta.fields):
                found.append(
                    sorted(map(repr, model.objects.filter(workspace=self.workspace.pk).values_list()))
                )
        return found


@pytest.fixture
def home(db):
    """The workspace that is signed in to."""
    return Place()


@pytest.fixture
def abroad(db, home):
    """The one that must neither be read nor changed."""
    return Place(MARK)


class Attacker:
    """Sends requests that leave nothing behind, and remembers every answer that was wrong."""

    def __init__(self, user):
        self.client: Client = sign_in(user)
        self.cookies = {name: morsel.value for name, morsel in self.client.cookies.items()}
        self.wrong: list[str] = []

    def send(self, what, method, url, data=None, *, unchanged=None, **extra) -> HttpResponseBase | None:
        """One request; afterwards the database and the session are as before."""
        self.client.cookies.clear()
        for name, value in self.cookies.items():
            self.client.cookies[name] = value
        mark = transaction.savepoint()
        try:
            response = getattr(self.client, method.lower())(url, data or {}, **extra)
            body = b"".join(response.streaming_content) if response.streaming else response.content
            if response.status_code >= 500 and "readyz" not in what:  # no worker runs beside a test
                self.wrong.append(f"{what}: {response.status_code}")
            if MARK.encode() in body:
                self.wrong.append(f"{what}: shows another workspace")
            if unchanged and unchanged.rows() != unchanged.untouched:
                self.wrong.append(f"{what}: changed another workspace")
        except Exception as error:
            self.wrong.append(f"{what}: {type(error).__name__}: {str(error)[:90]}")
            return None
        finally:
            transaction.savepoint_rollback(mark)
        return response


def short(value):
    return repr(value)[:40]


def test_every_post_route_has_its_fields_here():
    assert {name for name, _ in POSTS} == set(FIELDS)


def test_no_value_in_a_url_is_an_error(home):
    attacker = Attacker(home.admin)
    for route in ROUTES:
        for parameter, method in product(route[1], RULES[route[0]]):
            is_text = parameter in CONSTANTS
            for value in URL_TEXTS if is_text else URL_NUMBERS:
                url = home.url(route, **{parameter: value})
                attacker.send(f"{method} {route[0]} {parameter}={short(value)}", method, url)
    assert attacker.wrong == []


def test_no_value_in_a_query_string_is_an_error(home, abroad):
    attacker = Attacker(home.admin)
    for route in ROUTES:
        names = QUERIES.get(route[0], ())
        pairs = [*product(names, TEXTS), *product(ROW_PARAMETERS & set(names), abroad.ids)]
        for name, value in pairs:
            what = f"GET {route[0]}?{name}={short(value)}"
            attacker.send(what, "GET", home.url(route), {name: value})
    assert attacker.wrong == []


def test_no_value_in_a_field_is_an_error(home, abroad):
    attacker, stranger = Attacker(home.admin), Attacker(None)
    for route in POSTS:
        right = FIELDS[route[0]](home)
        sender = stranger if route[0] == "workspaces:login" else attacker
        for name, value in product(right, TEXTS):
            what = f"POST {route[0]} {name}={short(value)}"
            sender.send(what, "POST", home.url(route), {**right, name: value})
    assert attacker.wrong + stranger.wrong == []


def test_no_id_or_key_of_another_workspace_has_an_effect_there(home, abroad):
    attacker = Attacker(home.admin)
    for route in POSTS:
        right = FIELDS[route[0]](home)
        hostile = [(name, value) for name in ROW_FIELDS & set(right) for value in sorted(abroad.ids)]
        hostile += [(name, value) for name in KEY_FIELDS & set(right) for value in abroad.keys]
        hostile += [("move", f"{abroad.values['provider_id']}:up")] if "move" in right else []
        for name, value in hostile:
            # Also twice over, the second time right: what is checked must be what is used.
            for sent in (value, [value, right[name]]):
                what = f"POST {route[0]} {name}={sent}"
                attacker.send(what, "POST", home.url(route), {**right, name: sent}, unchanged=abroad)
    assert attacker.wrong == []


@pytest.mark.parametrize("role", [None, "viewer", "rep"])
def test_no_role_gets_further_with_hostile_values(home, abroad, role):
    user = role and MembershipFactory(workspace=home.workspace, role=role).user
    attacker = Attacker(user)
    for route in ROUTES:
        names = FIELDS.get(route[0], dict)(home) if route in POSTS else {}
        for value in ("a\0b", str(abroad.values["lead_id"])):
            for method, fields in (("GET", QUERIES.get(route[0], ())), ("POST", names)):
                data = dict.fromkeys(fields, value)
                unchanged = abroad if method == "POST" else None
                attacker.send(
                    f"{method} {route[0]} {short(value)}", method, home.url(route), data, unchanged=unchanged
                )
    assert attacker.wrong == []


HEADERS = [
    {"HX-Request": "true", "HX-Current-URL": "http://["},
    {"HX-Request": "true", "HX-Current-URL": "https://evil.example/", "HX-Boosted": "true"},
    {"Referer": "http://[", "X-Forwarded-For": "' OR 1=1", "User-Agent": "\0" + "x" * 10_000, "Accept": "\0"},
    {"Cookie": 'sessionid="abcdefgh\\000"; csrftoken="\\000"; messages="\\000"; theme="\\000"'},
    {"Cookie": "sessionid=" + "x" * 5_000 + "; messages=[[]]"},
    {"Host": "evil.example"},
]


def test_no_header_is_an_error(home):
    signed_in, stranger = Attacker(home.admin), Attacker(None)
    for headers, route in product(HEADERS, ROUTES):
        attacker = stranger if {"Cookie", "HX-Request"} & set(headers) else signed_in
        for method in RULES[route[0]]:
            data = FIELDS[route[0]](home) if method == "POST" else {}
            what = f"{sorted(headers.items())} {method} {route[0]}"
            attacker.send(what, method, home.url(route), data, headers=headers)
    assert signed_in.wrong + stranger.wrong == []
