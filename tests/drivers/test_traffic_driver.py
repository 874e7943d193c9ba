"""Octets in bulk: both directions at once, memory, and what a server says before it hangs up."""

import io
import select
import socket
import ssl
import tracemalloc
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest

from mailbridge import Security, Server, SMTPDataError, SMTPSenderRefused, State
from mailbridge.message import MessageSource
from mailbridge.testing import ScriptedServer
from mailbridge.testing.certificates import Authority
from tests.drivers.helpers import BOTH, HEADER, MESSAGE, PATIENCE, Line, client_of, client_to, peer, plain

pytestmark = pytest.mark.usefixtures("driver")

MEGABYTE = 1024 * 1024


def envelope(line: Line) -> None:
    """Accept MAIL and two RCPT."""
    for verb in (b"MAIL", b"RCPT", b"RCPT"):
        line.hear(verb)
        line.say(b"250 ok\r\n")


def chunks(line: Line, reply: bytes) -> None:
    """Read all BDAT chunks and say `reply` to each."""
    last = False
    while not last:
        words = line.hear(b"BDAT").split()
        last, left = words[-1] == b"LAST", int(words[1])
        while left:
            left -= len(line.file.read(min(left, 65536)))
        line.say(reply)


def data(line: Line) -> None:
    """Read content behind a 354 without keeping it."""
    line.hear(b"DATA")
    line.say(b"354 go\r\n")
    tail = b""
    while not tail.endswith(b"\r\n.\r\n"):
        tail = (tail + line.connection.recv(65536))[-5:]
    line.say(b"250 ok\r\n")


def test_two_full_windows() -> None:
    """A server that writes while it does not read meets a client that reads while it cannot write."""
    reply = b"250-" + b"x" * 5000 + b"\r\n"
    reply = reply * 24 + b"250 ok\r\n"

    def talk(sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        with Line(sock) as line:
            line.greet(b"PIPELINING", b"CHUNKING")
            envelope(line)
            chunks(line, reply)
            line.drain()

    with peer(talk) as port, client_to(plain(port)) as client:
        assert client.send(HEADER + b"\r\n" + b"x" * 70 * 170_000).complete


def test_a_421_that_comes_while_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read in the middle of a write it ends the dialogue at once, though the server keeps the line open (R3)."""
    real, turns = socket.socket.send, iter(["only MAIL", "nothing"])

    def send(sock: socket.socket, octets: memoryview) -> int:
        match next(turns, None) if b"RCPT" in bytes(octets) else None:
            case "only MAIL":
                return real(sock, octets[: bytes(octets).index(b"RCPT")])
            case "nothing":
                select.select([sock], [], [], PATIENCE)
                raise BlockingIOError
            case _:
                return real(sock, octets)

    def talk(sock: socket.socket) -> None:
        with Line(sock) as line:
            line.greet(b"PIPELINING")
            line.hear(b"MAIL")
            line.say(b"421 4.3.2 enough\r\n")
            assert line.file.read() == b""

    with peer(talk) as port:
        monkeypatch.setattr(socket.socket, "send", send, raising=False)
        with pytest.raises(SMTPSenderRefused, match="enough"):
            client_to(plain(port)).send(MESSAGE)


@pytest.mark.parametrize("extensions", [(b"CHUNKING", b"PIPELINING"), (b"8BITMIME",)])
@pytest.mark.parametrize(("source", "copies"), [("octets", 0.1), ("file", 0.1), ("message", 1.1)])
def test_memory(extensions: tuple[bytes, ...], source: str, copies: float, tmp_path: Path) -> None:
    """A large message costs at most one copy beyond what the caller holds, and none from octets or a file."""

    def talk(sock: socket.socket) -> None:
        with Line(sock) as line:
            line.greet(*extensions)
            envelope(line)
            if b"CHUNKING" in extensions:
                chunks(line, b"250 ok\r\n")
            else:
                data(line)
            line.drain()

    # Writing base64 is slow under tracemalloc; the share that is copied is the same.
    size = (4 if source == "message" else 25) * MEGABYTE
    message = _source(source, size, tmp_path)
    with peer(talk) as port, client_to(plain(port)) as client:
        tracemalloc.start()
        try:
            client.send(message, sender="a@example.com", recipients=BOTH)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    if isinstance(message, io.IOBase):
        message.close()
    # An attachment stands in the message in base64.
    held = size * 4 / 3 * 78 / 76 if source == "message" else size
    assert peak < copies * held + 2 * MEGABYTE


def _source(kind: str, size: int, folder: Path) -> MessageSource:
    octets = HEADER + b"\r\n" + b"0123456789abcdef.ABCDEF.0123456789abcdef..\r\n" * (size // 44)
    if kind == "octets":
        return octets
    if kind == "file":
        path = folder / "message.eml"
        path.write_bytes(octets)
        return path.open("rb")
    message = EmailMessage()
    message["From"], message["To"] = "a@example.com", BOTH
    message.set_content("see attachment\n")
    message.add_attachment(octets[:size], maintype="application", subtype="octet-stream", filename="a.bin")
    return message


def refusing_midway(wrap: Callable[[socket.socket], socket.socket]) -> Callable[[socket.socket], None]:
    """A server that has seen enough: it says 421 into the content and resets the connection."""

    def talk(sock: socket.socket) -> None:
        with wrap(sock) as connection, Line(connection) as line:
            line.greet()
            envelope(line)
            line.hear(b"DATA")
            line.say(b"354 go\r\n")
            line.file.read(100_000)
            line.say(b"421 4.3.1 disk full\r\n")
            # Closing with unread octets makes the kernel send RST: the client's writes fail.

    return talk


def assert_refused_midway(server: Server) -> None:
    client = client_to(server)
    with pytest.raises(SMTPDataError, match=r"421 4\.3\.1 disk full") as caught:
        client.send(HEADER + b"\r\n" + b"x" * 70 * 200_000)
    assert caught.value.receipt is not None
    assert [r.state for r in caught.value.receipt.results.values()] == [State.DEFERRED] * 2
    assert not client.connected


def test_a_421_before_the_broken_pipe() -> None:
    """R4: what the server said before it hung up is read first, and says more than EPIPE or ECONNRESET."""
    with peer(refusing_midway(lambda sock: sock)) as port:
        assert_refused_midway(plain(port))


def test_a_421_before_the_broken_pipe_with_tls(tmp_path: Path) -> None:
    """R4 under TLS."""
    authority = Authority()
    context = authority.server_context()
    (tmp_path / "ca.pem").write_bytes(authority.ca_pem)

    def wrap(sock: socket.socket) -> ssl.SSLSocket:
        return context.wrap_socket(sock, server_side=True)

    with peer(refusing_midway(wrap)) as port:
        assert_refused_midway(Server("localhost", port, security=Security.IMPLICIT, ca_file=str(tmp_path / "ca.pem")))


@pytest.mark.parametrize("tls", [None, "implicit"])
def test_a_refusal_after_a_large_content(tls: str) -> None:
    """The content was read whole and refused: the connection lives on."""
    with ScriptedServer(tls=tls, extensions=()) as server, client_of(server) as client:  # type: ignore[arg-type]  # one of two
        server.refuse_content(552, "5.3.4", "too large")
        for _ in range(2):
            with pytest.raises(SMTPDataError):
                client.send(HEADER + b"\r\n" + b"x" * 70 * 20_000)
        assert len(server.connections) == 1
