"""S8, S9, S22, S23: what stands in a message is in this message, all of it, and nothing that it names is fetched."""

import re
from importlib import import_module
from typing import Any

import pytest

from mailbridge import wire
from mailbridge.testing import ScriptedServer
from tests.security.faces import Face
from tests.security.letters import ANN, BOB, Letter
from tests.security.seen import untouched

deliver = import_module("mailbridge.conversations.deliver")  # the package calls its function so

ENDS = ["\n.\n", "\n.\r\n", "\r.\r", "\r.\r\n", "\r\n.\n", "\r\n.\r\n", "\r\n.\r", "\n.\r", "\r\n.\0\r\n", "\n..\n"]
EVIL = "MAIL FROM:<e@evil.example>\r\nRCPT TO:<v@example.org>\r\nDATA\r\nevil"


def is_one_message(face: Face, server: ScriptedServer, end: str, *, as_octets: bool = False) -> None:
    """What stands behind the end is content, to the last word, with CRLF for its line ends."""
    before = len(server.messages)
    body = f"hello{end}{EVIL}{end}bye\n"
    assert face.send(Letter(body=body, as_octets=as_octets)).delivered, end
    assert [m.sender for m in server.messages[before:]] == [ANN], end
    content = server.messages[-1].content
    assert content.count(b"\n") == content.count(b"\r") == content.count(b"\r\n"), end
    assert content.endswith(b"bye\r\n"), end


@pytest.mark.parametrize("extensions", [(), ("CHUNKING", "PIPELINING")], ids=["DATA", "BDAT"])
@pytest.mark.parametrize("lax", [False, True], ids=["strict server", "lax server"])
def test_s08_a_text(face: Face, serve: Any, extensions: tuple[str, ...], lax: bool) -> None:
    """S8: a text that looks like an end of data is one message, to a strict server and to a lax one."""
    server = serve(extensions=extensions, lax_newlines=lax)
    face.to(server)
    for end in ENDS:
        is_one_message(face, server, end)


@pytest.mark.parametrize("extensions", [(), ("CHUNKING", "PIPELINING")], ids=["DATA", "BDAT"])
@pytest.mark.parametrize("lax", [False, True], ids=["strict server", "lax server"])
def test_s08_octets(
    face: Face, serve: Any, extensions: tuple[str, ...], lax: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S8: octets that look like an end of data are one message, however they are cut on the way."""
    server = serve(extensions=extensions, lax_newlines=lax)
    face.to(server)
    for size in (1, 2, 3, 5, 1000):
        monkeypatch.setattr(wire, "CHUNK", size)
        monkeypatch.setattr(deliver, "CHUNK", size)
        for end in ENDS:
            is_one_message(face, server, end, as_octets=True)


INJECTED = ["x\r\nBcc: e@y", "x\n\nbody", "x\rBcc: e@y", "x\nBcc: e@y", "x\r\n\r\nbody", "x\r\n\t\r\nbody", "x\n"]


def test_s09_a_line_end_in_the_subject(face: Face, serve: Any) -> None:
    """S9: a header field is one field, whatever the interpreter lets pass."""
    server = serve()
    face.to(server)
    for value in INJECTED:
        assert isinstance(face.send(Letter(subject=value)).error, ValueError), value
    assert untouched(server, face)


def test_s09_a_line_end_in_a_field_of_ones_own(face: Face, serve: Any) -> None:
    """S9: the same for a field that a program adds, in its value and in its name."""
    server = serve()
    face.to(server)
    for field in (field for value in INJECTED for field in (("X-Shop", value), (f"X-{value}", "1"))):
        assert isinstance(face.send(Letter(headers=(field,))).error, ValueError), field
    assert untouched(server, face)


def test_s09_a_line_end_in_a_file_name(face: Face, serve: Any) -> None:
    """S9: and for the name of an attachment: an error, or a name without it, but no field of somebody else's."""
    server = serve()
    face.to(server)
    for value in INJECTED:
        outcome = face.send(Letter(files=((f"a{value}.txt", "text"),)))
        assert outcome.delivered or isinstance(outcome.error, ValueError), value
    for message in server.messages:
        assert not re.search(rb"\r\n(Bcc|body)", message.content)


def test_s22_bcc(face: Face, serve: Any) -> None:
    """S22: who is in Bcc gets it, and nobody can see that."""
    server = serve()
    hidden = "hidden@example.net"
    assert face.to(server).send(Letter(bcc=(hidden, "Cy <cy@example.net>"))).delivered

    [message] = server.messages
    assert message.recipients == (BOB, hidden, "cy@example.net")
    assert b"example.net" not in message.content
    assert b"bcc" not in message.content.lower()


def test_s22_a_field_of_ones_own(face: Face, serve: Any) -> None:
    """S22: where a program writes it as a header field, in whatever case, it is refused or left out."""
    server = serve()
    face.to(server)
    for name in ("Bcc", "BCC", "bcc"):
        outcome = face.send(Letter(headers=((name, "hidden@example.net"),)))
        assert outcome.delivered or isinstance(outcome.error, ValueError), name
    assert not any(b"hidden" in message.content for message in server.messages)


PLACES = ["/etc/passwd", "file:///etc/passwd", "@/etc/passwd", "http://127.0.0.1:1/x"]


def test_s23_what_looks_like_a_file(face: Face, serve: Any) -> None:
    """S23: as the name and the content of an attachment it is text."""
    server = serve()
    face.to(server)
    for text in PLACES:
        assert face.send(Letter(files=((text, text),))).delivered
        assert text.encode() in server.messages[-1].content
        assert b"root:" not in server.messages[-1].content


def test_s23_what_looks_like_a_url(face: Face, serve: Any) -> None:
    """S23: as a subject and a body it is text, too."""
    server = serve()
    face.to(server)
    for text in PLACES:
        assert face.send(Letter(subject=text, body=f"{text}\n")).delivered
        assert server.messages[-1].content.count(text.encode()) == 2
        assert b"root:" not in server.messages[-1].content
