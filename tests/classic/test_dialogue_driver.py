"""What goes over the wire and what comes back: verbs, replies, debug output, error texts."""

import io
import re
import smtplib as standard
import socket
from email.message import EmailMessage
from typing import Any
from unittest import mock

import pytest

from mailbridge import smtplib
from mailbridge.testing import Then


def test_verbs_go_out_as_the_standard_module_sends_them(serve, dial) -> None:
    """Lower case but for AUTH, STARTTLS and the QUIT of a `with` block, as programs' transcripts have it."""
    server = serve()
    client = dial(server)
    client.helo()
    client.sendmail("Ann <a@x>", "b@y", b"hi", ["BODY=8BITMIME"], ["NOTIFY=NEVER"])
    client.vrfy("Bob <b@y>")
    client.expn("list")
    client.noop()
    client.rset()
    client.help("me")
    client.quit()
    with dial(server, local_hostname="two.test") as client:
        client.ehlo("named.test")

    assert server.lines == [
        b"helo client.test",
        *(b"mail from:<a@x>", b"rcpt to:<b@y>", b"data"),
        *(b"vrfy b@y", b"expn list", b"noop", b"rset", b"help me", b"quit"),
        *(b"ehlo named.test", b"QUIT"),
    ]


def test_esmtp_parameters_follow_an_ehlo(serve, dial) -> None:
    """SIZE first, where it is offered, then the caller's."""
    server = serve()
    dial(server).sendmail("a@x", "b@y", b"hi", ["BODY=8BITMIME"], ["NOTIFY=NEVER"])

    assert server.lines[1:3] == [b"mail from:<a@x> size=2 BODY=8BITMIME", b"rcpt to:<b@y> NOTIFY=NEVER"]


def test_replies_are_pairs(serve, dial) -> None:
    """An int and octets; the lines of a reply are joined by LF, white space around them is gone."""
    server = serve()
    server.answer("NOOP", b"250-one \r\n250-\r\n250 two\r\n")
    client = dial(server)

    assert client.noop() == (250, b"one\n\ntwo")
    assert client.docmd("rset") == (250, b"ok")
    assert client.help() == b"this server does what a test says\nend of help"
    assert client.quit() == (221, b"bye")


def test_what_ehlo_teaches(serve, dial) -> None:
    """Extensions in lower case with their parameters; AUTH is collected from all of its lines."""
    server = serve()
    server.answer("EHLO", b"250-name\r\n250-SIZE 1000\r\n250-AUTH PLAIN\r\n250-AUTH=LOGIN\r\n250 8BITMIME\r\n")
    client = dial(server)

    assert (client.does_esmtp, client.ehlo_resp, client.esmtp_features) == (False, None, {})
    assert client.ehlo() == (250, b"name\nSIZE 1000\nAUTH PLAIN\nAUTH=LOGIN\n8BITMIME")
    assert client.esmtp_features == {"size": "1000", "auth": " PLAIN LOGIN", "8bitmime": ""}
    assert client.does_esmtp
    assert client.has_extn("Size")
    assert not client.has_extn("DSN")


def test_helo_follows_a_refused_ehlo(serve, dial) -> None:
    """Then there are no ESMTP parameters; refused too, it is SMTPHeloError."""
    server = serve()
    server.answer("EHLO", b"502 what?\r\n")
    client = dial(server)
    client.sendmail("a@x", "b@y", b"hi", ["BODY=8BITMIME"])
    assert server.lines[:3] == [b"ehlo client.test", b"helo client.test", b"mail from:<a@x>"]
    assert (client.does_esmtp, client.helo_resp) == (False, b"scripted.test")

    server.answer("HELO", b"501 no\r\n")
    with pytest.raises(smtplib.SMTPHeloError) as caught:
        dial(server).ehlo_or_helo_if_needed()
    assert caught.value.args == (501, b"no")


def test_sendmail_reports_who_was_refused(serve, dial) -> None:
    """The accepted ones get the mail, the refused ones are in the result, with code and octets."""
    server = serve()
    server.refuse("no@y", text="who?")

    assert dial(server).sendmail("a@x", ["b@y", "no@y"], "hi\n.\n") == {"no@y": (550, b"5.1.1 who?")}
    assert (server.messages[0].recipients, server.messages[0].content) == (("b@y",), b"hi\r\n.\r\n")


@pytest.mark.parametrize(
    ("event", "kind", "args"),
    [
        ("MAIL", smtplib.SMTPSenderRefused, (550, b"no", "a@x")),
        ("RCPT", smtplib.SMTPRecipientsRefused, ({"b@y": (550, b"no"), "c@y": (550, b"no")},)),
        ("DATA", smtplib.SMTPDataError, (550, b"no")),
        ("CONTENT", smtplib.SMTPDataError, (550, b"no")),
    ],
)
def test_the_connection_outlives_a_refusal(serve, dial, event: str, kind: type, args: tuple[Any, ...]) -> None:
    """The transaction is reset, and the next message goes out over the same connection."""
    server = serve()
    server.answer(event, b"550 no\r\n", times=2 if event == "RCPT" else 1)
    client = dial(server)

    with pytest.raises(kind) as caught:
        client.sendmail("a@x", ["b@y", "c@y"], b"hi")
    assert caught.value.args == args
    assert server.lines[-1] == b"rset"
    assert client.sendmail("a@x", "b@y", b"hi") == {}
    assert len(server.connections) == 1


def test_doubles_that_are_all_refused(serve, dial) -> None:
    """One recipient named twice is two refusals, and no content is sent."""
    server = serve()
    server.refuse("no@y")

    with pytest.raises(smtplib.SMTPRecipientsRefused):
        dial(server).sendmail("a@x", ["no@y", "no@y"], b"hi")
    assert server.lines[-1] == b"rset"


def test_what_cannot_be_encoded(serve, dial) -> None:
    """A local part beyond ASCII without SMTPUTF8: the standard error, and the transaction is reset."""
    server = serve()
    client = dial(server)

    with pytest.raises(UnicodeEncodeError):
        client.sendmail("a@x", ["b@y", "jörg@y"], b"hi")
    assert client.sendmail("jörg@x", ["jörg@y"], b"hi", ["SMTPUTF8"]) == {}
    assert client.command_encoding == "utf-8"
    client.rset()
    assert client.command_encoding == "ascii"


@pytest.mark.parametrize("event", ["MAIL", "RCPT", "DATA", "CONTENT", "AUTH"])
def test_a_421_closes(serve, dial, event: str) -> None:
    """After it nothing more is said (SERVERS.md R3), whoever keeps the line open."""
    server = serve(accounts={"ann": "Gehe1m-pw"})
    server.answer(event, b"421 later\r\n")
    client = dial(server)
    step = client.login if event == "AUTH" else client.sendmail
    args = ("ann", "Gehe1m-pw") if event == "AUTH" else ("a@x", ["b@y", "c@y"], b"hi")

    with pytest.raises(smtplib.SMTPException):
        step(*args)
    assert client.sock is None
    server.wait_for(lambda: server.connections[0].ended)
    assert server.lines[-1][:4].upper().strip() in {event.encode(), b"DATA"}


def test_subclasses_are_asked(serve) -> None:
    """`send_message` calls `sendmail`; that calls the instance's own methods."""
    calls = []

    class Mine(smtplib.SMTP):
        def __getattribute__(self, name: str) -> Any:
            if name in {"ehlo_or_helo_if_needed", "sendmail", "mail", "rcpt", "data", "rset", "getreply", "putcmd"}:
                calls.append(name)
            return super().__getattribute__(name)

    server = serve()
    server.answer("CONTENT", b"550 no\r\n")
    message = EmailMessage()
    message["From"], message["To"] = "a@x.example", "b@y.example"
    with Mine("localhost", server.port, timeout=5) as client, pytest.raises(smtplib.SMTPDataError):
        client.send_message(message)

    steps = [name for name in calls if name not in {"getreply", "putcmd"}]
    assert steps[-6:] == ["sendmail", "ehlo_or_helo_if_needed", "mail", "rcpt", "data", "rset"]
    # Greeting, EHLO, MAIL, RCPT, DATA, content, RSET, QUIT.
    assert (calls.count("getreply"), calls.count("putcmd")) == (8, 6)


@pytest.mark.parametrize(("level", "stamp"), [(1, ""), (2, r"\d\d:\d\d:\d\d\.\d{6} ")])
def test_debug_output(serve, dial, level: int, stamp: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines on stderr as the standard module prints them, at level 2 with the time."""
    client = smtplib.SMTP(local_hostname="client.test", timeout=5)
    client.set_debuglevel(level)
    client.connect("localhost", serve().port)
    client.docmd("noop")
    client.close()

    lines = capsys.readouterr().err.splitlines()
    assert all(re.match(stamp + "(connect|send|reply): ?", line) for line in lines)
    assert [re.sub("^" + stamp, "", line) for line in lines][1:] == [
        "reply: b'220 scripted.test ESMTP\\r\\n'",
        "reply: retcode (220); Msg: b'scripted.test ESMTP'",
        "connect: b'scripted.test ESMTP'",
        "send: 'noop\\r\\n'",
        "reply: b'250 ok\\r\\n'",
        "reply: retcode (250); Msg: b'ok'",
    ]


def test_debug_output_of_a_transaction_is_the_standard_one(serve, capsys: pytest.CaptureFixture[str]) -> None:
    """Both modules print the same lines; Python 3.11 writes FROM and TO in capitals."""
    server = serve()
    printed = []
    for module in (standard, smtplib):
        client = module.SMTP(local_hostname="client.test", timeout=5)
        client.set_debuglevel(1)
        client.connect("localhost", server.port)
        client.sendmail("a@x", "b@y", "hi")
        client.quit()
        printed.append(capsys.readouterr().err.lower().replace("000002", "000001").splitlines())

    assert printed[1] == printed[0]
    assert printed[1][0] == f"connect: to ('localhost', {server.port}) none"


def _unconnected(client: Any) -> None:
    client.noop()


def _cut(client: Any) -> None:
    client.docmd("vrfy", "x")


def _long(client: Any) -> None:
    client.docmd("expn", "x")


def _no_auth(client: Any) -> None:
    client.login("ann", "Gehe1m-pw")


def _no_tls(client: Any) -> None:
    client.starttls()


def _no_utf8(client: Any) -> None:
    client.ehlo()
    client.mail("a@x", ["SMTPUTF8"])


@pytest.mark.parametrize("module", [standard, smtplib], ids=["standard", "ours"])
@pytest.mark.parametrize(
    ("provoke", "kind", "text"),
    [
        (_unconnected, "SMTPServerDisconnected", "please run connect() first"),
        (_cut, "SMTPServerDisconnected", "Connection unexpectedly closed"),
        (_long, "SMTPResponseException", "(500, 'Line too long.')"),
        (_no_auth, "SMTPNotSupportedError", "SMTP AUTH extension not supported by server."),
        (_no_tls, "SMTPNotSupportedError", "STARTTLS extension not supported by server."),
        (_no_utf8, "SMTPNotSupportedError", "SMTPUTF8 not supported by server"),
    ],
)
def test_error_texts_are_the_standard_ones(serve, module: Any, provoke: Any, kind: str, text: str) -> None:
    """Both modules raise the same exception with the same text."""
    server = serve(extensions=())
    server.cut_before("VRFY")
    server.answer("EXPN", b"250 " + b"x" * 9_000 + b"\r\n")
    client = module.SMTP(timeout=5)
    if provoke is not _unconnected:
        client.connect("localhost", server.port)

    with client, pytest.raises(getattr(module, kind)) as caught:
        provoke(client)
    assert str(caught.value) == text


def test_a_reset_is_named(serve, dial) -> None:
    """The text says how the connection ended."""
    server = serve()
    server.cut_before("NOOP", Then.RESET)
    client = dial(server)

    with pytest.raises(smtplib.SMTPServerDisconnected, match=r"^Connection unexpectedly closed: .*reset by peer"):
        client.noop()
    assert client.sock is None


def test_no_suitable_method(serve, dial) -> None:
    """A server that offers only what nobody here knows."""
    server = serve(extensions=["AUTH GSSAPI"])

    with pytest.raises(smtplib.SMTPException, match=r"^No suitable authentication method found\.$"):
        dial(server).login("ann", "Gehe1m-pw")


def test_connect_errors_come_through_unchanged() -> None:
    """They are what the socket module raises, not our own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionRefusedError) as refused:
        smtplib.SMTP("127.0.0.1", port)
    with pytest.raises(socket.gaierror) as unknown:
        smtplib.SMTP("localhost", "no-such-service")
    with pytest.raises(OSError, match=r"^nonnumeric port$"):
        smtplib.SMTP("localhost:port")
    assert type(refused.value) is ConnectionRefusedError
    assert type(unknown.value) is socket.gaierror


def test_a_refusing_greeting(serve) -> None:
    """The constructor raises; `connect` gives the reply and leaves the rest to the caller."""
    server = serve()
    server.answer("GREETING", b"554 go away\r\n")

    with pytest.raises(smtplib.SMTPConnectError) as caught:
        smtplib.SMTP("localhost", server.port, timeout=5)
    assert caught.value.args == (554, b"go away")
    client = smtplib.SMTP(timeout=5)
    assert client.connect(f"localhost:{server.port}") == (554, b"go away")
    client.close()


def test_a_second_connect(serve, dial) -> None:
    """It closes the first connection and forgets what was learned over it."""
    server = serve()
    client = dial(server)
    client.ehlo()
    client.connect("localhost", server.port)

    server.wait_for(lambda: server.connections[0].ended == "client closed")
    assert (client.ehlo_resp, client.esmtp_features) == (None, {})


def test_a_with_block_says_when_quit_was_refused(serve, dial) -> None:
    """An answer to QUIT that is not 221 is an error; a connection that is gone is none."""
    server = serve()
    server.answer("QUIT", b"500 stay\r\n")
    with pytest.raises(smtplib.SMTPResponseException, match="stay"), dial(server):
        pass
    server.cut_before("QUIT", nth=2)
    with dial(server) as client:
        client.close()


def test_programs_replace_the_modules_socket() -> None:
    """What stands in `smtplib.socket` at the time is used, and its file is read."""
    with mock.patch("mailbridge.smtplib.socket") as fake:
        fake.getfqdn.return_value = "client.test"
        fake_socket = fake.create_connection.return_value
        fake_socket.makefile.return_value.readline.side_effect = [b"220 hi\r\n", b"250-x\r\n", b"250 DSN", b"250 ok\n"]
        client = smtplib.SMTP("mail.example", 26)
        client.ehlo()
        client.noop()

    fake.create_connection.assert_called_once_with(("mail.example", 26), socket._GLOBAL_DEFAULT_TIMEOUT, None)
    fake_socket.makefile.assert_called_once_with("rb")
    assert client.file is fake_socket.makefile.return_value
    assert client.esmtp_features == {"dsn": ""}
    assert [call.args[0] for call in fake_socket.sendall.call_args_list] == [b"ehlo client.test\r\n", b"noop\r\n"]


def test_programs_replace_stderr_and_functions(serve, dial, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sys.stderr` and the module's functions are looked up when they are used."""
    client = dial(serve())
    monkeypatch.setattr("sys.stderr", io.StringIO())
    monkeypatch.setattr(smtplib, "quoteaddr", lambda address: f"<{address}.test>")
    client.set_debuglevel(1)
    client.mail("a@x")

    assert smtplib.sys.stderr.getvalue().startswith("send: 'mail from:<a@x.test>\\r\\n'\n")


def test_it_stands_in_the_standard_ones_place(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that says `smtplib.SMTP` (here: logging's mail handler) works with ours."""
    import logging.handlers

    server = serve()
    monkeypatch.setitem(__import__("sys").modules, "smtplib", smtplib)
    handler = logging.handlers.SMTPHandler(("localhost", server.port), "a@x.example", ["b@y.example"], "news")
    handler.emit(logging.LogRecord("name", logging.ERROR, "file", 1, "it broke", None, None))

    assert b"it broke" in server.messages[0].content


def test_the_little_script(serve, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m mailbridge.smtplib` asks and sends, as `python -m smtplib` does."""
    from mailbridge.smtplib.__main__ import main

    server = serve()
    monkeypatch.setattr(smtplib.SMTP, "default_port", server.port)
    monkeypatch.setattr("sys.stdin", io.StringIO("a@x\nb@y,c@y\nSubject: hi\n\nbody\n"))
    main()

    assert server.messages[0].recipients == ("b@y", "c@y")
    assert capsys.readouterr().out == "From: To: Enter message, end with ^D:\nMessage length is 18\n"
