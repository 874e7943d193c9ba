"""S5, S6, S7: whatever a user of a web form types, a command is one line, and it is ours."""

from typing import Any

import idna
import pytest

from tests.security.faces import Face
from tests.security.letters import Letter, addressed
from tests.security.seen import only_polite, untouched

INJECTED = [
    "a@x\r\nRCPT TO:<e@y>",
    "a@x\rRSET",
    "a@x\nRSET",
    "a@x\n",
    "a@x\r",
    "\na@x",
    "a\0@x",
    "a\x0b@x",
    "a\x1b@x",
    "a\x7f@x",
    "a@x\u0085",
    "a@x\u2028",
    "a@x\u2029RSET",
    '"a\r\nRSET"@x',
    "a@x\r\n.\r\n",
    "Ann <a@x\r\nDATA>",
]


@pytest.mark.parametrize("part", ["recipient", "sender"])
def test_s05_a_line_end_in_an_address(face: Face, serve: Any, part: str) -> None:
    """S5: a ValueError before an octet of the letter is written."""
    server = serve()
    face.to(server)
    for address in INJECTED:
        outcome = face.send(addressed(address, part))
        assert isinstance(outcome.error, ValueError), address
        assert outcome.accepted == (), address
    assert untouched(server, face)


def test_s05_a_letter_that_ends_in_lf(face: Face, serve: Any) -> None:
    """S5: the last octet of U+760A is LF where text is cut to octets; in A-labels it is a letter like any other."""
    server = serve()
    outcome = face.to(server).send(addressed("a@\u760ax.example", "recipient"))

    assert outcome.delivered
    assert server.messages[0].recipients == (f"a@{idna.encode(chr(0x760A) + 'x.example').decode()}",)


SMUGGLED = [
    "b@x> NOTIFY=NEVER",
    "b@x>,<c@y",
    "b@x>",
    "<b@x> SIZE=1",
    "b@x SIZE=1",
    "b@x c@y",
    "<b@x><c@y>",
    "@a,@b:c@x>",
]


@pytest.mark.parametrize("part", ["recipient", "sender"])
def test_s06_a_parameter_in_an_address(face: Face, serve: Any, part: str) -> None:
    """S6: an address is one address and nothing else; a comma does not make two of it."""
    server = serve()
    face.to(server)
    for address in (*SMUGGLED, *(["b@x, c@y"] if part == "recipient" else [])):
        assert isinstance(face.send(addressed(address, part)).error, ValueError), address
    assert untouched(server, face)


def test_s06_a_quoted_local_part(face: Face, serve: Any) -> None:
    """S6: what is legal in quotes stays in quotes, parameters and all."""
    server = serve()
    outcome = face.to(server).send(addressed('"a> SIZE=1"@y.example', "recipient"))

    assert outcome.delivered
    assert b'<"A> SIZE=1"@Y.EXAMPLE>' in b"".join(server.lines).upper()
    assert server.messages[0].rcpt_parameters == {'"a> SIZE=1"@y.example': {}}


def test_s07_the_name_in_ehlo(face: Face, serve: Any) -> None:
    """S7: it is one line, or nothing is sent."""
    server = serve()
    for name in ("h\r\nMAIL FROM:<e@y>", "h\nRSET", "h\r", "h\0", "h\x7f", "h\u2028", "h\x1b[2J"):
        assert face.to(server, local_hostname=name).send(Letter()).error is not None, name
    assert only_polite(server)
    assert all(b"RSET" not in line for line in server.lines)


def test_s07_envid(face: Face, serve: Any) -> None:
    """S7: a parameter is one parameter, or nothing is sent."""
    server = serve()
    face.to(server)
    for envid in ("1\r\nRSET", "1\nRSET", "1 SIZE=1\r", "\0", "1\x7f"):
        assert isinstance(face.send(Letter(envid=envid)).error, ValueError), envid
    assert untouched(server, face)
