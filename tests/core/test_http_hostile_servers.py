"""The outbound client against servers that drip, lie, bomb, redirect and break off."""

import gzip
import io
import socket
import threading
import time
import tracemalloc
import zlib

import pytest

from core.http import (
    BadBody,
    HttpClient,
    HttpError,
    NoAnswer,
    Redirected,
    TooLarge,
    Unreachable,
)
from tests.core.raw_server import answer_of, raw_server, reset, wait_for_the_end


@pytest.fixture
def client():
    with HttpClient(allow_private=True, timeout=5, connect_timeout=2) as client:
        yield client


def stopped(connection, seconds):
    """Wait as long as the client stays; True once it is gone."""
    connection.settimeout(seconds)
    try:
        return not connection.recv(1)
    except TimeoutError:
        return False
    except OSError:
        return True


def dripping(first, drop):
    """Send ``first``, then one drop at a time, each well within any limit per read."""

    def answer(connection):
        connection.sendall(first)
        while not stopped(connection, 0.03):
            connection.sendall(drop)

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(wait_for_the_end, id="silence"),
        pytest.param(dripping(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"), id="one header without end"),
        pytest.param(dripping(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"), id="headers, one by one"),
        pytest.param(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"a"), id="body"),
        pytest.param(
            dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"), id="chunks"
        ),
        pytest.param(dripping(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"), id="100s"),
        pytest.param(
            dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
            id="trailers",
        ),
    ],
)
def test_a_call_ends_by_its_deadline(client, answer):
    with raw_server(answer) as server:
        started = time.monotonic()
        with pytest.raises(HttpError) as caught:
            client.request("GET", server.url, deadline=0.25)
        assert time.monotonic() - started < 1.0
    # A hundred small headers are one kind of nonsense, a deadline is the other.
    assert isinstance(caught.value, NoAnswer | BadBody)


def test_the_clients_own_timeout_holds_when_a_call_names_no_deadline():
    with raw_server(wait_for_the_end) as server, HttpClient(allow_private=True, timeout=0.3) as client:
        started = time.monotonic()
        with pytest.raises(NoAnswer):
            client.request("GET", server.url)
        assert 0.25 < time.monotonic() - started < 1.0


def test_a_server_that_does_not_read_does_not_hold_a_call(client):
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        started = time.monotonic()
        with pytest.raises(NoAnswer):
            client.request(
                "POST",
                f"http://127.0.0.1:{listener.getsockname()[1]}/",
                json={"text": "a" * 30_000_000},
                deadline=0.4,
            )
        assert time.monotonic() - started < 2.0


def test_a_name_server_that_does_not_answer_does_not_hold_a_call(client, monkeypatch):
    released = threading.Event()

    def never(*args, **kwargs):
        released.wait(10)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", never)
    started = time.monotonic()
    with pytest.raises(Unreachable):
        client.request("GET", "http://slow.example/", deadline=0.3)
    assert time.monotonic() - started < 1.0
    released.set()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(reset, id="reset"),
        pytest.param(lambda connection: None, id="closed without a word"),
        pytest.param(lambda c: c.sendall(answer_of(b'{"a"', length=100)), id="body cut off"),
        pytest.param(
            lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{"),
            id="chunk cut off",
        ),
        pytest.param(
            lambda c: c.sendall(
                answer_of(gzip.compress(b'{"a": 1}' * 50)[:-12], headers="Content-Encoding: gzip\r\n")
            ),
            id="gzip cut off",
        ),
    ],
)
def test_a_broken_off_answer_is_no_answer_and_is_not_asked_again(client, answer):
    with raw_server(answer) as server:
        with pytest.raises(NoAnswer):
            client.request("GET", server.url)
        assert len(server.requests) == 1


def test_nothing_listening_is_unreachable(client):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable):
        client.request("GET", f"http://127.0.0.1:{port}/")


def test_an_unknown_name_is_unreachable(client, monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Unreachable):
        client.request("GET", "http://nowhere.example/")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308, 399])
def test_a_redirect_is_refused_without_reading_its_endless_body(client, status):
    def answer(connection):
        connection.sendall(f"HTTP/1.1 {status} Elsewhere\r\nLocation: http://127.0.0.1:1/\r\n\r\n".encode())
        while not stopped(connection, 0.001):
            connection.sendall(b"a" * 65_536)

    with raw_server(answer) as server:
        with pytest.raises(Redirected):
            client.request("GET", server.url)
        assert server.connections == 1


def test_a_body_within_the_limit_is_returned_and_one_byte_more_is_refused():
    with HttpClient(allow_private=True, max_bytes=1_000) as client:
        with raw_server(answer_of(b"a" * 1_000)) as server:
            assert client.request("GET", server.url).body == b"a" * 1_000
        with raw_server(answer_of(b"a" * 1_001)) as server, pytest.raises(TooLarge):
            client.request("GET", server.url)
        packed = answer_of(gzip.compress(b"a" * 1_000), headers="Content-Encoding: gzip\r\n")
        with raw_server(packed) as server:
            assert client.request("GET", server.url).body == b"a" * 1_000
        packed = answer_of(gzip.compress(b"a" * 1_001), headers="Content-Encoding: gzip\r\n")
        with raw_server(packed) as server, pytest.raises(TooLarge):
            client.request("GET", server.url)


def test_a_body_without_a_length_is_read_to_its_end_and_capped(client):
    def short(connection):
        connection.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"a": 1}')

    def endless(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not stopped(connection, 0.001):
            connection.sendall(b"a" * 65_536)

    with raw_server(short) as server:
        assert client.request("GET", server.url).json() == {"a": 1}
    with raw_server(endless) as server, pytest.raises(TooLarge):
        client.request("GET", server.url)


def gzip_bomb(megabytes):
    """A gzip stream of zeros; each megabyte of it packs into a kilobyte."""
    packer = zlib.compressobj(9, wbits=31)
    block = b"\0" * 1_000_000
    return b"".join([*(packer.compress(block) for _ in range(megabytes)), packer.flush()])


def test_a_gzip_bomb_takes_little_memory(client):
    bomb = answer_of(gzip_bomb(200), headers="Content-Encoding: gzip\r\n")
    with raw_server(bomb) as server:
        tracemalloc.start()
        with pytest.raises(TooLarge):
            client.request("GET", server.url)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 10_000_000


def test_a_bomb_inside_a_bomb_is_refused_unread(client):
    bomb = answer_of(gzip.compress(gzip_bomb(1)), headers="Content-Encoding: gzip, gzip\r\n")
    with raw_server(bomb) as server, pytest.raises(TooLarge):
        client.request("GET", server.url)


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "gzip;q=1", "x" * 500])
def test_an_encoding_that_was_not_asked_for_is_refused(client, encoding):
    with raw_server(answer_of(b"{}", headers=f"Content-Encoding: {encoding}\r\n")) as server:
        with pytest.raises(TooLarge):
            client.request("GET", server.url)
        assert b"Accept-Encoding: gzip\r\n" in server.requests[0]


def test_gzip_in_several_members_is_read_whole(client):
    packed = gzip.compress(b'{"a": ') + gzip.compress(b"1}")
    with raw_server(answer_of(packed, headers="Content-Encoding: gzip\r\n")) as server:
        assert client.request("GET", server.url).json() == {"a": 1}


def test_what_claims_to_be_gzip_and_is_not_is_a_bad_body(client):
    packed = answer_of(b"<html>", headers="Content-Encoding: gzip\r\n")
    with raw_server(packed) as server, pytest.raises(BadBody):
        client.request("GET", server.url)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 abc OK\r\n\r\n", id="status"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 70_000 + b"\r\n\r\n", id="giant header"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 150 + b"\r\n", id="many headers"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", id="two lengths"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", id="chunk size"),
    ],
)
def test_what_is_not_http_is_a_typed_error(client, answer):
    with raw_server(lambda connection: connection.sendall(answer)) as server, pytest.raises(HttpError):
        client.request("GET", server.url)


@pytest.mark.parametrize("length", ["-1", "junk", "9" * 5_000])
def test_a_nonsense_length_does_not_get_past_the_cap(client, length):
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode()

    def answer(connection):
        connection.sendall(head)
        while not stopped(connection, 0.001):
            connection.sendall(b"a" * 65_536)

    with raw_server(answer) as server, pytest.raises(TooLarge):
        client.request("GET", server.url)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<!doctype html><title>Sign in</title>", id="HTML"),
        pytest.param(b'\xef\xbb\xbf{"a": 1}', id="BOM"),
        pytest.param(b'{"a": 1} trailing', id="trailing rubbish"),
        pytest.param(b'{"a": 1}{"a": 2}', id="two values"),
        pytest.param(b'{"a": "\xff\xfe"}', id="invalid UTF-8"),
        pytest.param('{"a": 1}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b'{"a": NaN}', id="NaN"),
        pytest.param(b'{"a": -Infinity}', id="infinity"),
        pytest.param(b'{"a": 1e999}', id="infinity in digits"),
        pytest.param(b'{"a": ' + b"9" * 5_000 + b"}", id="5,000-digit integer"),
        pytest.param(b'{"a": ' + b"9" * 300 + b"}", id="300-digit integer"),
        pytest.param(b"[" * 200_000 + b"]" * 200_000, id="200,000-deep list"),
        pytest.param(b'{"a":' * 200_000 + b"1" + b"}" * 200_000, id="200,000-deep object"),
        pytest.param(b'{"a": 1', id="unclosed"),
    ],
)
def test_a_body_that_is_not_one_json_value_is_one_typed_error(client, body):
    with raw_server(answer_of(body)) as server:
        response = client.request("GET", server.url)
        with pytest.raises(BadBody) as caught:
            response.json()
    assert str(caught.value) == "The answer is not valid JSON."


def test_good_json_is_parsed(client):
    with raw_server(answer_of('{"a": [1, 2.5, -9007199254740993, "ü", null]}'.encode())) as server:
        assert client.request("GET", server.url).json() == {"a": [1, 2.5, -9007199254740993, "ü", None]}


def test_after_an_answer_that_was_too_large_the_next_call_gets_its_own(client):
    answers = iter([answer_of(b"a" * 3_000_000), answer_of(b'{"mine": true}')])

    def answer(connection):
        connection.sendall(next(answers))
        stopped(connection, 2)

    with raw_server(answer) as server:
        with pytest.raises(TooLarge):
            client.request("GET", server.url)
        assert client.request("GET", server.url).json() == {"mine": True}
        assert server.connections == 2


def test_the_raw_answer_can_be_told_apart_by_its_text(client):
    with raw_server(answer_of(b"Invalid API key\xff", status="401 Unauthorized")) as server:
        response = client.request("GET", server.url)
    assert (response.status, response.text()) == (401, "Invalid API key\N{REPLACEMENT CHARACTER}")
    assert io.StringIO(repr(response)).read().count("Invalid") == 0
