"""What a person sets for themselves: password, theme and the workspace they work in."""

import pytest
from django.test import Client

from tests.conftest import sign_in
from tests.factories import PASSWORD, MembershipFactory, UserFactory
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db
NEW = "a rather long new phrase"


def change(client, old=PASSWORD, new=NEW, again=NEW):
    return client.post("/password/", {"old_password": old, "new_password1": new, "new_password2": again})


def test_changing_the_password_ends_every_other_session(rep, workspace):
    here, there = sign_in(rep), sign_in(rep)
    assert there.get("/password/").status_code == 200
    assert change(here).status_code == 302
    assert here.get("/password/").status_code == 200
    assert there.get("/password/").status_code == 302
    rep.refresh_from_db()
    assert rep.check_password(NEW)
    event = AuditEvent.objects.get()
    assert (event.action, event.object_label, event.details) == ("member.password_set", rep.email, {})


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"old": "wrong"}, "That is not your current password."),
        ({"again": "another phrase entirely"}, "didn’t match"),
        ({"new": "short", "again": "short"}, "at least 12 characters"),
        ({"new": "password1234", "again": "password1234"}, "too common"),
    ],
)
def test_a_refused_password_says_why_and_changes_nothing(client_for, rep, fields, sentence):
    response = change(client_for(rep), **fields)
    assert response.status_code == 422
    assert sentence in response.content.decode().replace("&#x27;", "'")
    rep.refresh_from_db()
    assert rep.check_password(PASSWORD)


def test_someone_without_a_workspace_can_still_change_the_password():
    user = UserFactory()
    assert change(sign_in(user)).status_code == 302


@pytest.mark.parametrize(
    ("theme", "cookie"), [("light", "light"), ("dark", "dark"), ("system", ""), ("x", "")]
)
def test_the_theme_is_kept_in_a_cookie(client, theme, cookie):
    client.cookies["theme"] = "dark"
    response = client.post("/theme/", {"theme": theme, "next": "/login/"})
    assert response.url == "/login/"
    assert response.cookies["theme"].value == cookie


def test_the_theme_button_returns_to_the_page_it_was_on(client):
    back = client.post("/theme/", {"theme": "dark"}, headers={"Referer": "http://testserver/login/?next=/x/"})
    assert back.url == "http://testserver/login/?next=/x/"
    away = client.post("/theme/", {"theme": "dark"}, headers={"Referer": "https://evil.example/"})
    assert "evil" not in away.url
    page = client.get("/login/").content.decode()
    assert 'data-theme="dark"' in page


def test_switching_works_only_into_ones_own_workspaces(rep, workspace, other_workspace):
    client = sign_in(rep)
    refused = client.post("/workspaces/switch/", {"workspace": other_workspace.pk})
    never = client.post("/workspaces/switch/", {"workspace": 999_999})
    assert refused.status_code == never.status_code == 404
    for odd in ("", "abc", "1e9", "²"):
        assert client.post("/workspaces/switch/", {"workspace": odd}).status_code == 404
    MembershipFactory(user=rep, workspace=other_workspace, admin=True)
    assert client.get("/members/").status_code == 403
    assert client.post("/workspaces/switch/", {"workspace": other_workspace.pk}).status_code == 302
    page = client.get("/members/").content.decode()
    assert other_workspace.name in page


def test_a_removed_member_is_out_at_the_next_request(rep, workspace):
    client = sign_in(rep)
    rep.memberships.all().delete()
    assert client.get("/members/").status_code == 403
    assert Client().get("/members/").status_code == 302
