"""Every wait has its deadline, and nothing that a server does extends it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mailbridge import (
    Client,
    Phase,
    Security,
    Server,
    SMTPOutcomeUnknown,
    SMTPTimeoutError,
    State,
    Timeouts,
)
from mailbridge.sockets import link
from mailbridge.testing import ScriptedServer, Then
from tests.drivers.helpers import BOTH, HEADER, MESSAGE, QUICK, Line, client_of, client_to, peer, plain, server_of

pytestmark = pytest.mark.usefixtures("driver")

# What a deadline may be late by on a machine with other things to do.
LATE = 3.0


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """It takes this long, and not much longer."""
    begun = time.monotonic()
    yield
    took = time.monotonic() - begun
    assert seconds * 0.95 <= took < seconds + LATE


def timed_out(client: Client, seconds: float) -> SMTPTimeoutError:
    with within(seconds), pytest.raises(SMTPTimeoutError) as caught:
        client.send(MESSAGE)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.receipt is not None
    assert [r.state for r in caught.value.receipt.results.values()] == [State.NOT_SENT] * 2
    assert not client.connected
    return caught.value


def test_name_resolution(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that does not answer is left behind at the deadline."""
    released = threading.Event()

    def getaddrinfo(*args: object, **options: object) -> object:
        released.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "too late")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    server = Server("mail.example.com", security=Security.NONE, timeouts=Timeouts(connect=0.1))
    try:
        error = timed_out(client_to(server), 0.1)
    finally:
        released.set()
    assert error.phase is Phase.RESOLVE


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that never answers: its queue of connections is full."""
    with socket.socket() as listener, socket.socket() as first:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        first.connect(listener.getsockname())
        yield listener.getsockname()[1]


def test_connect(black_hole: int) -> None:
    """An address that does not answer costs the deadline to connect, and the error says what may be the reason."""
    error = timed_out(client_to(plain(black_hole, timeouts=Timeouts(connect=0.1))), 0.1)
    assert error.phase is Phase.CONNECT
    assert "firewall" in str(error)


@pytest.mark.parametrize(
    ("silent", "phase"),
    [
        ("GREETING", Phase.GREETING),
        ("EHLO", Phase.HELLO),
        ("MAIL", Phase.MAIL),
        ("RCPT", Phase.RCPT),
        ("DATA", Phase.DATA),
    ],
)
def test_each_reply(silent: str, phase: Phase) -> None:
    """A server that falls silent costs the deadline of one reply; nothing was accepted, so nothing is unknown."""
    with ScriptedServer(extensions=()) as server:
        server.cut_before(silent, Then.SILENCE)
        assert timed_out(client_of(server, timeouts=QUICK), QUICK.reply).phase is phase


@pytest.mark.parametrize("silent", ["STARTTLS", "TLS", "AUTH", "RESPONSE"])
def test_each_reply_of_a_protected_session(silent: str) -> None:
    """The same where a connection is being protected and credentials are shown."""
    with ScriptedServer(tls="starttls", accounts={"ann": "pw"}, auth=("LOGIN",)) as server:
        server.cut_before(silent, Then.SILENCE)
        error = timed_out(client_of(server, "ann", timeouts=QUICK), QUICK.reply)
    assert error.phase is {"STARTTLS": Phase.STARTTLS, "TLS": Phase.TLS}.get(silent, Phase.AUTH)


@pytest.mark.parametrize("extensions", [(), ("PIPELINING",), ("PIPELINING", "CHUNKING")])
def test_the_reply_to_the_content(extensions: tuple[str, ...]) -> None:
    """It has a deadline of its own, and silence after the content is unknown, never temporary."""
    with ScriptedServer(extensions=extensions) as server:
        server.cut_before("CONTENT", Then.SILENCE)
        client = client_of(server, timeouts=Timeouts(content=0.1))
        with within(0.1), pytest.raises(SMTPOutcomeUnknown) as caught:
            client.send(MESSAGE)
    assert caught.value.receipt is not None
    assert list(caught.value.receipt.unknown) == BOTH
    assert not caught.value.temporary
    assert isinstance(caught.value.__cause__, SMTPTimeoutError)
    assert "Nothing was sent again" in str(caught.value)


def test_the_whole_send() -> None:
    """However quick each reply is, the whole has an end."""
    with ScriptedServer(extensions=()) as server:
        server.drip(0.01)
        timed_out(client_of(server, timeouts=Timeouts(send=0.5)), 0.5)


def test_a_dripping_server() -> None:
    """S13: octets that come one by one extend no deadline, neither of a greeting nor of a reply."""
    with ScriptedServer(extensions=()) as server:
        server.drip(0.05)
        error = timed_out(client_of(server, timeouts=Timeouts(reply=0.2)), 0.2)
    assert error.phase is Phase.GREETING


def test_a_dripping_server_with_tls() -> None:
    """S13 under TLS: each octet in a record of its own."""
    with ScriptedServer(tls="implicit") as server:
        server.drip(0.05)
        error = timed_out(client_of(server, timeouts=QUICK), QUICK.reply)
    assert error.phase is Phase.GREETING


def test_a_dripping_handshake() -> None:
    """S13 in the handshake: a record that is never complete is no progress."""
    done = threading.Event()

    def talk(sock: socket.socket) -> None:
        sock.sendall(b"\x16\x03\x03\x40\x00")
        while not done.wait(0.02):
            sock.sendall(b"\0")

    with peer(talk) as port:
        server = Server("127.0.0.1", port, security=Security.IMPLICIT, timeouts=Timeouts(reply=0.2))
        try:
            error = timed_out(client_to(server), 0.2)
        finally:
            done.set()
    assert error.phase is Phase.TLS


def test_a_server_that_takes_no_content() -> None:
    """A write that makes no progress has the deadline of a reply; the content was not complete, so it is not_sent."""
    done = threading.Event()

    def talk(sock: socket.socket) -> None:
        with Line(sock) as line:
            line.greet()
            for verb, reply in (
                (b"MAIL", b"250 ok"),
                (b"RCPT", b"250 ok"),
                (b"RCPT", b"250 ok"),
                (b"DATA", b"354 go"),
            ):
                line.hear(verb)
                line.say(reply + b"\r\n")
            done.wait()

    with peer(talk) as port:
        client = client_to(plain(port, timeouts=QUICK))
        try:
            with within(QUICK.reply), pytest.raises(SMTPTimeoutError) as caught:
                client.send(HEADER + b"\r\n" + b"x" * 70 * 200_000)
        finally:
            done.set()
    assert caught.value.receipt is not None
    assert list(caught.value.receipt.not_sent) == BOTH


def test_the_deadline_of_a_send_covers_the_connect(black_hole: int) -> None:
    """The whole send begins with the first packet."""
    timed_out(client_to(plain(black_hole, timeouts=Timeouts(send=0.1))), 0.1)


def test_quit_is_bounded(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for a goodbye, and a server that says none raises nothing."""
    assert link.FAREWELL == 2.0
    monkeypatch.setattr(link, "FAREWELL", 0.1)
    server.cut_before("QUIT", Then.SILENCE)
    client = client_of(server)
    client.connect()
    with within(0.1):
        client.close()
    server.wait_for(lambda: server.connections[0].lines[-1] == b"QUIT")


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_tls_close_waits_for_nobody(tls: str) -> None:
    """T2: our close_notify is sent; a server that never answers it (Exim) costs no time."""
    with ScriptedServer(tls=tls) as server:  # type: ignore[arg-type]  # one of its literals
        server.cut_after("QUIT", Then.SILENCE)
        client = client_of(server)
        client.connect()
        with within(0):
            client.close()


def test_patience(server: ScriptedServer) -> None:
    """The RFC's values are there for those who have the time."""
    with client_to(server_of(server, timeouts=Timeouts.patient())) as client:
        assert client.send(MESSAGE).complete
