"""Every answer carries the security headers, also those no view gave, and what is too much is refused early."""

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import RequestFactory

from core.middleware import BodyLimitMiddleware

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def too_large(client):
    return client.post("/login/", {}, CONTENT_LENGTH=str(settings.MAX_BODY_BYTES + 1))


ANSWERS = {
    "a page": (200, lambda client: client.get("/login/")),
    "no such page": (404, lambda client: client.get("/no/such/page/")),
    "a wrong host": (400, lambda client: client.get("/login/", headers={"Host": "evil.example"})),
    "a wrong method": (405, lambda client: client.get("/logout/")),
    "health": (200, lambda client: client.get("/healthz")),
    "a static file": (200, lambda client: client.get("/static/ui/favicon.svg")),
    "a body that is too large": (413, too_large),
}


@pytest.mark.django_db
@pytest.mark.parametrize(("status", "ask"), ANSWERS.values(), ids=ANSWERS)
def test_every_answer_carries_the_security_headers(client, status, ask):
    response = ask(client)
    response.close()
    assert response.status_code == status
    assert {name: response.headers.get(name) for name in HEADERS} == HEADERS
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("length", ["-1", "²", "1e3", "9" * 5_000, "1,2"])
def test_a_length_that_cannot_be_read_is_refused(length):
    request = RequestFactory().post("/login/", CONTENT_LENGTH=length)
    assert BodyLimitMiddleware(lambda request: pytest.fail("let through"))(request).status_code == 413


@pytest.mark.parametrize(
    "data",
    [
        {f"field{n}": "" for n in range(2_100)},
        {f"file{n}": SimpleUploadedFile("a.csv", b"x") for n in range(150)},
        {"file": SimpleUploadedFile("a.csv", b"x"), "note": "x" * 3_000_000},
    ],
    ids=["fields", "files", "one long field"],
)
def test_a_form_with_too_much_in_it_is_refused(client_for, data):
    response = client_for("admin").post("/leads/import/", data)
    assert response.status_code == 400
    assert "Content-Security-Policy" in response.headers


@pytest.mark.parametrize(
    "name", ["\0.csv", "../../etc/passwd", "x" * 5_000 + ".csv", "<b hx-get=/>.csv", "\u202efdp.csv"]
)
def test_a_hostile_file_name_is_no_error(client_for, name):
    client = client_for("rep")
    key = "0f8fad5b-d9cb-469f-a165-70867728950e"
    file = SimpleUploadedFile("leads.csv", b"name\nInes Moreau\n")
    file._name = name
    response = client.post("/leads/import/", {"file": file, "idempotency_key": key}, follow=True)
    assert response.status_code in {200, 400, 422}
    assert b"<b hx-get" not in response.content
