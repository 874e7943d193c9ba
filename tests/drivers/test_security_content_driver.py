"""The security table of WIRE.md, through the public Client: what a message could smuggle (S8 to S11, S22, S23)."""

import time
from email import message_from_bytes
from email.message import EmailMessage, Message
from importlib import import_module

import pytest

from mailbridge import (
    SMTPInputError,
    wire,
)
from mailbridge.testing import ScriptedServer
from tests.drivers.helpers import BOTH, HEADER, MESSAGE, client_of

# The package has a function of this name too.
deliver = import_module("mailbridge.conversations.deliver")

pytestmark = pytest.mark.usefixtures("driver")

ENDS = [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r\n", b"\r\n.\r", b"\n.\r"]


@pytest.mark.parametrize("extensions", [(), ("CHUNKING",)])
@pytest.mark.parametrize("lax", [False, True])
def test_s08_smuggling(extensions: tuple[str, ...], lax: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """S8: a body that looks like an end of data is one message to a strict and to a lax server, however it is cut."""
    with ScriptedServer(extensions=extensions, lax_newlines=lax) as server, client_of(server) as client:
        for end in ENDS:
            body = b"hello" + end + b"MAIL FROM:<e@evil>\r\nRCPT TO:<v@example.org>\r\nDATA\r\nevil" + end + b"bye\r\n"
            expected = HEADER + b"\r\n" + body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
            for size in (1, 2, 3, 5, 1000):
                monkeypatch.setattr(wire, "CHUNK", size)
                monkeypatch.setattr(deliver, "CHUNK", size)
                client.send(HEADER + b"\r\n" + body)
                assert server.messages[-1].content == expected
        assert {m.sender for m in server.messages} == {"ann@example.com"}
        assert len(server.messages) == len(ENDS) * 5


def test_s08_smuggling_by_a_message_that_was_parsed() -> None:
    """S8: a stranger's multipart without a boundary, passed on by a program, is one message to a lax server."""
    body = b"hello\n.\nMAIL FROM:<e@evil>\nRCPT TO:<v@example.org>\nDATA\nevil\n.\n"
    header = HEADER.replace(b"\r\n", b"\n") + b"Content-Type: multipart/mixed\n\n"
    with ScriptedServer(extensions=(), lax_newlines=True, strict_pipelining=False) as server:
        with client_of(server) as client:
            client.send(message_from_bytes(header + body))
        [message] = server.messages
    assert message.content.endswith(body.replace(b"\n", b"\r\n"))


def _message(name: str, value: str) -> Message:
    message = Message()
    message["From"], message["To"] = "a@example.com", BOTH[0]
    message[name] = value
    message.set_payload("hello\n")
    return message


@pytest.mark.parametrize("value", ["x\r\nBcc: e@y", "x\n\nbody", "x\rBcc: e@y", "x\nBcc: e@y"])
def test_s09_header_injection(server: ScriptedServer, value: str) -> None:
    """S9: a header field is one field, whatever the interpreter lets pass."""
    named = _message("X-Other", "y")
    named.add_header("Content-Disposition", "attachment", filename=f"a{value}.txt")
    for message in (_message("Subject", value), named):
        with pytest.raises(SMTPInputError):
            client_of(server).send(message)
    assert server.connections == []


def test_s10_wrong_recipient(server: ScriptedServer) -> None:
    """S10: the envelope comes from one structured parse of the header."""
    message = _message("Subject", "x")
    message.replace_header("To", '"e@evil x"@ok.example')
    with client_of(server) as client:
        client.send(message)
        assert [m.recipients for m in server.messages] == [('"e@evil x"@ok.example',)]
        message.replace_header("To", "alice@ok)Roger(<bob@evil>")
        with pytest.raises(SMTPInputError):
            client.send(message)
    assert len(server.messages) == 1


@pytest.mark.parametrize("attack", ["(", ",", '"', "<", "a:", "@", "((a)"])
def test_s11_parser_cost(server: ScriptedServer, attack: str) -> None:
    """S11: a megabyte of it is an error within 50 ms, as a recipient and in a header."""
    text = attack * (1024 * 1024 // len(attack))
    begun = time.thread_time()
    with pytest.raises(SMTPInputError):
        client_of(server).send(MESSAGE, recipients=[text])
    middle = time.thread_time()
    with pytest.raises(SMTPInputError):
        client_of(server).send(HEADER.replace(b"cyd@example.org", text.encode()) + b"\r\nhello\r\n")
    assert middle - begun < 0.05
    assert time.thread_time() - middle < 0.05
    assert server.connections == []


@pytest.mark.parametrize("kind", [EmailMessage, Message])
def test_s22_bcc(server: ScriptedServer, kind: type[Message]) -> None:
    """S22: Bcc is in the envelope and nowhere else; the caller's message keeps it."""
    message = kind()
    for name, value in (("From", "a@example.com"), ("To", "b@example.org"), ("Bcc", "secret@example.net")):
        message[name] = value
    message.set_payload("hello\n")
    with client_of(server) as client:
        client.send(message)
        client.send(b"From: a@example.com\nTo: b@example.org\nBCC: secret@example.net,\n x@y.example\n\nhello\n")
    assert [m.recipients[:2] for m in server.messages] == [("b@example.org", "secret@example.net")] * 2
    assert not [m for m in server.messages if b"secret" in m.content or b"bcc" in m.content.lower()]
    assert message["Bcc"] == "secret@example.net"


def test_s23_files_and_urls(server: ScriptedServer) -> None:
    """S23: a path or a URL in a message is text."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.com", BOTH[0], "file:///etc/passwd"
    message.set_content("http://127.0.0.1:1/x\n")
    message.add_attachment("/etc/passwd", filename="/etc/passwd")
    with client_of(server) as client:
        client.send(message)
    content = server.messages[0].content
    assert b"\r\n/etc/passwd\r\n" in content
    assert b"root:" not in content
