"""Octets in both directions: replies cut out of a stream, content made fit for one. All of it streams."""

from __future__ import annotations

import io
import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from .errors import SMTPProtocolError
from .replies import Reply

# RFC 5321 section 4.5.3.1.5 gives a reply line 512 octets. Real ones are longer; none needs these.
REPLY_LINE = 8_192
REPLY_LINES = 2_000
REPLY_SIZE = 128 * 1024

# Octets of content that are handled at once: the memory that a file of any size costs, about four times.
CHUNK = 256 * 1024

# Small pieces leave in one write up to this many octets.
SEGMENT = 64 * 1024

# RFC 5321 section 4.2: three digits, then a space or the end, or "-" where more lines follow.
_REPLY_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
# TLS 1.0 to 1.3: the record header of an alert or a handshake message.
_TLS_RECORD = re.compile(rb"[\x15\x16]\x03[\x00-\x04]")


class ReplyBuffer:
    """Cuts a stream of octets into replies. What it holds is bounded (WIRE.md S12)."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._searched = 0
        self._code = b""
        self._lines: list[str] = []
        self._size = 0

    def __len__(self) -> int:
        """Octets that wait, those of an unfinished reply included."""
        return len(self._data) + self._size

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Add what the server sent."""
        self._data += data

    def next(self) -> Reply | None:
        """Take the next complete reply, or None while it is not complete.

        Raises:
            SMTPProtocolError: What came is no reply, or has no end.
        """
        while (end := self._data.find(b"\n", self._searched)) >= 0:
            taken = bytes(self._data[:end])
            del self._data[: end + 1]
            self._searched = 0
            self._check_length(end)
            if reply := self._line(taken.removesuffix(b"\r")):
                return reply
        self._searched = len(self._data)
        self._check_length(self._searched)
        return None

    @staticmethod
    def _check_length(octets: int) -> None:
        if octets > REPLY_LINE:
            raise SMTPProtocolError(f"a reply line of more than {REPLY_LINE} octets")

    def _line(self, text: bytes) -> Reply | None:
        found = _REPLY_LINE.fullmatch(text)
        if not found:
            raise SMTPProtocolError(self._complaint(text))
        code, more, words = found.groups()
        if self._lines and code != self._code:
            raise SMTPProtocolError(f"a reply whose lines have the codes {self._code.decode()} and {code.decode()}")
        self._code = code
        self._size += len(text) + 1
        self._lines.append((words or b"").decode("utf-8", "surrogateescape"))
        if self._size > REPLY_SIZE or len(self._lines) > REPLY_LINES:
            raise SMTPProtocolError(f"a reply of more than {REPLY_SIZE} octets or {REPLY_LINES} lines")
        if more == b"-":
            return None
        reply = Reply(int(code), tuple(self._lines))
        self._lines, self._size = [], 0
        return reply

    @staticmethod
    def _complaint(text: bytes) -> str:
        if _TLS_RECORD.match(text):
            return "the server speaks TLS at once on this port"
        return f"a line that is no reply: {text[:100]!r}"

    @property
    def looks_like_tls(self) -> bool:
        """A TLS record stands where a reply was expected."""
        return bool(_TLS_RECORD.match(self._data))


def is_canonical(pieces: Iterable[bytes]) -> bool:
    """Whether CR and LF occur only as CRLF, which RFC 5321 section 2.3.8 demands."""
    # A newline decoder sees a megabyte in 0.3 ms, three counts take 1.2 ms.
    seen = io.IncrementalNewlineDecoder(None, translate=False)
    for piece in pieces:
        seen.decode(str(piece, "latin-1"))
        if seen.newlines not in {None, "\r\n"}:
            return False
    seen.decode("", final=True)
    return seen.newlines in {None, "\r\n"}


def canonical(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Make every CR, LF and CRLF a CRLF (WIRE.md S8), whatever the borders of the pieces."""
    decoder = io.IncrementalNewlineDecoder(None, translate=True)
    for piece in pieces:
        if text := decoder.decode(str(piece, "latin-1")):
            yield text.replace("\n", "\r\n").encode("latin-1")
    if text := decoder.decode("", final=True):
        yield text.replace("\n", "\r\n").encode("latin-1")


def read_pieces(file: BinaryIO, size: int = CHUNK) -> Iterator[bytes]:
    """Read a binary file to its end, a piece at a time."""
    while piece := file.read(size):
        yield piece


class DotStuffer:
    """Hides the dots that begin a line (RFC 5321 section 4.5.2), whatever the borders of the pieces."""

    def __init__(self) -> None:
        self._tail = b"\r\n"

    def feed(self, piece: bytes) -> bytes:
        """Give a piece of canonical content as it goes behind DATA."""
        if not piece:
            return piece
        stuffed = piece.replace(b"\r\n.", b"\r\n..")
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
    """Octets on their way out, and how far each of them got."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._offset = 0
        self._sent = self._attempted = 0
        self.queued = 0

    def __len__(self) -> int:
        """Octets that wait."""
        return self.queued - self._sent

    def append(self, octets: bytes) -> None:
        """Add octets at the end."""
        if octets:
            self._pieces.append(octets)
            self.queued += len(octets)

    def view(self) -> memoryview:
        """What to write next: small pieces in one segment, since one flight is one write."""
        if len(self._pieces) > 1:
            self._join()
        return memoryview(self._pieces[0])[self._offset :] if self._pieces else memoryview(b"")

    def _join(self) -> None:
        taken: list[bytes] = []
        size = -self._offset
        while self._pieces and (not taken or size + len(self._pieces[0]) <= SEGMENT):
            taken.append(self._pieces.popleft())
            size += len(taken[-1])
        if len(taken) > 1:
            taken[0] = taken[0][self._offset :]
            self._offset = 0
        self._pieces.appendleft(b"".join(taken) if len(taken) > 1 else taken[0])

    def attempting(self, octets: int) -> None:
        """A write of so many octets begins, or (0) ended and none of them left. Until `take` any may be gone."""
        self._attempted = self._sent + octets

    def take(self, octets: int) -> None:
        """So many octets left, and no more."""
        self._sent += octets
        self._attempted = self._sent
        self._offset += octets
        while self._pieces and self._offset >= len(self._pieces[0]):
            self._offset -= len(self._pieces.popleft())

    def offered(self, offset: int) -> bool:
        """Everything up to this offset of the stream may have left."""
        return offset <= max(self._sent, self._attempted)

    def drop(self) -> None:
        """Forget what has not left yet."""
        self._pieces.clear()
        self._offset = 0
        self.queued = self._sent
