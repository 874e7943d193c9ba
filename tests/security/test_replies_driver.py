"""S12 to S15, S18: whatever a server says, a client holds little of it, not for long, and believes less."""

import socket
import time
import tracemalloc
from typing import Any

import pytest

from mailbridge import smtplib
from mailbridge.testing import ScriptedServer, Then
from tests.drivers.helpers import Line, peer
from tests.security.faces import Face
from tests.security.letters import BOB, Letter

CY = "cy@example.org"
BOTH = Letter(to=(BOB, CY))
FLOODS = {
    "long lines": (b"250-" + b"x" * 8_000 + b"\r\n", 3_000),
    "an endless line": (b"250-" + b"x" * 8_000, 3_000),
    "short lines": (b"250-\r\n", 1_000_000),
    "an endless word": (b"2", 24_000_000),
}


@pytest.mark.parametrize("flood", FLOODS)
@pytest.mark.parametrize("event", [b"", b"EHLO", b"MAIL"], ids=["greeting", "EHLO", "MAIL"])
def test_s12_a_flood(face: Face, flood: str, event: bytes) -> None:
    """S12: an error, while less than a megabyte is held, and its sentence is short."""
    piece, times = FLOODS[flood]
    block = piece * max(1, 65_536 // len(piece))

    def talk(sock: socket.socket) -> None:
        with Line(sock) as line:
            if event:
                line.say(b"220 flood\r\n")
                line.file.readline()
            if event == b"MAIL":
                line.say(b"250 flood\r\n")
                line.file.readline()
            try:
                for _ in range(len(piece) * times // len(block)):
                    line.say(block)
            except ConnectionError:
                return

    with peer(talk) as port:
        face.by(host="127.0.0.1", port=port, security="none")
        face.prepare()
        tracemalloc.start()
        try:
            outcome = face.send(Letter())
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert isinstance(outcome.error, smtplib.SMTPException)
    assert outcome.accepted == ()
    assert peak < 1024 * 1024
    assert len(str(outcome.error)) < 1_000


def test_s13_a_dripping_server(face: Face, serve: Any) -> None:
    """S13: a timeout on time, however often a little comes."""
    server = serve()
    server.drip(0.2)
    begun = time.monotonic()
    outcome = face.to(server, timeout=0.25).send(Letter())

    assert isinstance(outcome.error, smtplib.SMTPException)
    assert 0.2 < time.monotonic() - begun < 5  # the greeting alone takes longer
    assert server.messages == []


NO_ANSWERS = [
    b"250-a\r\n550 b\r\n",
    b"550-a\r\n250 b\r\n",
    b"\r\n250 ok\r\n",
    b"2500 ok\r\n",
    b"25 ok\r\n",
    b"150 wait\r\n",
    b"650 what\r\n",
    b"ok\r\n",
    b"\xff\xfe250 ok\r\n",
]


EXTRA = [b"250 extra\r\n", b"550 extra\r\n", b"354 extra\r\n", b"x"]
USUAL = {"GREETING": b"220 hi\r\n", "DATA": b"354 go\r\n"}


def goes_on_elsewhere(face: Face, server: ScriptedServer, event: str, reply: bytes) -> None:
    """A letter whose command gets this answer is accepted by nobody; the next one has a connection of its own."""
    server.answer(event, reply, times=1)
    outcome = face.to(server).send(Letter())
    assert isinstance(outcome.error, smtplib.SMTPException), reply
    assert outcome.accepted == (), reply
    before = len(server.connections)
    assert face.send(Letter("second")).delivered, reply
    assert len(server.connections) == before + 1, reply


@pytest.mark.parametrize("event", ["MAIL", "RCPT", "CONTENT"])
def test_s14_no_answer(face: Face, serve: Any, event: str) -> None:
    """S14: what is no answer ends the connection and accepts nobody."""
    server = serve(extensions=())
    for reply in NO_ANSWERS:
        goes_on_elsewhere(face, server, event, reply)


@pytest.mark.parametrize("event", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA"])
def test_s14_one_too_many(face: Face, serve: Any, event: str) -> None:
    """S14: a reply that nobody asked for is not taken for the next command's."""
    server = serve(extensions=())
    for extra in EXTRA:
        goes_on_elsewhere(face, server, event, USUAL.get(event, b"250 ok\r\n") + extra)


@pytest.mark.parametrize("extra", EXTRA, ids=repr)
def test_s14_one_too_many_behind_the_content(face: Face, serve: Any, extra: bytes) -> None:
    """S14: this letter has its answer; the next one is not answered by what came behind it."""
    server = serve(extensions=())
    server.answer("CONTENT", b"250 ok\r\n" + extra, times=1)
    first = face.to(server).send(Letter())
    second = face.send(Letter("second"))
    if second.error is not None:
        # The classic API has no connection of its own to put in the place of this one.
        assert face.name == "smtplib"
        second = face.send(Letter("second"))

    assert first.accepted == second.accepted == (BOB,)
    assert [server.connections[-1].messages, len(server.connections)] == [1, 2]


@pytest.mark.parametrize("event", ["MAIL", "RCPT", "CONTENT"])
def test_s14_a_late_reply(face: Face, serve: Any, event: str) -> None:
    """S14: after its deadline it finds nobody."""
    server = serve(extensions=())
    server.answer(event, b"", times=1)
    outcome = face.to(server, timeout=0.2).send(Letter())
    server.hang_up(Then.GO_ON, b"250 too late\r\n")
    assert isinstance(outcome.error, smtplib.SMTPException)
    assert outcome.accepted == ()

    assert face.send(Letter("second")).delivered
    assert len(server.connections) == 2


@pytest.mark.parametrize("segment", [None, 7, 1])
def test_s15_one_reply_for_each(face: Face, serve: Any, segment: int | None) -> None:
    """S15: one accepted, one refused, in one segment and in many; the next letter gets its own answers."""
    server = serve(lmtp=True)
    server.segments(segment)
    server.refuse_content(550, "5.2.1", "disabled", recipient=CY)
    face.to(server)
    for _ in range(2):
        assert face.send(BOTH).accepted == (BOB,)
    assert [m.recipients for m in server.messages] == [(BOB,)] * 2


def test_s15_one_reply_is_missing(face: Face, serve: Any) -> None:
    """S15: then nobody knows, and nobody is told otherwise; the next letter has a connection of its own."""
    server = serve(lmtp=True)
    server.answer("CONTENT", b"", nth=2, times=1)
    outcome = face.to(server, timeout=0.2).send(BOTH)
    assert isinstance(outcome.error, smtplib.SMTPOutcomeUnknown)
    assert CY not in outcome.accepted

    assert face.send(Letter("second", to=(CY,))).accepted == (CY,)
    assert len(server.connections) == 2


@pytest.mark.parametrize(
    ("event", "code"), [("RCPT", 551), ("RCPT", 251), ("MAIL", 421), ("CONTENT", 551), ("GREETING", 554)]
)
def test_s18_a_host_in_a_reply(face: Face, serve: Any, event: str, code: int) -> None:
    """S18: it is text: nobody is called there."""
    server, other = serve(), serve()
    server.answer(event, f"{code} try <bob@[127.0.0.1]:{other.port}> smtp://127.0.0.1:{other.port}\r\n".encode())
    outcome = face.to(server, timeout=2).send(Letter())

    assert other.connections == []
    assert outcome.delivered is (code == 251)
