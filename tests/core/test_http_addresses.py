"""Where the outbound client goes, and where it does not."""

import socket

import pytest

from core.http import (
    AddressRefused,
    BadUrl,
    HttpClient,
    Unreachable,
    is_public_address,
    validate_outbound_url,
)
from tests.core.raw_server import answer_of, raw_server


def resolving_to(monkeypatch, *answers):
    """Make every name resolve to ``answers``, one list of addresses per look-up, the last one for good."""
    looked_up = []

    def lookup(host, port, *args, **kwargs):
        addresses = answers[min(len(looked_up), len(answers) - 1)]
        looked_up.append(host)
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (address, port, 0, 0) if ":" in address else (address, port),
            )
            for address in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return looked_up


@pytest.fixture
def guarded():
    with HttpClient(allow_private=False, timeout=1, connect_timeout=0.5) as client:
        yield client


PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:c0a8:101::1",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%lo",
    "fec0::1",
    "ff02::1",
    "2a00:1450::1%eth0",
    "not an address",
    "",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_only_global_unicast_counts_as_public(address):
    assert not is_public_address(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "8.8.8.8", "100.63.255.255", "172.32.0.1", "223.255.255.254", "2a00:1450:4001::1"]
)
def test_ordinary_addresses_are_public(address):
    assert is_public_address(address)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "localhost.",
        "2130706433",
        "127.1",
        "0177.0.0.1",
        "0x7f000001",
        "0x7f.0.0.1",
        "127.0.0.01",
        "134744072",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
    ],
)
def test_no_spelling_of_a_private_address_is_called(guarded, host):
    with raw_server(answer_of(b"{}")) as server:
        with pytest.raises((AddressRefused, BadUrl, Unreachable)) as caught:
            guarded.request("GET", f"http://{host}:{server.port}/")
        assert server.connections == 0
    assert type(caught.value) is AddressRefused or host == "localhost."


def test_a_name_with_one_private_record_among_public_ones_is_refused(guarded, monkeypatch):
    for records in (["8.8.8.8", "127.0.0.1"], ["2a00:1450:4001::1", "8.8.8.8", "::1"]):
        resolving_to(monkeypatch, records)
        with pytest.raises(AddressRefused):
            guarded.request("GET", "http://mixed.example/")


def test_a_name_that_changes_its_mind_after_the_check_is_refused_at_the_connection(guarded, monkeypatch):
    resolving_to(monkeypatch, ["8.8.8.8"], ["127.0.0.1"])
    with raw_server(answer_of(b"{}")) as server:
        url = f"http://rebinding.example:{server.port}/"
        assert validate_outbound_url(url, allow_private=False) == url
        with pytest.raises(AddressRefused):
            guarded.request("GET", url)
        assert server.connections == 0


def test_the_address_that_was_checked_is_the_one_connected_to(monkeypatch):
    looked_up = resolving_to(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])
    with raw_server(answer_of(b"{}")) as server, HttpClient(allow_private=True) as client:
        assert client.request("GET", f"http://once.example:{server.port}/").status == 200
        assert server.connections == 1
    assert looked_up == ["once.example"]


def test_the_next_address_is_tried_when_the_first_does_not_answer(monkeypatch):
    resolving_to(monkeypatch, ["127.0.0.2", "127.0.0.1"])
    with raw_server(answer_of(b"{}")) as server, HttpClient(allow_private=True) as client:
        assert client.request("GET", f"http://two.example:{server.port}/").status == 200


BAD_URLS = [
    "",
    "example.com",
    "//example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1/",
    "javascript:alert(1)",
    "http://",
    "http:///path",
    "http://user:secret@example.com/",
    "http://user@example.com/",
    "http://@example.com/",
    "http://example.com\\@127.0.0.1/",
    "http://exa mple.com/",
    "http://example.com/\r\nX-Injected: 1",
    "http://example.com/\x00",
    "http://example.com:99999/",
    "http://example.com:0/",
    "http://example.com:abc/",
    "http://[::1/",
    "http://[zz]/",
    "http://example.com/" + "a" * 3_000,
]


@pytest.mark.parametrize("url", BAD_URLS)
@pytest.mark.parametrize("allow_private", [True, False])
def test_a_url_that_is_no_plain_web_address_is_refused(url, allow_private):
    with pytest.raises(BadUrl) as caught:
        validate_outbound_url(url, allow_private=allow_private)
    assert "secret" not in str(caught.value)
    with HttpClient(allow_private=allow_private) as client, pytest.raises(BadUrl):
        client.request("GET", url)


def test_a_form_gets_the_trimmed_address_back_without_its_fragment(monkeypatch):
    resolving_to(monkeypatch, ["8.8.8.8"])
    checked = validate_outbound_url("  https://api.example/v2?tenant=7#top ", allow_private=False)
    assert checked == "https://api.example/v2?tenant=7"


def test_a_form_is_told_in_words_why_not(monkeypatch):
    with pytest.raises(AddressRefused, match="private or reserved network"):
        validate_outbound_url("http://127.0.0.1/", allow_private=False)
    with pytest.raises(AddressRefused, match="four plain numbers"):
        validate_outbound_url("http://2130706433/", allow_private=False)
    with pytest.raises(BadUrl, match="starts with https"):
        validate_outbound_url("api.hunter.io", allow_private=False)
    assert validate_outbound_url("http://127.0.0.1:9/", allow_private=True) == "http://127.0.0.1:9/"


def test_a_name_nobody_knows_is_said_to_be_unknown(monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Unreachable, match="no server of this name"):
        validate_outbound_url("https://nobody.example/", allow_private=False)


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "xn--" + "a" * 70, "-.example", "a..b.example"])
def test_an_impossible_name_is_a_typed_error(host, guarded):
    with pytest.raises((BadUrl, Unreachable)):
        guarded.request("GET", f"http://{host}/")
