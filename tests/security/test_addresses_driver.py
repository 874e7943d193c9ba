"""S10, S11: an address means one mailbox, and nobody's CPU is spent on what is none."""

import time
from typing import Any

from tests.security.faces import Face
from tests.security.letters import Letter
from tests.security.seen import untouched

MEGABYTE = 1024 * 1024


MEANT = {
    '"e@evil x"@ok.example': '"e@evil x"@ok.example',
    '"<e@evil.example>"@ok.example': '"<e@evil.example>"@ok.example',
    '"e@evil.example" <ann@ok.example>': "ann@ok.example",
}
UNCLEAR = [
    "alice@ok)Roger(<bob@evil>",
    "ann@ok.example@evil.example",
    "ann@ok.example <bob@evil.example>",
    "<ann@ok.example> <bob@evil.example>",
    "ann@ok.example\\@evil.example",
    "undisclosed: bob@evil.example",
    "ann@[ok.example",
]


def test_s10_who_is_meant(face: Face, serve: Any) -> None:
    """S10: the envelope and the header name the same mailbox."""
    server = serve()
    face.to(server)
    for address in MEANT:
        assert face.send(Letter(to=(address,))).delivered, address

    assert [m.recipients for m in server.messages] == [(mailbox,) for mailbox in MEANT.values()]


def test_s10_nobody_is_meant(face: Face, serve: Any) -> None:
    """S10: what two parsers could read in two ways goes to neither."""
    server = serve()
    face.to(server)
    for address in UNCLEAR:
        assert isinstance(face.send(Letter(to=(address,))).error, ValueError), address
    assert untouched(server, face)


def test_s11_a_megabyte(face: Face, serve: Any) -> None:
    """S11: an error within 50 ms of this thread's time."""
    server = serve()
    face.to(server)
    assert face.send(Letter()).delivered  # what is imported and made for the first time
    for attack in ("(", ",", '"', "<", "a:", "@", "((a)", "a@x,", "=?", "\\", "["):
        letter = Letter(to=(attack * (MEGABYTE // len(attack)),))
        begun = time.thread_time()
        outcome = face.send(letter)
        assert time.thread_time() - begun < 0.05, attack
        assert isinstance(outcome.error, ValueError), attack
    assert len(server.messages) == 1
