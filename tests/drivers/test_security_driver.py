"""The security table of WIRE.md, through the public Client. Content is in another module, and so is S16."""

import logging
import socket
import ssl
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import idna
import pytest

from mailbridge import (
    MailOptions,
    Phase,
    Security,
    Server,
    SMTPCertificateError,
    SMTPException,
    SMTPInputError,
    SMTPNotSupportedError,
    SMTPOutcomeUnknown,
    SMTPProtocolError,
    SMTPRecipientsRefused,
    SMTPTimeoutError,
    State,
    Timeouts,
)
from mailbridge.testing import ScriptedServer, Then
from mailbridge.tls import context_for
from tests.drivers.helpers import BOTH, MESSAGE, Line, client_of, client_to, peer, plain

pytestmark = pytest.mark.usefixtures("driver")

ACCOUNTS = {"ann": "hush-hush"}


@pytest.fixture
def guarded() -> Iterator[ScriptedServer]:
    """A server with STARTTLS and accounts."""
    with ScriptedServer(tls="starttls", accounts=ACCOUNTS) as server:
        yield server


def said_nothing_else(server: ScriptedServer) -> bool:
    """Neither credentials nor mail were on the wire."""
    return {line.split()[0] for line in server.lines} <= {b"EHLO", b"STARTTLS", b"QUIT"}


@pytest.mark.parametrize("injected", [b"250 AUTH PLAIN\r\n", b"250-x\r\n250 AUTH PLAIN\r\n", b"XYZ", b"\x00"])
@pytest.mark.parametrize("same_segment", [True, False])
def test_s01_injection_behind_starttls(guarded: ScriptedServer, injected: bytes, same_segment: bool) -> None:
    """S1: octets behind the 220 end the connection; what they claim is never believed."""
    guarded.inject_behind_starttls(injected, same_segment=same_segment)
    with pytest.raises(SMTPException) as caught:
        client_of(guarded, "ann").send(MESSAGE)
    assert caught.value.phase in {Phase.STARTTLS, Phase.TLS}
    assert said_nothing_else(guarded)
    assert guarded.messages == []


@pytest.mark.parametrize(
    ("event", "reply"),
    [
        ("EHLO", b"250 no extensions here\r\n"),
        ("STARTTLS", b"454 4.7.0 TLS not available\r\n"),
        ("STARTTLS", b"502 5.5.1 what?\r\n"),
        ("EHLO", b"500 5.5.1 what?\r\n"),
    ],
)
@pytest.mark.parametrize("user", [None, "ann"])
def test_s02_stripping(guarded: ScriptedServer, event: str, reply: bytes, user: str | None) -> None:
    """S2: required is required. The second message must not go out in clear over what the first left open either."""
    guarded.answer(event, reply)
    client = client_of(guarded, user)
    for _ in range(2):
        with pytest.raises(SMTPException):
            client.send(MESSAGE)
        assert not client.connected
    with pytest.raises(SMTPException):
        client.noop()
    assert said_nothing_else(guarded)


@pytest.mark.parametrize("kind", ["self-signed", "expired", "wrong-name"])
def test_s03_unverified(kind: str) -> None:
    """S3: an error before AUTH."""
    with ScriptedServer(tls="starttls", certificate=kind, accounts=ACCOUNTS) as server:  # type: ignore[arg-type]  # a kind
        with pytest.raises(SMTPCertificateError):
            client_of(server, "ann").send(MESSAGE)
        assert said_nothing_else(server)


def test_s03_old_tls() -> None:
    """S3: TLS 1.2 or newer, whatever the system's own configuration would take."""
    with ScriptedServer(tls="implicit") as server:
        assert context_for(client_of(server).server).minimum_version is ssl.TLSVersion.TLSv1_2


def test_s04_plain_server(server: ScriptedServer) -> None:
    """S4: a server that offers AUTH only in clear never sees a secret where TLS is required."""
    with ScriptedServer(accounts=ACCOUNTS) as clear:
        with pytest.raises(SMTPException, match="STARTTLS"):
            client_of(clear, "ann", security=Security.STARTTLS).connect()
        assert said_nothing_else(clear)


def test_s04_configuration(server: ScriptedServer) -> None:
    """S4: credentials in clear to another machine are an error at once, unless the caller insists."""
    with pytest.raises(SMTPInputError, match="in clear"):
        Server("mail.example.com", security=Security.NONE, username="ann", password="hush-hush")
    with pytest.raises(SMTPInputError, match="opportunistic"):
        Server("mail.example.com", security=Security.OPPORTUNISTIC, username="ann", password="hush-hush")
    assert Server(
        "mail.example.com", security=Security.NONE, username="ann", password="hush-hush", allow_plaintext_auth=True
    ).may_log_in_plainly


@pytest.mark.parametrize(
    "address",
    [
        "a@x\r\nRCPT TO:<e@y>",
        "a@x\rRSET",
        "a@x\nRSET",
        "a@x\n",
        "a\0@x",
        "a\x0b@x",
        "a@x\u0085",
        "a@x\u2028",
    ],
)
def test_s05_crlf_in_addresses(server: ScriptedServer, address: str) -> None:
    """S5: not an octet is written, whether it is a recipient or the sender."""
    client = client_of(server)
    shapes: list[dict[str, Any]] = [{"recipients": [address]}, {"sender": address, "recipients": BOTH}]
    for envelope in shapes:
        with pytest.raises(SMTPInputError):
            client.send(MESSAGE, **envelope)
    assert server.connections == []


def test_s05_a_letter_that_ends_in_lf(server: ScriptedServer) -> None:
    """S5: the last octet of U+760A is LF where text is cut to octets; in A-labels it is a letter like any other."""
    with client_of(server) as client:
        client.send(MESSAGE, recipients=["a@\u760ax.example"])
    assert [line for line in server.lines if line.startswith(b"RCPT")] == [
        b"RCPT TO:<a@" + idna.encode("\u760ax.example") + b">"
    ]


@pytest.mark.parametrize("address", ["b@x> NOTIFY=NEVER", "b@x>,<c@y", "b@x, c@y", "<b@x> SIZE=1", "b@x SIZE=1"])
def test_s06_parameters_in_addresses(server: ScriptedServer, address: str) -> None:
    """S6: an address is one address and nothing else."""
    with pytest.raises(SMTPInputError):
        client_of(server).send(MESSAGE, recipients=[address])
    assert server.connections == []


def test_s06_a_quoted_local_part(server: ScriptedServer) -> None:
    """S6: what is legal in quotes stays in quotes."""
    with client_of(server) as client:
        client.send(MESSAGE, recipients=['"a> X"@y.example'])
    assert b'RCPT TO:<"a> X"@y.example>' in server.lines


def test_s07_other_arguments(server: ScriptedServer) -> None:
    """S7: the EHLO name, options and verbs pass the same choke point."""
    client = client_of(server)
    with pytest.raises(SMTPInputError):
        client_of(server, local_hostname="h\r\nMAIL FROM:<a@x>")
    with pytest.raises(SMTPInputError):
        client.send(MESSAGE, options=MailOptions(envid="1\r\nRSET"))
    client.connect()
    for verb, argument in (("X\r\nRSET", ""), ("X", "a\r\nRSET"), ("X RSET", ""), ("X", "\0"), ("", "")):
        with pytest.raises(SMTPInputError):
            client.command(verb, argument)
    for call in (client.expand, client.help):
        with pytest.raises(SMTPInputError):
            call("a\nRSET")
    client.close()
    assert [line.split()[0] for line in server.lines] == [b"EHLO", b"QUIT"]


@pytest.mark.parametrize(
    "flood",
    [
        (b"250-" + b"x" * 8000 + b"\r\n", 3000),
        (b"250-" + b"x" * 8000, 3000),
        (b"250-\r\n", 1_000_000),
        (b"2", 24_000_000),
    ],
    ids=["long lines", "an endless line", "short lines", "an endless word"],
)
def test_s12_unbounded_replies(flood: tuple[bytes, int]) -> None:
    """S12: an error while less than a megabyte is held."""
    piece, times = flood
    block = piece * max(1, 65536 // len(piece))

    def talk(sock: socket.socket) -> None:
        with Line(sock) as line:
            line.say(b"220 flood\r\n")
            line.hear(b"EHLO")
            try:
                for _ in range(len(piece) * times // len(block)):
                    line.say(block)
            except ConnectionError:
                return

    client_errors = []
    with peer(talk) as port:
        tracemalloc.start()
        try:
            with pytest.raises(SMTPProtocolError) as caught:
                client_to(plain(port)).connect()
            client_errors.append(caught.value)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 1024 * 1024
    assert len(str(client_errors[0])) < 1000


def test_s13_a_dripping_server(server: ScriptedServer) -> None:
    """S13: a timeout on time; the module of deadlines has the other phases."""
    server.drip(0.1)
    begun = time.monotonic()
    with pytest.raises(SMTPTimeoutError):
        client_of(server, timeouts=Timeouts(reply=0.25)).connect()
    assert 0.2 < time.monotonic() - begun < 2


@pytest.mark.parametrize(
    "reply",
    [
        b"250 ok\r\n250 one more\r\n",
        b"250-a\r\n550 b\r\n",
        b"\r\n250 ok\r\n",
        b"2500 ok\r\n",
        b"150 wait\r\n",
        b"650 what\r\n",
        b"ok\r\n",
        b"354 go\r\n",
    ],
)
@pytest.mark.parametrize("event", ["MAIL", "RCPT", "CONTENT"])
def test_s14_desynchronisation(reply: bytes, event: str) -> None:
    """S14: what is no answer ends the connection, and nobody is marked accepted by it."""
    with ScriptedServer(extensions=()) as server, client_of(server) as client:
        client.connect()
        server.answer(event, reply)
        if event == "CONTENT" and reply.count(b"250 ok\r\n250") == 1:
            # The message has its answer; what comes behind is found before the next command.
            client.send(MESSAGE)
        else:
            with pytest.raises(SMTPException) as caught:
                client.send(MESSAGE)
            assert caught.value.receipt is not None
            assert caught.value.receipt.accepted == {}
        assert not client.connected


def test_s14_a_late_reply() -> None:
    """S14: a reply after its deadline finds nobody; it is never taken for the next command's."""
    with ScriptedServer(extensions=()) as server, client_of(server, timeouts=Timeouts(reply=0.2)) as client:
        server.answer("NOOP", b"", times=1)
        with pytest.raises(SMTPTimeoutError):
            client.noop()
        server.hang_up(Then.GO_ON, b"550 too late\r\n")
        assert client.noop().code == 250
        assert len(server.connections) == 2


@pytest.mark.parametrize("segment", [None, 7])
def test_s15_lmtp_replies(segment: int | None) -> None:
    """S15: one reply for each accepted recipient, in one segment or in many; the next message gets its own."""
    with ScriptedServer(lmtp=True) as server, client_of(server) as client:
        server.segments(segment)
        server.refuse_content(550, "5.2.1", "disabled", recipient=BOTH[1])
        for _ in range(2):
            receipt = client.send(MESSAGE)
            assert [r.state for r in receipt.results.values()] == [State.ACCEPTED, State.REJECTED]
        assert client.noop().code == 250


def test_s15_a_missing_reply() -> None:
    """S15: the one that never came is unknown, and the connection is closed."""
    with ScriptedServer(lmtp=True) as server:
        server.answer("CONTENT", b"", nth=2)
        client = client_of(server, timeouts=Timeouts(content=0.2))
        with pytest.raises(SMTPOutcomeUnknown) as caught:
            client.send(MESSAGE)
        assert caught.value.receipt is not None
        assert [r.state for r in caught.value.receipt.results.values()] == [State.ACCEPTED, State.UNKNOWN]
        assert not client.connected


def test_s17_auth_downgrade() -> None:
    """S17: a token never goes through a password mechanism."""
    with ScriptedServer(accounts=ACCOUNTS, auth=("PLAIN", "LOGIN", "CRAM-MD5")) as server:
        client = client_of(server, username="ann", token_provider=lambda **options: "hush-hush")
        with pytest.raises(SMTPNotSupportedError, match="takes a token"):
            client.connect()
        assert said_nothing_else(server)


def test_s18_server_named_hosts(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """S18: a host in a reply is text: nobody is called."""
    asked = []
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, **options: int) -> object:
        asked.append(host)
        return real(host, port, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    server.refuse("*", 551, "5.1.6", "try <x@evil.example>")
    with client_of(server) as client, pytest.raises(SMTPRecipientsRefused):
        client.send(MESSAGE)
    assert set(asked) == {"127.0.0.1"}
    assert len(server.connections) == 1


def test_s20_log_injection(server: ScriptedServer, caplog: pytest.LogCaptureFixture) -> None:
    """S20: a server's words make one record of one line, without control characters, in errors as well."""
    caplog.set_level(logging.DEBUG, "mailbridge")
    server.answer("RCPT", b"550-a\x1b[2J\rFATAL\r\n550 ERROR forged " + b"y" * 3000 + b"\r\n")
    with client_of(server) as client, pytest.raises(SMTPRecipientsRefused) as caught:
        client.send(MESSAGE)
    [record] = [r for r in caplog.records if r.levelno >= logging.INFO]
    for text in (record.getMessage(), str(caught.value), *caught.value.transcript):
        assert text.isprintable()
    assert len(record.getMessage()) < 2500
    assert all((refused["text"] or "").isprintable() for refused in vars(record)["refused"])
