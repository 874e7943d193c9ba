"""The Client against a real server: aiosmtpd over TCP, STARTTLS, implicit TLS and LMTP on a unix socket."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import UnixSocketController
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import Envelope, Session

from mailbridge import (
    Client,
    Security,
    Server,
    SMTPAuthenticationError,
    SMTPException,
    SMTPOutcomeUnknown,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    State,
)
from mailbridge.testing import Inbox, ScriptedServer, Then
from mailbridge.testing.settings import TLSMode
from tests.drivers.helpers import BOTH, HEADER, MESSAGE, client_of, client_to

pytestmark = pytest.mark.usefixtures("driver")

MODES: list[TLSMode | None] = [None, "starttls", "implicit"]
BOB, CYD = BOTH


def server_of(inbox: Inbox, tls: TLSMode | None, **options: Any) -> Server:
    if tls is None:
        return Server("127.0.0.1", inbox.port, security=Security.NONE, **options)
    return Server("localhost", inbox.port, security=Security(tls), ca_file=inbox.ca_file, **options)


@pytest.mark.parametrize("tls", MODES)
def test_mail(tls: TLSMode | None) -> None:
    """Two messages over one connection arrive octet for octet."""
    with Inbox(tls=tls) as inbox:
        with client_to(server_of(inbox, tls)) as client:
            receipts = [client.send(MESSAGE), client.send(MESSAGE)]
        assert [(m.content, m.tls) for m in inbox.messages] == [(MESSAGE, tls is not None)] * 2
    assert [(r.complete, r.reused) for r in receipts] == [(True, False), (True, True)]


@pytest.mark.parametrize("tls", MODES)
def test_login(tls: TLSMode | None) -> None:
    """The right password opens the door, the wrong one says so."""
    with Inbox(tls=tls, accounts={"ann": "pässword"}, require_auth=True) as inbox:
        with client_to(server_of(inbox, tls, username="ann", password="pässword")) as client:
            client.send(MESSAGE)
        with pytest.raises(SMTPAuthenticationError):
            client_to(server_of(inbox, tls, username="ann", password="wrong")).connect()
        with pytest.raises(SMTPSenderRefused, match="530"), client_to(server_of(inbox, tls)) as client:
            client.send(MESSAGE)
        assert [m.authenticated_as for m in inbox.messages] == ["ann"]


@pytest.mark.parametrize("tls", MODES)
def test_refusals_and_deferrals(tls: TLSMode | None) -> None:
    """Each recipient has its own fate; where nobody is left, that is raised, and the next message goes."""
    with Inbox(tls=tls) as inbox, client_to(server_of(inbox, tls)) as client:
        inbox.refuse("no@example.org")
        inbox.defer("later@example.org")
        receipt = client.send(MESSAGE, recipients=["no@example.org", BOB, "later@example.org"])
        assert [r.state for r in receipt.results.values()] == [State.REJECTED, State.ACCEPTED, State.DEFERRED]
        with pytest.raises(SMTPRecipientsRefused):
            client.send(MESSAGE, recipients=["no@example.org", "later@example.org"])
        assert client.send(MESSAGE).complete
        assert [m.recipients for m in inbox.messages] == [(BOB,), (BOB, CYD)]


@pytest.mark.parametrize("tls", MODES)
def test_a_421_in_the_middle(tls: TLSMode | None) -> None:
    """A 421 to the second recipient ends the connection: nobody has the message, and the next one reconnects."""
    with Inbox(tls=tls) as inbox, client_to(server_of(inbox, tls)) as client:
        inbox.refuse(CYD, 421, "4.3.2", "going down")
        with pytest.raises(SMTPException) as caught:
            client.send(MESSAGE)
        assert caught.value.receipt is not None
        assert [r.state for r in caught.value.receipt.results.values()] == [State.NOT_SENT, State.DEFERRED]
        assert client.send(MESSAGE, recipients=[BOB]).complete
        assert [m.recipients for m in inbox.messages] == [(BOB,)]


def test_a_large_message() -> None:
    """Several chunks, with dots, are the same at the other end."""
    message = HEADER + b"\r\n" + b".a line that begins with a dot\r\n" * 20_000
    with Inbox(tls="implicit") as inbox, client_to(server_of(inbox, "implicit")) as client:
        client.send(message)
        assert inbox.messages[0].content == message


class Each:
    """An LMTP server's handler: one reply for each recipient, which aiosmtpd leaves to it."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    async def handle_RCPT(  # noqa: N802 - the name that aiosmtpd looks for
        self, server: LMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("no@"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: LMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        assert isinstance(envelope.content, bytes)
        self.messages.append(envelope.content)
        full = "552 5.2.2 mailbox full"
        return "\r\n".join(full if r.startswith("full@") else "250 2.0.0 saved" for r in envelope.rcpt_tos)


class Controller(UnixSocketController):
    """aiosmtpd speaking LMTP."""

    kind = LMTP

    def factory(self) -> LMTP:
        return self.kind(self.handler, hostname="lmtp.test")


@contextmanager
def lmtp(folder: Path, kind: type[LMTP] = LMTP) -> Iterator[tuple[Each, Server]]:
    handler, path = Each(), folder / "lmtp"
    controller = Controller(handler, unix_socket=path)
    controller.kind = kind
    controller.start()
    try:
        yield handler, Server(path=str(path), lmtp=True)
    finally:
        controller.stop()


def test_lmtp_on_a_unix_socket(tmp_path: Path) -> None:
    """Each accepted recipient has its own reply, and the next message gets its own again."""
    names = [BOB, "no@example.org", "full@example.org", CYD]
    with lmtp(tmp_path) as (handler, server), client_to(server) as client:
        for _ in range(2):
            results = client.send(MESSAGE, recipients=names).results.values()
            assert [(str(r.state), r.code) for r in results] == [
                ("accepted", 250),
                ("rejected", 550),
                ("rejected", 552),
                ("accepted", 250),
            ]
        assert client.noop().code == 250
    assert handler.messages == [MESSAGE] * 2


# How aiosmtpd's replies begin, in the order of a session. What it says to EHLO goes out line by line.
LINES = {
    "GREETING": "220 ",
    "EHLO": "250 HELP",
    "STARTTLS": "220 Ready",
    "AUTH": "235 ",
    "MAIL": "250 2.1.0",
    "RCPT": "250 2.1.5",
    "DATA": "354 ",
    "CONTENT": "250 2.0.0",
}
GOING = "421 4.3.2 going down"
NOBODY = [State.NOT_SENT] * 2
LATER = [State.DEFERRED] * 2
AFTER_421 = {"MAIL": LATER, "RCPT": [State.DEFERRED, State.NOT_SENT], "DATA": LATER, "CONTENT": LATER}

# Behind the 354 the content is on its way before the end is seen, unless a reset comes first.
OPEN = {State.NOT_SENT, State.UNKNOWN}


class Fault:
    """What goes wrong once it is armed, one time: behind the reply that begins like this the connection ends."""

    def __init__(self, *, abruptly: bool = False) -> None:
        self.line: str | None = None
        self.said: str | None = None
        self.abruptly = abruptly

    def arm(self, line: str, said: str | None = None) -> None:
        """Say this in the reply's place, if anything."""
        self.line, self.said = line, said

    def among(self, kind: type[Any]) -> type[Any]:
        """The same server with this fault."""

        class Faulty(kind):  # type: ignore[misc]  # of a class that is given
            async def push(server, status: str | bytes) -> None:  # noqa: N805 - self is the fault
                text = status if isinstance(status, str) else status.decode()
                if self.line is None or not text.startswith(self.line):
                    return await super().push(status)
                self.line = None
                await super().push(self.said or text)
                (server.transport.abort if self.abruptly else server.transport.close)()
                # Whatever aiosmtpd would do next on this connection, a handshake too, it leaves.
                raise asyncio.CancelledError

        return Faulty


def failing(client: Client, message: bytes = MESSAGE) -> tuple[SMTPException, list[State]]:
    """Send what cannot arrive; give the error, and what became of each recipient."""
    with pytest.raises(SMTPException) as caught:
        client.send(message)
    assert caught.value.receipt is not None
    return caught.value, [r.state for r in caught.value.receipt.results.values()]


@contextmanager
def faulty_inbox(monkeypatch: pytest.MonkeyPatch, tls: TLSMode | None, fault: Fault) -> Iterator[tuple[Inbox, Client]]:
    """aiosmtpd with a fault, behind an Inbox, and a client that is not connected yet."""
    from mailbridge.testing import hooks

    monkeypatch.setattr(hooks, "SMTP", fault.among(hooks.SMTP))
    with (
        Inbox(tls=tls, accounts={"ann": "Gehe1m-pw"}) as inbox,
        closing(client_to(server_of(inbox, tls, username="ann", password="Gehe1m-pw"))) as client,
    ):
        yield inbox, client


def replies_of(*modes: TLSMode | None) -> list[tuple[TLSMode | None, str]]:
    return [(tls, reply) for tls in modes for reply in LINES if reply != "STARTTLS" or tls == "starttls"]


@pytest.mark.parametrize("abruptly", [False, True])
@pytest.mark.parametrize(("tls", "after"), replies_of(*MODES))
def test_aiosmtpd_cuts_the_connection_after_each_reply(
    tls: TLSMode | None, after: str, abruptly: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the content nobody has the message, behind its reply all have it, in between nobody can know."""
    fault = Fault(abruptly=abruptly)
    with faulty_inbox(monkeypatch, tls, fault) as (inbox, client):
        fault.arm(LINES[after])
        if after == "CONTENT":
            assert client.send(MESSAGE).complete
        else:
            error, states = failing(client)
            assert isinstance(error, SMTPServerDisconnected | ssl.SSLError)
            assert set(states) <= OPEN if after == "DATA" else set(states) == {State.NOT_SENT}
        assert fault.line is None
        assert client.send(MESSAGE).complete
        assert [m.content for m in inbox.messages] == [MESSAGE] * (1 + (after == "CONTENT"))


@pytest.mark.parametrize(("tls", "to"), replies_of(*MODES))
def test_aiosmtpd_says_421_in_place_of_each_reply(
    tls: TLSMode | None, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clear answer everywhere, to the content too: nothing is unknown, and the next message reconnects."""
    fault = Fault()
    with faulty_inbox(monkeypatch, tls, fault) as (_, client):
        fault.arm("250-" if to == "EHLO" else LINES[to], GOING)
        error, states = failing(client)
        assert "421" in str(error)
        assert error.temporary
        assert states == AFTER_421.get(to, NOBODY)
        assert client.send(MESSAGE).complete


LHLO_LINES = {name: line for name, line in LINES.items() if name not in {"STARTTLS", "AUTH"}} | {"MAIL": "250 OK"}


@pytest.mark.parametrize("after", LHLO_LINES)
def test_aiosmtpd_cuts_an_lmtp_connection_after_each_reply(after: str, tmp_path: Path) -> None:
    """Behind the first of the content's two replies the second recipient is unknown."""
    fault = Fault()
    with lmtp(tmp_path, fault.among(LMTP)) as (handler, server), closing(client_to(server)) as client:
        # aiosmtpd pushes all replies to the content as one text.
        fault.arm(LHLO_LINES[after], "250 2.0.0 saved" if after == "CONTENT" else None)
        _, states = failing(client)
        if after == "CONTENT":
            assert states == [State.ACCEPTED, State.UNKNOWN]
        else:
            assert set(states) <= OPEN if after == "DATA" else set(states) == {State.NOT_SENT}
        assert client.send(MESSAGE).complete
        assert handler.messages == [MESSAGE] * (1 + (after == "CONTENT"))


@pytest.mark.parametrize("to", LHLO_LINES)
def test_aiosmtpd_says_421_over_lmtp(to: str, tmp_path: Path) -> None:
    """In place of each reply; as the only one to the content it leaves the second recipient unknown."""
    fault = Fault()
    with lmtp(tmp_path, fault.among(LMTP)) as (_, server), closing(client_to(server)) as client:
        fault.arm("250-" if to == "EHLO" else LHLO_LINES[to], GOING)
        error, states = failing(client)
        assert "421" in str(error)
        lmtp_only = {"CONTENT": [State.DEFERRED, State.UNKNOWN]}
        assert states == (AFTER_421 | lmtp_only).get(to, NOBODY)
        assert client.send(MESSAGE).complete


CUTS = ["GREETING", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "CONTENT"]


@pytest.mark.parametrize("how", [Then.CLOSE, Then.DROP, Then.RESET])
@pytest.mark.parametrize("after", CUTS)
@pytest.mark.parametrize("tls", MODES)
def test_a_connection_cut_after_each_reply(tls: TLSMode | None, after: str, how: Then) -> None:
    """Whatever was said last: nobody has the message but after the content's reply, and nothing is left open."""
    if after == "STARTTLS" and tls != "starttls":
        after = "EHLO"
    with ScriptedServer(tls=tls, accounts={"ann": "Gehe1m-pw"}, extensions=()) as server:
        server.cut_after(after, how)
        client = client_of(server, "ann")
        if after == "CONTENT":
            assert client.send(MESSAGE).complete
        else:
            with pytest.raises((SMTPServerDisconnected, ssl.SSLError)) as caught:
                client.send(MESSAGE)
            assert isinstance(caught.value, SMTPException)
            assert caught.value.receipt is not None
            states = {r.state for r in caught.value.receipt.results.values()}
            assert states <= OPEN if after == "DATA" else states == {State.NOT_SENT}
        assert client.send(MESSAGE).complete
        client.close()
        assert len(server.messages) == 1 + (after == "CONTENT")


@pytest.mark.parametrize("after", ["GREETING", "LHLO", "MAIL", "RCPT", "DATA", "CONTENT"])
def test_an_lmtp_connection_cut_after_each_reply(after: str) -> None:
    """The same over LMTP on a unix socket, where the content has two replies: the second one is unknown."""
    with ScriptedServer(lmtp=True, unix=True, extensions=()) as server:
        server.cut_after(after)
        client = client_of(server)
        content_left = after in {"DATA", "CONTENT"}
        with pytest.raises(SMTPOutcomeUnknown if content_left else SMTPServerDisconnected) as caught:
            client.send(MESSAGE)
        assert caught.value.receipt is not None
        states = [r.state for r in caught.value.receipt.results.values()]
        first = State.ACCEPTED if after == "CONTENT" else State.UNKNOWN
        assert states == ([first, State.UNKNOWN] if content_left else [State.NOT_SENT] * 2)
        assert client.send(MESSAGE).complete
        client.close()
