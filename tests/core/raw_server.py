"""Loopback servers that answer whatever bytes a test wants, well-formed or not."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Answer = bytes | Callable[[socket.socket], None]


@dataclass
class RawServer:
    """Where the server is and what it was asked."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/find"


@contextlib.contextmanager
def raw_server(
    answer: Answer = b"",
    *,
    reply: Callable[[bytes], bytes] | None = None,
    greeting: bytes = b"",
    tls: ssl.SSLContext | None = None,
) -> Iterator[RawServer]:
    """Serve until the block ends.

    Every request is answered with ``answer``; a callable one gets the socket, once, and then it is closed.
    ``reply`` makes the answer from the request. ``greeting`` is sent before anything was asked.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    server = RawServer(listener.getsockname()[1])
    open_sockets: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if tls is not None:
                connection = tls.wrap_socket(connection, server_side=True)
                open_sockets.append(connection)
            with connection:
                connection.sendall(greeting)
                while request := read_request(connection):
                    server.requests.append(request)
                    if callable(answer):
                        answer(connection)
                        return
                    connection.sendall(reply(request) if reply else answer)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                server.connections += 1
                open_sockets.append(connection)
                thread = threading.Thread(target=serve, args=(connection,), daemon=True)
                threads.append(thread)
                thread.start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield server
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(5)
        for connection in open_sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)


def read_request(connection: socket.socket) -> bytes:
    """Return one request, head and body, or nothing when the client is gone."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65_536)
        if not chunk:
            return b""
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def answer_of(body: bytes, *, status: str = "200 OK", headers: str = "", length: int | None = None) -> bytes:
    """Return the bytes of an answer; ``length`` may lie about the body's."""
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n{headers}\r\n".encode() + body


def wait_for_the_end(connection: socket.socket) -> None:
    """Keep quiet until the client goes away."""
    with contextlib.suppress(OSError):
        while connection.recv(65_536):
            pass


def reset(connection: socket.socket) -> None:
    """Drop the connection with a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
