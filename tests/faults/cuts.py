"""Where a session is cut, and how: every octet, each in the cheapest run that can tell it from its neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from mailbridge.testing import Action, Script, Session, StartTLS, Then
from mailbridge.testing.script import Cut as ScriptedCut

Way = Literal["FIN", "RST", "silence", "421"]
WAYS: tuple[Way, ...] = ("FIN", "RST", "silence", "421")
HOW = {"FIN": Then.CLOSE, "RST": Then.RESET, "silence": Then.SILENCE, "421": Then.CLOSE}
LAST_WORDS = b"421 4.3.2 bye\r\n"
# The kernel of a client takes what the server's window has room for: here one octet makes a difference.
HELD: tuple[Way, ...] = ("RST", "silence")
# Within a handshake nothing can be said.
WITHOUT_WORDS: tuple[Way, ...] = ("FIN", "RST", "silence")


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the first connection ends, and how.

    Attributes:
        at: How many octets the server has read or written then: above TLS, or records and all (`raw`).
        reading: It counts what the server reads.
        way: How it ends.
        lazy: Which of the two kernels lies between: see `Line`.
        held: The kernel takes no octet behind the cut.
        raw: It counts octets of the wire.
        stands_for: How many cuts lie in this run that neither side can tell from one another.
    """

    at: int
    reading: bool
    way: Way
    lazy: bool = False
    held: bool = False
    raw: bool = False
    stands_for: int = 1

    def __str__(self) -> str:
        verb, kernel = ("read" if self.reading else "written"), ("lazy" if self.lazy else "brisk")
        return f"{self.way} at octet {self.at} {verb}{' on the wire' * self.raw}, {kernel} kernel"

    @property
    def scripted(self) -> ScriptedCut:
        """The same for the server's script."""
        words = LAST_WORDS if self.way == "421" else b""
        return ScriptedCut(self.at, HOW[self.way], 1, self.reading, words)


def above_tls(read: int, written: int, borders: Iterable[int], *, protected: bool) -> Iterator[Cut]:
    """All cuts of a session that has read and written so many octets.

    Args:
        read: What the server reads.
        written: What it writes.
        borders: The octets read behind which it acts.
        protected: TLS lies between, whose records come whole or not at all.
    """
    for number, (at, count) in enumerate(spans(read, borders)):
        for turn, way in enumerate(WAYS):
            yield Cut(at, True, way, lazy=(protected and (number + turn) % 2 == 1) or not protected, stands_for=count)
    if not protected:
        for at in range(read + 1):
            for way in HELD:
                yield Cut(at, True, way, held=True)
    for at in range(written + 1):
        for turn, way in enumerate(WAYS):
            yield Cut(at, False, way, lazy=(at + turn) % 2 == 1)


def spans(read: int, borders: Iterable[int]) -> Iterator[tuple[int, int]]:
    """One octet of each run of octets behind which the server does the same, with the length of that run."""
    begin = 0
    for border in (*(each for each in borders if each <= read), read + 1):
        if border > begin:
            yield begin, border - begin
        if border <= read:
            yield border, 1
        begin = border + 1


def acts_behind(script: Script, octets: bytes, *, implicit: bool) -> dict[int, int]:
    """The octets behind which a server acts that reads them one by one: those between are all the same to it.

    Returns:
        How many octets it has written when it has acted, by those that it has read.
    """
    session = Session(script)
    _handshakes(session, session.open(tls=implicit))
    connection = session.connection
    found = {0: connection.written}
    for at in range(1, len(octets) + 1):
        before = connection.written, connection.messages, len(connection.lines)
        _handshakes(session, session.receive(octets[at - 1 : at]))
        if before != (connection.written, connection.messages, len(connection.lines)):
            found[at] = connection.written
    return found


def _handshakes(session: Session, actions: list[Action]) -> None:
    for action in actions:
        if isinstance(action, StartTLS):
            session.tls_established()


def records(octets: bytes, begin: int, end: int) -> Iterator[int]:
    """The borders of TLS records (RFC 8446 section 5.1) between two octets of a stream."""
    at = begin
    while at < end:
        yield at
        at += 5 + int.from_bytes(octets[at + 3 : at + 5], "big")
    yield at
