"""Signing in: by e-mail however it is written, without telling who exists, and not a thousand times a minute."""

import pytest
from django.contrib.auth import hashers
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.urls import reverse

from tests.factories import PASSWORD, MembershipFactory, UserFactory
from workspaces import throttle

pytestmark = pytest.mark.django_db

LOGIN = "/login/"
REFUSAL = "Email or password is not right."


def attempt(client, email, password=PASSWORD, **extra):
    return client.post(LOGIN, {"username": email, "password": password, **extra})


def signed_in(client):
    return "_auth_user_id" in client.session


@pytest.fixture
def person():
    return MembershipFactory(user__email="maya@example.com").user


@pytest.fixture
def hashes(monkeypatch):
    """Counts the computed hashes; comparing with a stored one computes one too."""
    counted = []
    original = hashers.MD5PasswordHasher.encode

    def counting(self, *args, **kwargs):
        counted.append(1)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(hashers.MD5PasswordHasher, "encode", counting)
    return counted


@pytest.mark.parametrize("email", ["maya@example.com", " Maya@Example.COM "])
def test_the_right_password_signs_in_whatever_the_capitals(client, person, email):
    response = attempt(client, email)
    assert response.status_code == 302
    assert response.url == reverse("leads:lead_list")
    assert signed_in(client)


def test_the_session_is_renewed_at_sign_in(client, person):
    client.get(LOGIN)
    session = client.session
    session["planted"] = "before"
    session.save()
    before = client.session.session_key
    attempt(client, person.email)
    assert client.session.session_key != before
    assert not Session.objects.filter(session_key=before).exists()


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("maya@example.com", "wrong"),
        ("nobody@example.com", PASSWORD),
        ("gone@example.com", PASSWORD),
        ("invited@example.com", PASSWORD),
        ("not an address", PASSWORD),
        ("nul\0@example.com", PASSWORD),
        ("x" * 300 + "@example.com", PASSWORD),
        ("maya@example.com", ""),
        ("", ""),
    ],
)
def test_every_refusal_reads_the_same(client, person, email, password):
    UserFactory(email="gone@example.com", is_active=False)
    UserFactory(email="invited@example.com", password=None)
    response = attempt(client, email, password)
    assert response.status_code == 422
    page = response.content.decode()
    assert page.count(REFUSAL) == 1
    assert page.count('role="alert"') == 2  # the sentence, and the shell's live region
    assert not signed_in(client)


@pytest.mark.parametrize("email", ["maya@example.com", "nobody@example.com", "invited@example.com"])
def test_a_refusal_costs_one_hash_whether_the_account_exists_or_not(client, person, hashes, email):
    UserFactory(email="invited@example.com", password=None)
    hashes.clear()
    attempt(client, email, "wrong")
    assert hashes == [1]


def test_after_ten_wrong_passwords_nothing_is_hashed_and_the_right_one_is_refused(client, person, hashes):
    for _ in range(9):
        assert attempt(client, "maya@example.com", "wrong").status_code == 422
    last = attempt(client, "MAYA@example.com", "wrong")
    assert last.status_code == 429
    hashes.clear()
    response = attempt(client, "maya@EXAMPLE.com")
    assert response.status_code == 429
    assert response["Retry-After"] == "3600"
    assert "Too many attempts" in response.content.decode()
    assert hashes == []
    assert not signed_in(client)


def test_an_account_that_does_not_exist_is_locked_the_same_way(client, person):
    answers = [attempt(client, "nobody@example.com", "wrong").status_code for _ in range(11)]
    assert answers == [422] * 9 + [429, 429]


def test_the_lock_is_for_one_account_and_address(client, person):
    for _ in range(11):
        attempt(client, person.email, "wrong")
    other = MembershipFactory().user
    assert attempt(client, other.email).status_code == 302
    client.logout()
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    assert (
        client.post(LOGIN, {"username": person.email, "password": PASSWORD}, **elsewhere).status_code == 302
    )


def test_a_sign_in_forgets_the_wrong_passwords_before_it(client, person):
    for _ in range(9):
        attempt(client, person.email, "wrong")
    assert attempt(client, person.email).status_code == 302
    client.logout()
    assert attempt(client, person.email, "wrong").status_code == 422


def test_one_address_guessing_at_many_accounts_is_stopped_before_hashing(client, hashes, monkeypatch):
    monkeypatch.setattr(throttle, "FAILURES_PER_MINUTE", 5)
    for number in range(5):
        assert attempt(client, f"person{number}@example.com", "wrong").status_code == 422
    hashes.clear()
    assert attempt(client, "person6@example.com", "wrong").status_code == 429
    assert hashes == []
    cache.clear()  # the minute is over
    assert attempt(client, "person6@example.com", "wrong").status_code == 422


@pytest.mark.parametrize(
    ("target", "lands_on"),
    [
        ("/members/?x=1", "/members/?x=1"),
        ("https://evil.example/", "home"),
        ("//evil.example/", "home"),
        ("/\\evil.example", "home"),
        ("javascript:alert(1)", "home"),
        ("leads:lead_list", "home"),
        ("", "home"),
    ],
)
def test_next_leads_only_to_our_own_pages(client, person, target, lands_on):
    response = attempt(client, person.email, next=target)
    assert response.url == (reverse("leads:lead_list") if lands_on == "home" else lands_on)


def test_a_page_asked_for_before_signing_in_comes_afterwards(client, person):
    sent = client.get("/members/?x=1")
    assert sent.status_code == 302
    page = client.get(sent.url).content.decode()
    assert 'name="next" value="/members/?x=1"' in page


def test_a_poll_whose_session_ended_sends_the_whole_page_to_sign_in(client):
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/leads/?lead=4"}
    response = client.get("/members/", headers=headers)
    assert response.status_code == 204
    assert response["HX-Redirect"] == "/login/?next=%2Fleads%2F%3Flead%3D4"


def test_signing_out_takes_a_post_and_ends_the_session(client, person):
    attempt(client, person.email)
    assert client.get("/logout/").status_code == 405
    response = client.post("/logout/")
    assert response.url == LOGIN
    assert not signed_in(client)


def test_the_sign_in_page_is_not_shown_to_someone_signed_in(client, person):
    attempt(client, person.email)
    assert client.get(LOGIN).status_code == 302


def test_no_page_of_ours_is_kept_in_a_cache(client, person):
    assert client.get(LOGIN)["Cache-Control"] == "no-store, private"
    attempt(client, person.email)
    assert client.get("/password/")["Cache-Control"] == "no-store, private"
    assert client.get("/nowhere/")["Cache-Control"] == "no-store, private"


@pytest.mark.parametrize("target", ["abc", "1", "leads", "a\0b"])
def test_a_next_that_is_no_address_of_ours_is_no_error(client, person, target):
    response = client.post(LOGIN, {"username": person.email, "password": PASSWORD, "next": target})
    assert response.status_code == 302
    assert signed_in(client)


@pytest.mark.parametrize("key", ['"abcdefgh\\000"', "abcdefgh" + "é", "x" * 5_000])
def test_a_made_up_session_key_is_nobody(client, db, key):
    response = client.get("/leads/", headers={"Cookie": f"sessionid={key}"})
    assert response.status_code == 302
    assert response.url.startswith(LOGIN)


def test_a_fragment_with_a_broken_address_is_sent_to_sign_in(client, db):
    response = client.get("/leads/", headers={"HX-Request": "true", "HX-Current-URL": "http://["})
    assert response.status_code == 204
    assert response["HX-Redirect"] == LOGIN
