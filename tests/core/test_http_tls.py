"""The outbound client believes no server whose certificate does not vouch for it."""

import datetime
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core import http_connections
from core.http import HttpClient, NoAnswer, UnsafeConnection
from tests.core.raw_server import answer_of, raw_server


@pytest.fixture
def client():
    with HttpClient(allow_private=True, timeout=5) as client:
        yield client


@pytest.fixture(autouse=True)
def fresh_authorities():
    """The trusted authorities are read once per process; here each test brings its own."""
    http_connections.tls_context.cache_clear()
    yield
    http_connections.tls_context.cache_clear()


def certificate(tmp_path, *, address="127.0.0.1", days=(-1, 30)):
    """Return a server's TLS context and the file of the certificate it shows, which is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Headwater tests")])
    now = datetime.datetime.now(datetime.UTC)
    shown = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0] - 1))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, private = tmp_path / "cert.pem", tmp_path / "key.pem"
    chain.write_bytes(shown.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, private)
    return context, chain


def test_a_trusted_certificate_is_accepted_and_its_connection_kept(client, monkeypatch, tmp_path):
    context, chain = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    with raw_server(answer_of(b'{"safe": true}'), tls=context) as server:
        for _ in range(3):
            answer = client.request("GET", f"https://127.0.0.1:{server.port}/", params={"a": 1})
            assert answer.json() == {"safe": True}
        assert server.connections == 1


def test_tls_answers_end_by_the_deadline_too(client, monkeypatch, tmp_path):
    context, chain = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))

    def drip(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
        connection.settimeout(0.03)
        while True:
            connection.sendall(b"a")
            try:
                if not connection.recv(1):
                    return
            except TimeoutError:
                continue

    with raw_server(drip, tls=context) as server, pytest.raises(NoAnswer):
        client.request("GET", f"https://127.0.0.1:{server.port}/", deadline=0.4)


def test_an_unknown_authority_is_unsafe_and_nothing_is_sent(client, tmp_path):
    context, _ = certificate(tmp_path)
    with raw_server(answer_of(b"{}"), tls=context) as server:
        with pytest.raises(UnsafeConnection):
            client.request("GET", f"https://127.0.0.1:{server.port}/")
        assert server.requests == []


@pytest.mark.parametrize(
    "fault", [{"address": "127.0.0.2"}, {"days": (-20, -10)}], ids=["another server's", "expired"]
)
def test_a_wrong_certificate_is_unsafe(client, monkeypatch, tmp_path, fault):
    context, chain = certificate(tmp_path, **fault)
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    with raw_server(answer_of(b"{}"), tls=context) as server, pytest.raises(UnsafeConnection):
        client.request("GET", f"https://127.0.0.1:{server.port}/")


def test_the_environment_cannot_switch_verification_off(client, monkeypatch, tmp_path):
    context, chain = certificate(tmp_path)
    monkeypatch.setenv("CURL_CA_BUNDLE", "")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(chain))
    with raw_server(answer_of(b"{}"), tls=context) as server, pytest.raises(UnsafeConnection):
        client.request("GET", f"https://127.0.0.1:{server.port}/")


def test_a_server_without_tls_is_unsafe(client):
    with raw_server(greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n") as server, pytest.raises(UnsafeConnection):
        client.request("GET", f"https://127.0.0.1:{server.port}/")


def test_a_server_that_stops_in_the_handshake_gives_no_answer(client):
    with raw_server() as server, pytest.raises(NoAnswer):
        client.request("GET", f"https://127.0.0.1:{server.port}/", deadline=0.3)
