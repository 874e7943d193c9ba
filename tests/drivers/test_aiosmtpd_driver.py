"""The Client against a real server: aiosmtpd over TCP, STARTTLS, implicit TLS and LMTP on a unix socket."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
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
from tests.drivers.helpers import BOTH, HEADER, MESSAGE, client_of

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
        with Client(server_of(inbox, tls)) as client:
            receipts = [client.send(MESSAGE), client.send(MESSAGE)]
        assert [(m.content, m.tls) for m in inbox.messages] == [(MESSAGE, tls is not None)] * 2
    assert [(r.complete, r.reused) for r in receipts] == [(True, False), (True, True)]


@pytest.mark.parametrize("tls", MODES)
def test_login(tls: TLSMode | None) -> None:
    """The right password opens the door, the wrong one says so."""
    with Inbox(tls=tls, accounts={"ann": "pässword"}, require_auth=True) as inbox:
        with Client(server_of(inbox, tls, username="ann", password="pässword")) as client:
            client.send(MESSAGE)
        with pytest.raises(SMTPAuthenticationError):
            Client(server_of(inbox, tls, username="ann", password="wrong")).connect()
        with pytest.raises(SMTPSenderRefused, match="530"), Client(server_of(inbox, tls)) as client:
            client.send(MESSAGE)
        assert [m.authenticated_as for m in inbox.messages] == ["ann"]


@pytest.mark.parametrize("tls", MODES)
def test_refusals_and_deferrals(tls: TLSMode | None) -> None:
    """Each recipient has its own fate; where nobody is left, that is raised, and the next message goes."""
    with Inbox(tls=tls) as inbox, Client(server_of(inbox, tls)) as client:
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
    with Inbox(tls=tls) as inbox, Client(server_of(inbox, tls)) as client:
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
    with Inbox(tls="implicit") as inbox, Client(server_of(inbox, "implicit")) as client:
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

    def factory(self) -> LMTP:
        return LMTP(self.handler, hostname="lmtp.test")


@contextmanager
def lmtp(folder: Path) -> Iterator[tuple[Each, Server]]:
    handler, path = Each(), folder / "lmtp"
    controller = Controller(handler, unix_socket=path)
    controller.start()
    try:
        yield handler, Server(path=str(path), lmtp=True)
    finally:
        controller.stop()


def test_lmtp_on_a_unix_socket(tmp_path: Path) -> None:
    """Each accepted recipient has its own reply, and the next message gets its own again."""
    names = [BOB, "no@example.org", "full@example.org", CYD]
    with lmtp(tmp_path) as (handler, server), Client(server) as client:
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


CUTS = ["GREETING", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "CONTENT"]

# Behind the 354 the content is on its way before the end is seen, unless a reset comes first.
OPEN = {State.NOT_SENT, State.UNKNOWN}


@pytest.mark.parametrize("how", [Then.CLOSE, Then.DROP, Then.RESET])
@pytest.mark.parametrize("after", CUTS)
@pytest.mark.parametrize("tls", MODES)
def test_a_connection_cut_after_each_reply(tls: TLSMode | None, after: str, how: Then) -> None:
    """Whatever was said last: nobody has the message but after the content's reply, and nothing is left open."""
    if after == "STARTTLS" and tls != "starttls":
        after = "EHLO"
    with ScriptedServer(tls=tls, accounts={"ann": "pw"}, extensions=()) as server:
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
