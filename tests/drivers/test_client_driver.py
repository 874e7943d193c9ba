"""The verbs of the Client over a real socket."""

import logging
import re
import smtplib
import socket
from email.message import EmailMessage

import pytest

from mailbridge import (
    MailObject,
    SMTPDataError,
    SMTPException,
    SMTPHeloError,
    SMTPInputError,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    State,
)
from mailbridge.testing import ScriptedServer
from tests.drivers.helpers import BOTH, HEADER, MESSAGE, Line, client_of, client_to, peer, plain

pytestmark = pytest.mark.usefixtures("driver")

BOB, CYD = BOTH


def test_a_receipt(server: ScriptedServer) -> None:
    """A message arrives octet for octet, and its receipt says where, how fast and under which name."""
    with client_of(server) as client:
        receipt = client.send(MESSAGE)
    assert [m.content for m in server.messages] == [MESSAGE]
    assert list(receipt.accepted) == BOTH
    assert receipt.complete
    assert receipt.queue_id == "000001"
    assert str(receipt.server) == f"127.0.0.1:{server.port} (no TLS)"
    assert receipt.message_id == "<1@example.com>"
    assert 0 < receipt.duration < 5
    assert not receipt.reused


def test_one_connection_for_two_messages(server: ScriptedServer) -> None:
    """The second message takes the same connection, and the receipt says so."""
    with client_of(server) as client:
        receipts = [client.send(MESSAGE), client.send(MESSAGE)]
    assert [m.connection for m in server.messages] == [1, 1]
    assert [r.reused for r in receipts] == [False, True]


def test_it_connects_when_it_must(server: ScriptedServer) -> None:
    """Without a `with`, the first message connects; after `close` the next one connects again."""
    client = client_of(server)
    connected = [client.connected]
    for _ in range(2):
        client.send(MESSAGE)
        connected.append(client.connected)
        client.close()
        connected.append(client.connected)
    assert connected == [False, True, False, True, False]
    assert [c.lines[-1] for c in server.connections] == [b"QUIT", b"QUIT"]


@pytest.mark.parametrize("extensions", [(), ("PIPELINING",), ("CHUNKING",), ("PIPELINING", "CHUNKING")])
@pytest.mark.parametrize("size", [10, 700_000])
def test_every_way_to_send(extensions: tuple[str, ...], size: int) -> None:
    """Whatever a strict server offers, small and large messages arrive whole, on a cold and on a hot connection."""
    message = HEADER + b"\r\n" + b".dots and lines\r\n" * (size // 17 + 1)
    with ScriptedServer(extensions=extensions) as server:
        server.refuse(CYD)
        with client_of(server) as client:
            states = [[r.state for r in client.send(message).results.values()] for _ in range(3)]
        assert states == [[State.ACCEPTED, State.REJECTED]] * 3
        assert [(m.recipients, m.content == message) for m in server.messages] == [((BOB,), True)] * 3


def test_an_email_message(server: ScriptedServer) -> None:
    """An EmailMessage gives the envelope; Message-ID and Date are added."""
    message = EmailMessage()
    message["From"], message["To"], message["Bcc"] = "Ann <ann@example.com>", f"Bob <{BOB}>", CYD
    message.set_content("grüße\n")
    with client_of(server) as client:
        receipt = client.send(message)
    [arrived] = server.messages
    assert (arrived.sender, arrived.recipients) == ("ann@example.com", (BOB, CYD))
    assert re.search(rb"(?m)^Message-ID: <.+@example\.com>\r$", arrived.content)
    assert b"\r\nDate: " in arrived.content
    assert list(receipt.results) == [BOB, CYD]


def test_keys_as_the_caller_wrote_them(server: ScriptedServer) -> None:
    """A recipient named twice is sent to once, and found under each spelling."""
    with client_of(server) as client:
        receipt = client.send(MESSAGE, sender="", recipients=["bob@example.org", "<bob@EXAMPLE.org>"])
    assert list(receipt.accepted) == ["bob@example.org", "<bob@EXAMPLE.org>"]
    assert [(m.sender, m.recipients) for m in server.messages] == [("", (BOB,))]


def test_a_mail_object(server: ScriptedServer) -> None:
    """A MailObject holds the envelope itself."""
    with client_of(server) as client:
        client.send(MailObject(MESSAGE, sender="x@example.com", recipients=["y@example.net"]))
    assert [(m.sender, m.recipients) for m in server.messages] == [("x@example.com", ("y@example.net",))]


def test_partial_deliver(server: ScriptedServer) -> None:
    """By default one refusal does not keep the others from their mail, and nothing is raised."""
    server.defer(CYD)
    with client_of(server) as client:
        receipt = client.send(MESSAGE)
    assert list(receipt.accepted) == [BOB]
    assert (receipt.refused[CYD].code, str(receipt.refused[CYD].enhanced)) == (451, "4.2.0")
    assert receipt.error is None


def test_partial_raise(server: ScriptedServer) -> None:
    """With "raise" the others get it too, and then the error says who did not."""
    server.refuse(CYD)
    with client_of(server) as client:
        with pytest.raises(SMTPRecipientsRefused) as caught:
            client.send(MESSAGE, on_partial="raise")
        assert client.connected
    assert list(caught.value.recipients) == [CYD]
    assert caught.value.receipt is not None
    assert list(caught.value.receipt.accepted) == [BOB]
    assert [m.recipients for m in server.messages] == [(BOB,)]


def test_partial_abort(server: ScriptedServer) -> None:
    """With "abort" nobody gets it: the accepted one is not_sent, and the next message is none the worse."""
    server.refuse(CYD)
    with client_of(server) as client:
        with pytest.raises(SMTPRecipientsRefused) as caught:
            client.send(MESSAGE, on_partial="abort")
        assert server.messages == []
        client.send(MESSAGE, recipients=[BOB], on_partial="abort")
    assert caught.value.receipt is not None
    assert [r.state for r in caught.value.receipt.results.values()] == [State.NOT_SENT, State.REJECTED]
    assert [m.connection for m in server.messages] == [1]


def test_partial_nonsense(server: ScriptedServer) -> None:
    """Any other word is an error before a byte is sent."""
    with pytest.raises(SMTPInputError, match="deliver, raise or abort"):
        client_of(server).send(MESSAGE, on_partial="ignore")  # type: ignore[arg-type]  # that is what is tested
    assert server.connections == []


def test_more_recipients_than_one_transaction(server: ScriptedServer) -> None:
    """They go in several transactions, with one receipt."""
    names = [f"r{n}@example.org" for n in range(7)]
    with client_of(server, max_recipients=3) as client:
        receipt = client.send(MESSAGE, recipients=names)
    assert [len(m.recipients) for m in server.messages] == [3, 3, 1]
    assert list(receipt.accepted) == names


def test_too_many_recipients_for_the_server() -> None:
    """Those whom the server has no room for go next, nobody twice (RFC 5321 section 4.5.3.1.10)."""
    names = [f"r{n}@example.org" for n in range(7)]
    with ScriptedServer(max_recipients=3) as server, client_of(server) as client:
        assert list(client.send(MESSAGE, recipients=names).accepted) == names
        assert [r for m in server.messages for r in m.recipients] == names


@pytest.mark.parametrize(
    ("what", "error", "classic"),
    [
        ("sender", SMTPSenderRefused, smtplib.SMTPSenderRefused),
        ("recipients", SMTPRecipientsRefused, smtplib.SMTPRecipientsRefused),
        ("content", SMTPDataError, smtplib.SMTPDataError),
    ],
)
def test_refusals(
    server: ScriptedServer, what: str, error: type[SMTPException], classic: type[smtplib.SMTPException]
) -> None:
    """What refuses everybody is raised as the classic error, with the facts; the connection lives on."""
    match what:
        case "sender":
            server.refuse_sender("*")
        case "recipients":
            server.refuse("*")
        case _:
            server.refuse_content()
    with client_of(server) as client, pytest.raises(error) as caught:
        client.send(MESSAGE)
    assert isinstance(caught.value, classic)
    assert caught.value.receipt is not None
    assert list(caught.value.receipt.rejected) == BOTH
    assert str(caught.value).startswith(f"127.0.0.1:{server.port} (no TLS) at ")
    assert server.lines[-1] == b"QUIT"


def test_verbs(server: ScriptedServer) -> None:
    """Each of the small verbs is said and answered."""
    server.answer("EXPN", b"250-Ann <ann@x>\r\n250 Bob <bob@x>\r\n")
    server.answer("XMAGIC", b"250 abracadabra\r\n")
    with client_of(server) as client:
        codes = [r.code for r in (client.noop(), client.reset(), client.verify("bob@x.example"), client.help())]
        assert client.expand("staff").lines == ("Ann <ann@x>", "Bob <bob@x>")
        assert client.command("XMAGIC", "word").text == "abracadabra"
    assert codes == [250, 250, 252, 214]
    assert server.lines[1:6] == [b"NOOP", b"RSET", b"VRFY bob@x.example", b"HELP", b"EXPN staff"]


def test_a_refused_verb(server: ScriptedServer) -> None:
    """A refusal is raised, and the connection can still be used."""
    server.answer("EXPN", b"502 5.5.1 not here\r\n")
    with client_of(server) as client:
        with pytest.raises(SMTPResponseException) as caught:
            client.expand("staff")
        assert caught.value.smtp_code == 502
        assert caught.value.transcript[-1] == "S: 502 5.5.1 not here"
        client.send(MESSAGE)
    assert len(server.connections) == 1


def test_ehlo_name(server: ScriptedServer) -> None:
    """EHLO says the configured name."""
    with client_of(server, local_hostname="web1.example.com"):
        assert server.lines == [b"EHLO web1.example.com"]


@pytest.mark.parametrize(("machine", "said"), [("web1.example.com", b"web1.example.com"), ("web1", b"[127.0.0.1]")])
def test_ehlo_default_name(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, machine: str, said: bytes) -> None:
    """Without one it is the machine's own if that is a full name, or else the address; nobody is asked for more."""
    monkeypatch.setattr("socket.gethostname", lambda: machine)
    monkeypatch.delattr("socket.getfqdn")
    with client_of(server):
        assert server.lines == [b"EHLO " + said]


@pytest.mark.parametrize("code", [b"500", b"502"])
def test_helo(server: ScriptedServer, code: bytes) -> None:
    """A server that knows no EHLO is greeted by HELO, and gets plain SMTP."""
    server.answer("EHLO", code + b" what?\r\n")
    with client_of(server) as client:
        client.send(MESSAGE)
        assert not client.capabilities.esmtp
    assert [line.split()[0] for line in server.lines] == [b"EHLO", b"HELO", b"MAIL", b"RCPT", b"RCPT", b"DATA", b"QUIT"]


def test_a_refused_hello_says_what_to_try(server: ScriptedServer) -> None:
    """The error names what the client called itself."""
    server.answer("EHLO", b"550 5.7.1 I do not like your name\r\n")
    with pytest.raises(SMTPHeloError, match=r"called itself \[127\.0\.0\.1\]: set local_hostname"):
        client_of(server).connect()


def test_what_is_known_of_the_connection(server: ScriptedServer) -> None:
    """Capabilities and a transcript, while there is a connection."""
    client = client_of(server)
    assert (client.capabilities.esmtp, client.tls, client.transcript) == (False, None, ())
    with client:
        assert client.capabilities.pipelining
        assert client.tls is None
        assert client.transcript[:2] == ("S: 220 scripted.test ESMTP", "C: EHLO [127.0.0.1]")


def test_an_error_of_the_message_touches_no_socket(server: ScriptedServer) -> None:
    """What cannot be sent is refused before anybody is called."""
    with pytest.raises(SMTPInputError):
        client_of(server).send(MESSAGE, recipients=["b@x\r\nRSET"])
    assert server.connections == []


def test_a_message_too_large_for_the_server() -> None:
    """RFC 1870: it is refused here, before MAIL, naming both sizes; the next one goes."""
    with ScriptedServer(extensions=("SIZE 1000",)) as server, client_of(server) as client:
        with pytest.raises(SMTPInputError, match=r"2\d\d\d.* 1000"):
            client.send(MESSAGE + b"x" * 2000)
        receipt = client.send(MESSAGE)
        assert [line[:4] for line in server.lines] == [b"EHLO", b"MAIL", b"RCPT", b"RCPT", b"DATA"]
        assert not receipt.reused


def test_lmtp_over_tcp() -> None:
    """LMTP has one reply for each accepted recipient: each has its own fate."""
    with ScriptedServer(lmtp=True) as server:
        server.refuse_content(552, "5.2.2", "mailbox full", recipient=CYD)
        with client_of(server) as client:
            receipt = client.send(MESSAGE)
            client.noop()
    assert [(r.state, r.code) for r in receipt.results.values()] == [(State.ACCEPTED, 250), (State.REJECTED, 552)]


def test_the_record(server: ScriptedServer, caplog: pytest.LogCaptureFixture) -> None:
    """One record for each message on the logger "mailbridge", with stable fields."""
    caplog.set_level(logging.INFO, "mailbridge")
    server.refuse(CYD)
    with client_of(server) as client:
        client.send(MESSAGE)
    [record] = caplog.records
    assert (record.name, record.levelname) == ("mailbridge", "WARNING")
    fields = vars(record)
    assert fields["host"] == "127.0.0.1"
    assert fields["port"] == server.port
    assert (fields["tls"], fields["reused"], fields["queue_id"]) == (None, False, "000001")
    assert (fields["message_id"], fields["mail_from"], fields["accepted"]) == (
        "<1@example.com>",
        "ann@example.com",
        [BOB],
    )
    [refused] = fields["refused"]
    assert (refused["recipient"], refused["code"], refused["enhanced"], refused["phase"]) == (CYD, 550, "5.1.1", "RCPT")
    assert (fields["unknown"], fields["not_sent"]) == ([], [])
    assert 0 < fields["duration"] < 5


def test_no_record(server: ScriptedServer, caplog: pytest.LogCaptureFixture) -> None:
    """A framework that writes its own turns it off."""
    caplog.set_level(logging.INFO, "mailbridge")
    with client_to(client_of(server).server, log_receipts=False) as client:
        client.send(MESSAGE)
    assert caplog.records == []


def test_a_failed_connection_has_its_record_too(caplog: pytest.LogCaptureFixture) -> None:
    """A message that met no server is an ERROR, its recipients not_sent."""
    with peer() as port:
        pass
    with pytest.raises(SMTPException) as caught:
        client_to(plain(port)).send(MESSAGE)
    [record] = caplog.records
    assert (record.levelname, vars(record)["not_sent"]) == ("ERROR", BOTH)
    assert caught.value.receipt is not None
    assert all(r.temporary for r in caught.value.receipt.not_sent.values())


def test_a_354_though_everybody_was_refused() -> None:
    """With PIPELINING the server may want content for nobody: it gets the lone dot, then RSET before the next MAIL."""

    def talk(connection: socket.socket) -> None:
        with Line(connection) as line:
            line.greet(b"PIPELINING")
            for verb in (b"MAIL", b"RCPT", b"RCPT", b"DATA"):
                line.hear(verb)
            line.say(b"250 ok\r\n550 no\r\n550 no\r\n354 go\r\n")
            assert line.until_dot() == b""
            line.say(b"554 nobody\r\n")
            for verb in (b"RSET", b"MAIL", b"RCPT", b"RCPT", b"DATA"):
                line.hear(verb)
            line.say(b"250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
            assert line.until_dot() == MESSAGE
            line.say(b"250 ok\r\n")
            line.drain()

    with peer(talk) as port, client_to(plain(port)) as client:
        with pytest.raises(SMTPRecipientsRefused):
            client.send(MESSAGE)
        assert client.send(MESSAGE).complete


def test_a_mail_object_says_everything_itself(server: ScriptedServer) -> None:
    """Whom the second list of recipients was for nobody could know: nothing is sent."""
    with client_of(server) as client, pytest.raises(SMTPInputError, match="its own"):
        client.send(MailObject(MESSAGE, sender="x@example.com", recipients=[BOB]), recipients=[CYD])
    assert server.messages == []


def test_a_server_that_takes_one_message_for_each_connection() -> None:
    """RFC 9422: LIMITS MAILMAX is kept, with a goodbye and without an error."""
    with ScriptedServer(extensions=("PIPELINING", "LIMITS MAILMAX=1")) as server:
        with client_of(server) as client:
            receipts = [client.send(MESSAGE, sender="x@example.com", recipients=[BOB]) for _ in range(3)]
        assert [receipt.reused for receipt in receipts] == [False] * 3
        assert [connection.lines[-1] for connection in server.connections] == [b"QUIT"] * 3


def test_a_client_takes_a_server() -> None:
    """A URL in its place is said at once, not at the first send."""
    with pytest.raises(SMTPInputError, match="from_url"):
        client_to("smtp://localhost")  # type: ignore[arg-type]  # the mistake
