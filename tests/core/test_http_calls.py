"""What the outbound client sends, keeps, shares and never tells."""

import http.cookiejar
import json
import logging
import os
import socket
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest

from core import http_connections
from core.http import BadHeader, BadUrl, HttpClient, HttpError
from tests.core.raw_server import answer_of, raw_server, reset, wait_for_the_end

SECRET = "sk-very-secret-0123456789"


@pytest.fixture
def client():
    with HttpClient(allow_private=True, timeout=5) as client:
        yield client


def test_query_headers_and_body_arrive_as_given(client):
    with raw_server(answer_of(b"{}")) as server:
        client.request(
            "POST",
            server.url,
            params={"name": "Zoë & Co", "tag[]": ["a", "b"], "none": None},
            headers={"X-API-KEY": "k1", "Accept": "text/plain"},
            json={"ü": "\ud800"},
        )
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/find?name=Zo%C3%AB+%26+Co&tag%5B%5D=a&tag%5B%5D=b HTTP/1.1\r\n")
    assert b"X-API-KEY: k1" in head and b"Accept: text/plain" in head and b"User-Agent: Headwater" in head
    assert json.loads(body) == {"ü": "\ud800"}


def test_every_status_is_an_answer(client):
    for status in (200, 202, 222, 304, 400, 404, 429, 451, 500, 599):
        with raw_server(answer_of(b"" if status == 304 else b"{}", status=f"{status} X")) as server:
            assert client.request("GET", server.url).status == status


def test_headers_are_found_in_any_case_and_the_time_is_measured(client):
    with raw_server(answer_of(b"{}", headers="X-Call-Credits-Spent: 1\r\n")) as server:
        response = client.request("GET", server.url)
    assert response.headers["x-call-credits-spent"] == "1"
    assert 0 < response.elapsed < 5


def test_one_connection_serves_call_after_call(client):
    with raw_server(answer_of(b"{}")) as server:
        for _ in range(20):
            client.request("GET", server.url)
        assert (server.connections, len(server.requests)) == (1, 20)


def test_a_connection_that_idled_for_long_is_not_used_again(client, monkeypatch):
    with raw_server(answer_of(b"{}")) as server:
        client.request("GET", server.url)
        monkeypatch.setattr(http_connections, "MAX_IDLE_SECONDS", 0.0)
        client.request("GET", server.url)
        assert server.connections == 2


def test_a_kept_connection_the_server_closed_is_replaced(client):
    def once(connection):
        # In one segment with the end of the stream, so that the client cannot be quicker than the close.
        connection.sendall(answer_of(b"{}"), socket.MSG_MORE)
        connection.shutdown(socket.SHUT_WR)

    with raw_server(once) as server:
        for _ in range(3):
            assert client.request("GET", server.url).status == 200
        assert server.connections == 3


def test_sixty_four_threads_each_get_their_own_answer(client):
    def echo(request):
        return answer_of(json.dumps({"path": request.split(b" ")[1].decode()}).encode())

    def ask(number):
        answer = client.request("GET", f"http://127.0.0.1:{server.port}/{number}").json()
        return answer["path"] == f"/{number}"

    with raw_server(reply=echo) as server, ThreadPoolExecutor(64) as threads:
        assert all(threads.map(ask, range(640)))
        assert server.connections <= 64


def test_a_cookie_of_one_answer_is_not_sent_with_the_next_call(client, monkeypatch):
    parsed = []
    monkeypatch.setattr(http.cookiejar.CookieJar, "extract_cookies", lambda *args: parsed.append(args))
    with raw_server(answer_of(b"{}", headers="Set-Cookie: session=stolen; Path=/\r\n")) as server:
        client.request("GET", server.url)
        client.request("GET", server.url)
    assert b"stolen" not in b"".join(server.requests)
    assert parsed == []


def test_proxies_and_netrc_of_the_environment_are_ignored(client, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with raw_server(answer_of(b"{}")) as server:
        assert client.request("GET", server.url).status == 200
    assert b"Authorization" not in server.requests[0]


def test_a_forked_process_does_not_use_its_parents_connections(client, monkeypatch):
    with raw_server(answer_of(b"{}")) as server:
        client.request("GET", server.url)
        kept = client._transport
        monkeypatch.setattr(os, "getpid", lambda: -1)
        client.request("GET", server.url)
        assert server.connections == 2
        kept[1].close()


@pytest.mark.parametrize("value", [f"{SECRET}\n", f"{SECRET}\r\nX-Other: 1", f"{SECRET}–", f"{SECRET}\x00"])
def test_a_header_that_cannot_be_sent_is_refused_without_telling_it(client, value):
    with raw_server(answer_of(b"{}")) as server:
        with pytest.raises(BadHeader) as caught:
            client.request("GET", server.url, headers={"X-API-KEY": value})
        assert server.connections == 0
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("value", ["\ud800", "a\udfffb"])
def test_text_that_is_not_unicode_is_a_typed_error(client, value):
    with raw_server(answer_of(b"{}")) as server, pytest.raises(BadUrl):
        client.request("GET", server.url, params={"name": value})


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(reset, id="reset"),
        pytest.param(wait_for_the_end, id="silence"),
        pytest.param(answer_of(b"a" * 2_100_000), id="too large"),
        pytest.param(answer_of(b"", status="302 Found", headers="Location: /\r\n"), id="redirect"),
        pytest.param(b"nonsense\r\n\r\n", id="no HTTP"),
        pytest.param(answer_of(b"{}", length=9), id="cut off"),
    ],
)
def test_no_error_tells_a_key_or_a_query(client, answer):
    with raw_server(answer) as server, pytest.raises(HttpError) as caught:
        client.request(
            "GET",
            server.url,
            headers={"Authorization": f"Bearer {SECRET}"},
            params={"api_key": SECRET, "email": "ada@private.example"},
            deadline=0.2,
        )
    error, told = caught.value, ""
    while error is not None:
        told += str(error) + repr(error) + "".join(traceback.format_exception(error))
        error = error.__cause__ or error.__context__
    assert SECRET not in told
    assert "private.example" not in told


def test_no_log_line_tells_a_key_or_a_query(client, caplog):
    with caplog.at_level(logging.DEBUG), raw_server(answer_of(b"{}")) as server:
        client.request("GET", server.url, headers={"X-KEY": SECRET}, params={"api_key": SECRET})
    assert SECRET not in caplog.text
