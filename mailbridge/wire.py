"""Octets in both directions: replies cut out of a stream, content made fit for one. All of it streams."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import BinaryIO, Final

from .errors import SMTPProtocolError
from .replies import Reply

# RFC 5321 section 4.5.3.1.5 gives a reply line 512 octets. Real ones are longer; none needs these.
REPLY_LINE = 8_192
REPLY_LINES = 2_000
REPLY_SIZE = 128 * 1024

# Octets of content that are handled at once: the memory that a file of any size costs, about four times.
CHUNK = 256 * 1024

# Octets that are looked at once: a copy that the processor still holds, and the allocator too, costs a third.
GLANCE = 32 * 1024

# Small pieces leave in one write up to this many octets.
SEGMENT = 64 * 1024

# RFC 5321 section 4.2: three digits, then a space or the end, or "-" where more lines follow.
_REPLY_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
# TLS 1.0 to 1.3: the record header of an alert or a handshake message.
_TLS_RECORD = re.compile(rb"[\x15\x16]\x03[\x00-\x04]")


@lru_cache(maxsize=64)
def _reply_line(line: bytes) -> tuple[Reply, bool]:
    """One line as a reply, and whether more lines follow. Servers say the same few things all day long.

    Raises:
        SMTPProtocolError: It is no line of a reply.
    """
    text = line.removesuffix(b"\r")
    found = _REPLY_LINE.fullmatch(text)
    if not found:
        at_once = _TLS_RECORD.match(text)
        what = "the server speaks TLS at once on this port" if at_once else f"a line that is no reply: {text[:100]!r}"
        raise SMTPProtocolError(what)
    code, more, words = found.groups()
    return Reply(int(code), ((words or b"").decode("utf-8", "surrogateescape"),)), more == b"-"


# A view of what the caller holds costs no copy, and shows nothing of itself in a traceback.
Octets = bytes | memoryview
NOTHING = memoryview(b"")


class ReplyBuffer:
    """Cuts a stream of octets into replies. What it holds is bounded (WIRE.md S12)."""

    def __init__(self) -> None:
        # Lines that wait, the next one last, and the beginning of one that is not complete.
        self._waiting: list[bytes] = []
        self._rest = b""
        self._code = 0
        self._lines: list[str] = []
        self._size = 0

    def __len__(self) -> int:
        """Octets that wait, those of an unfinished reply included."""
        return sum([len(line) + 1 for line in self._waiting]) + len(self._rest) + self._size

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Add what the server sent."""
        # What is left of an earlier line is short: no line is longer than REPLY_LINE.
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        lines.reverse()
        self._waiting = lines + self._waiting

    def next(self) -> Reply | None:
        """Take the next complete reply, or None while it is not complete.

        Raises:
            SMTPProtocolError: What came is no reply, or has no end.
        """
        while self._waiting:
            line = self._waiting.pop()
            if len(line) > REPLY_LINE:
                raise _endless()
            reply, more = _reply_line(line)
            if not more and not self._lines:
                return reply
            if whole := self._add(reply, len(line), more=more):
                return whole
        if len(self._rest) > REPLY_LINE:
            raise _endless()
        return None

    def _add(self, reply: Reply, octets: int, *, more: bool) -> Reply | None:
        """Take one line of several; give the reply if it was the last one."""
        if self._lines and reply.code != self._code:
            raise SMTPProtocolError(f"a reply whose lines have the codes {self._code} and {reply.code}")
        self._code = reply.code
        self._size += octets + 1
        self._lines += reply.lines
        if self._size > REPLY_SIZE or len(self._lines) > REPLY_LINES:
            raise SMTPProtocolError(f"a reply of more than {REPLY_SIZE} octets or {REPLY_LINES} lines")
        if more:
            return None
        reply = Reply(reply.code, tuple(self._lines))
        self._lines, self._size = [], 0
        return reply

    @property
    def looks_like_tls(self) -> bool:
        """A TLS record stands where a reply was expected."""
        return bool(_TLS_RECORD.match(self._waiting[-1] if self._waiting else self._rest))


def _endless() -> SMTPProtocolError:
    return SMTPProtocolError(f"a reply line of more than {REPLY_LINE} octets")


def is_canonical(octets: bytes) -> bool:
    """Whether CR and LF occur only as CRLF (RFC 5321 section 2.3.8)."""
    # A newline decoder sees a megabyte in 0.3 ms, three counts take 1.2 ms.
    seen = io.IncrementalNewlineDecoder(None, translate=False)
    seen.decode(str(octets, "latin-1"), final=True)
    return seen.newlines is None or seen.newlines == "\r\n"


class Measure:
    """What one run over octets tells about them.

    Attributes:
        size: How many they are.
        eight_bit: Some are above 127.
        canonical: CR and LF occur only as CRLF, which RFC 5321 section 2.3.8 demands.
    """

    def __init__(self, pieces: Iterable[Octets], *, known_canonical: bool = False) -> None:
        self.size, self.eight_bit = 0, False
        seen = io.IncrementalNewlineDecoder(None, translate=False)
        for piece in pieces:
            self.size += len(piece)
            for offset in range(0, len(piece), GLANCE):
                text = str(memoryview(piece)[offset : offset + GLANCE], "latin-1")
                self.eight_bit = self.eight_bit or not text.isascii()
                if not known_canonical:
                    seen.decode(text)
        seen.decode("", final=True)
        self.canonical = seen.newlines in {None, "\r\n"}


def canonical(pieces: Iterable[Octets]) -> Iterator[bytes]:
    """Make every CR, LF and CRLF a CRLF (WIRE.md S8), whatever the borders of the pieces."""
    decoder = io.IncrementalNewlineDecoder(None, translate=True)
    for piece in cut(pieces, CHUNK):
        if text := decoder.decode(str(piece, "latin-1")):
            yield text.replace("\n", "\r\n").encode("latin-1")
    if text := decoder.decode("", final=True):
        yield text.replace("\n", "\r\n").encode("latin-1")


def read_pieces(file: BinaryIO, size: int = CHUNK) -> Iterator[bytes]:
    """Read a binary file to its end, a piece at a time."""
    while piece := file.read(size):
        yield piece


def cut(pieces: Iterable[Octets], every: int) -> Iterator[Octets]:
    """Divide pieces that reach over the end of each so many octets, without a copy."""
    left = every
    for whole in pieces:
        piece = memoryview(whole) if len(whole) > left else whole
        while len(piece) > left:
            yield piece[:left]
            piece, left = piece[left:], every
        yield piece
        left = left - len(piece) or every


# As a number: for an octet of its own, Python asks first whether it is one, and throws an exception away.
DOT: Final = ord(".")


class DotStuffer:
    """Hides the dots that begin a line (RFC 5321 section 4.5.2), whatever the borders of the pieces."""

    def __init__(self) -> None:
        self._tail = b"\r\n"

    def feed(self, octets: Octets) -> bytes:
        """Give a piece of canonical content as it goes behind DATA."""
        piece = octets if isinstance(octets, bytes) else bytes(octets)
        if not piece:
            return piece
        # Base64 has no dots, which is seen at once; to split and to join takes half of what `replace` takes.
        stuffed = b"\r\n..".join(piece.split(b"\r\n.")) if DOT in piece else piece
        # A line may begin where this piece does, or behind the LF that begins it.
        if self._tail == b"\r\n" and piece[:1] == b".":
            stuffed = b"." + stuffed
        elif self._tail[-1:] == b"\r" and piece[:2] == b"\n.":
            stuffed = b"\n." + stuffed[1:]
        self._tail = (self._tail + piece[-2:])[-2:]
        return stuffed

    def end(self) -> bytes:
        """What completes the last line, if anything: the dot must stand on a line of its own."""
        return b"" if self._tail == b"\r\n" else b"\r\n"


class SendBuffer:
    """Octets on their way out, and how far each of them got.

    Attributes:
        queued: The offset in the stream behind all that was ever queued.
        offered: The offset up to which everything may have left.
    """

    def __init__(self) -> None:
        # A message is a handful of them, so a list is cheap at its front too.
        self._pieces: list[Octets] = []
        self._offset = 0
        self._sent = self.offered = 0
        self.queued = 0

    def __len__(self) -> int:
        """Octets that wait."""
        return self.queued - self._sent

    def append(self, octets: Octets) -> int:
        """Add octets at the end; give the offset of the stream behind them."""
        if octets:
            self._pieces.append(octets)
            self.queued += len(octets)
        return self.queued

    def view(self) -> memoryview:
        """What to write next: small pieces in one segment, since one flight is one write.

        Of a large one not all, since each octet of a write that was broken off counts as gone.
        """
        if not self._pieces:
            return NOTHING
        if len(self._pieces) > 1 and not self._offset and len(self._pieces[0]) < SEGMENT:
            self._join()
        view = memoryview(self._pieces[0])
        return view if not self._offset and len(view) <= CHUNK else view[self._offset : self._offset + CHUNK]

    def _join(self) -> None:
        """Make one segment of what is there, or of its beginning: of a large piece only what fills it up."""
        if self.queued - self._sent <= SEGMENT:
            self._pieces = [b"".join(self._pieces)]
            return
        taken: list[Octets] = []
        room, rest = SEGMENT, NOTHING
        while room:
            piece = memoryview(self._pieces[len(taken)])
            taken.append(piece[:room])
            rest = piece[room:]
            room -= len(taken[-1])
        self._pieces[: len(taken)] = [b"".join(taken), *([rest] if rest else [])]

    def attempting(self, octets: int) -> None:
        """A write of so many octets begins, or (0) ended and none of them left. Until `take` any may be gone."""
        self.offered = self._sent + octets

    def take(self, octets: int) -> None:
        """So many octets left, and no more."""
        self._sent += octets
        self.offered = self._sent
        self._offset += octets
        while self._pieces and self._offset >= len(self._pieces[0]):
            self._offset -= len(self._pieces.pop(0))

    def drop(self) -> None:
        """Forget what has not left yet."""
        self._pieces.clear()
        self._offset = 0
        self.queued = self._sent
