"""Admins add people, change roles and remove them; a workspace always keeps an admin."""

import re

import pytest
from django.test import Client

from tests.conftest import sign_in
from tests.factories import PASSWORD, MembershipFactory, UserFactory, WorkspaceFactory
from workspaces import services
from workspaces.exceptions import MemberError
from workspaces.models import AuditEvent, Membership, User

LINK = re.compile(r"http://testserver(/welcome/[^<\"]+)")
NEW = "a rather long new phrase"


def link_on(response):
    found = LINK.search(response.content.decode())
    return found[1] if found else None


def choose(path, password=NEW):
    client = Client()
    return client, client.post(path, {"new_password1": password, "new_password2": password})


def actions():
    return list(AuditEvent.objects.order_by("id").values_list("action", flat=True))


@pytest.mark.django_db
class TestAdding:
    def test_a_new_person_gets_a_link_that_works_once(self, client_for, workspace):
        response = client_for("admin").post("/members/add/", {"email": "New@Example.com", "role": "rep"})
        path = link_on(response)
        assert response.status_code == 200
        assert Membership.objects.get(user__email="new@example.com").role == "rep"
        assert Client().get(path).status_code == 200
        client, done = choose(path)
        assert done.status_code == 302
        assert "_auth_user_id" in client.session
        assert User.objects.get(email="new@example.com").check_password(NEW)
        assert choose(path, "another rather long phrase")[1].status_code == 404
        assert actions() == ["member.added"]

    def test_the_link_is_shown_on_that_answer_only(self, client_for):
        client = client_for("admin")
        client.post("/members/add/", {"email": "new@example.com", "role": "rep"})
        assert link_on(client.get("/members/")) is None
        assert not AuditEvent.objects.filter(details__icontains="welcome").exists()

    def test_someone_with_a_password_is_added_without_a_link(self, client_for, workspace):
        known = UserFactory(email="known@example.com")
        response = client_for("admin").post("/members/add/", {"email": "KNOWN@example.com", "role": "viewer"})
        assert response.status_code == 302
        assert Membership.objects.get(workspace=workspace, user=known).role == "viewer"

    def test_no_link_is_made_for_someone_of_another_workspace(self, client_for, workspace, other_workspace):
        elsewhere = MembershipFactory(workspace=other_workspace, admin=True, user__password=None)
        client = client_for("admin")
        added = client.post("/members/add/", {"email": elsewhere.user.email, "role": "viewer"}, follow=True)
        assert link_on(added) is None
        member = Membership.objects.get(workspace=workspace, user=elsewhere.user)
        assert link_on(client.post(f"/members/{member.pk}/link/")) is None

    def test_a_member_is_not_added_twice(self, client_for, rep):
        response = client_for("admin").post("/members/add/", {"email": rep.email, "role": "admin"})
        assert response.status_code == 422
        assert "is already a member" in response.content.decode()
        assert rep.memberships.get().role == "rep"

    @pytest.mark.parametrize(
        ("email", "role"), [("", "rep"), ("no address", "rep"), ("a@b.example", "owner")]
    )
    def test_a_wrong_form_adds_nobody(self, client_for, email, role):
        client = client_for("admin")
        before = User.objects.count()
        assert client.post("/members/add/", {"email": email, "role": role}).status_code == 422
        assert User.objects.count() == before

    def test_a_new_link_ends_the_earlier_one(self, client_for):
        client = client_for("admin")
        first = link_on(client.post("/members/add/", {"email": "new@example.com", "role": "rep"}))
        member = Membership.objects.get(user__email="new@example.com")
        second = link_on(client.post(f"/members/{member.pk}/link/"))
        assert second != first
        assert Client().get(first).status_code == 404
        assert choose(second)[1].status_code == 302
        assert client.post(f"/members/{member.pk}/link/").status_code == 409

    @pytest.mark.parametrize(
        "path", ["/welcome/x/y/", "/welcome/MQ/abc-def/", "/welcome/%00/y/", "/welcome/OTk5OTk5/a-b/"]
    )
    def test_a_made_up_link_is_not_found(self, client, path):
        assert client.get(path).status_code == 404

    def test_a_weak_password_is_refused_and_the_link_still_works(self, client_for):
        path = link_on(client_for("admin").post("/members/add/", {"email": "new@example.com", "role": "rep"}))
        assert choose(path, "short")[1].status_code == 422
        assert choose(path)[1].status_code == 302


@pytest.mark.django_db
class TestRolesAndRemoval:
    def test_a_changed_role_acts_at_the_next_request(self, client_for, rep, workspace):
        theirs = sign_in(rep)
        assert theirs.get("/members/").status_code == 403
        member = rep.memberships.get()
        client = client_for("admin")
        assert client.post(f"/members/{member.pk}/role/", {"role": "admin"}).status_code == 302
        assert theirs.get("/members/").status_code == 200
        assert client.post(f"/members/{member.pk}/role/", {"role": "viewer"}).status_code == 302
        assert theirs.get("/members/").status_code == 403
        assert actions() == ["member.role_changed"] * 2
        assert AuditEvent.objects.first().details == {"before": "admin", "after": "viewer"}

    def test_the_last_admin_cannot_be_demoted_or_removed(self, client_for, admin, rep):
        member = admin.memberships.get()
        client = client_for("admin")
        for answer in (
            client.post(f"/members/{member.pk}/role/", {"role": "rep"}),
            client.post(f"/members/{member.pk}/remove/"),
        ):
            assert answer.status_code == 409
            assert "at least one admin" in answer.content.decode()
        member.refresh_from_db()
        assert member.role == "admin"
        assert actions() == []

    def test_an_admin_may_go_while_another_stays(self, client_for, admin, workspace):
        other = MembershipFactory(workspace=workspace, admin=True)
        client = client_for("admin")
        assert client.post(f"/members/{admin.memberships.get().pk}/remove/").status_code == 302
        assert client.get("/members/").status_code == 403
        assert workspace.memberships.get() == other

    def test_removing_asks_first(self, client_for, rep):
        client, member = client_for("admin"), rep.memberships.get()
        page = client.get(f"/members/{member.pk}/remove/").content.decode()
        assert rep.email in page
        assert client.post(f"/members/{member.pk}/remove/").status_code == 302
        assert not rep.memberships.exists()
        assert actions() == ["member.removed"]

    def test_an_unknown_role_changes_nothing(self, client_for, rep):
        member = rep.memberships.get()
        assert client_for("admin").post(f"/members/{member.pk}/role/", {"role": "god"}).status_code == 422
        member.refresh_from_db()
        assert member.role == "rep"

    def test_a_hostile_name_is_only_text(self, client_for, workspace):
        MembershipFactory(workspace=workspace, user__name='<img src=x onerror="alert(1)">')
        page = client_for("admin").get("/members/").content.decode()
        assert "<img" not in page


@pytest.mark.django_db
def test_the_audit_log_pages_by_key(client_for, workspace, admin, other_workspace):
    for number in range(120):
        services.record_audit(
            workspace=workspace, actor=admin, action="thing.done", object_label=f"no. {number}"
        )
    services.record_audit(workspace=other_workspace, actor=None, action="secret.done", object_label="foreign")
    client, seen, url = client_for("admin"), [], "/audit/"
    while url:
        page = client.get(url).content.decode()
        assert "foreign" not in page
        seen += re.findall(r"no\. (\d+)<", page)
        older = re.search(r'href="(\?before=\d+)"', page)
        url = f"/audit/{older[1]}" if older else None
    assert seen == [str(number) for number in reversed(range(120))]
    for odd in ("x", "-1", "1" * 40, "²"):
        assert client.get(f"/audit/?before={odd}").status_code == 200


@pytest.mark.django_db
def test_a_page_of_members_costs_the_same_for_two_or_twenty(
    client_for, workspace, django_assert_max_num_queries
):
    client = client_for("admin")
    MembershipFactory.create_batch(20, workspace=workspace)
    with django_assert_max_num_queries(6):
        assert client.get("/members/").status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.concurrent
@pytest.mark.parametrize("round_", range(3))
def test_two_admins_demoting_each_other_leave_one(at_once, round_):
    workspace = WorkspaceFactory()
    one, two = (MembershipFactory(workspace=workspace, admin=True) for _ in range(2))
    results = at_once(
        lambda: services.change_role(membership=one, role="rep", actor=two.user),
        lambda: services.remove_member(membership=two, actor=one.user),
    )
    assert sum(isinstance(result, MemberError) for result in results) == 1
    assert workspace.memberships.filter(role="admin").count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.concurrent
def test_one_person_added_twice_at_once_is_one_member(at_once):
    workspace = WorkspaceFactory()
    admin = MembershipFactory(workspace=workspace, admin=True).user
    results = at_once(
        *[
            lambda: services.invite_member(
                workspace=workspace, email="new@example.com", role="rep", actor=admin
            )
        ]
        * 2
    )
    assert sum(isinstance(result, MemberError) for result in results) == 1
    assert workspace.memberships.count() == 2


def test_the_demo_password_is_long_enough():
    assert len(PASSWORD) >= 12
