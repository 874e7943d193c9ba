"""The octets that arrived, handed out as lines, contents and chunks."""

import re
from dataclasses import dataclass

# RFC 4954 section 4: an AUTH line may take up to 12288 octets; no other line may be longer.
LINE_LIMIT = 12_288


@dataclass(frozen=True, slots=True)
class Line:
    """Wait for one line; it comes without its end."""


@dataclass(frozen=True, slots=True)
class Content:
    """Wait for content up to the line of one dot; it comes unstuffed."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Wait for exactly `size` octets."""

    size: int


@dataclass(frozen=True, slots=True)
class Expected:
    """Wait for exactly these octets; as soon as others come, everything there is."""

    data: bytes


@dataclass(frozen=True, slots=True)
class TLS:
    """Wait until the TLS handshake is over; b"" comes."""


Need = Line | Content | Chunk | Expected | TLS


class LineTooLongError(Exception):
    """The client sent `LINE_LIMIT` octets without an end of line."""


class Intake:
    """A buffer that knows where pieces end.

    Args:
        lax: Take a bare LF for an end of line, in commands and in content, as some
            servers do (the receiving half of SMTP smuggling).
    """

    def __init__(self, *, lax: bool = False) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._in_content = False
        self._newline = re.compile(rb"\r?\n" if lax else rb"\r\n")
        self._end = re.compile(rb"\r?\n\.\r?\n" if lax else rb"\r\n\.\r\n")
        self._stuffing = re.compile(rb"(\r?\n)\." if lax else rb"(\r\n)\.")

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add what arrived."""
        self._buffer += data

    def clear(self) -> None:
        """Forget what was not handed out."""
        self._buffer.clear()

    def take(self, need: Need) -> bytes | None:
        """The next piece, or None while it is not complete.

        Raises:
            LineTooLongError: no end of line within `LINE_LIMIT` octets.
        """
        match need:
            case Line():
                return self._line()
            case Content():
                return self._content()
            case Chunk(size):
                return self._cut(size, size) if len(self) >= size else None
            case Expected(data):
                return self._expected(data)
            case TLS():
                return None

    def _line(self) -> bytes | None:
        found = self._newline.search(self._buffer, 0, LINE_LIMIT)
        if found is not None:
            return self._cut(*found.span())
        if len(self) >= LINE_LIMIT:
            raise LineTooLongError
        return None

    def _content(self) -> bytes | None:
        if not self._in_content:
            # The CRLF of the DATA line stands before the content, so a lone dot may come first.
            self._buffer[:0] = b"\r\n"
            self._in_content, self._searched = True, 0
        found = self._end.search(self._buffer, self._searched)
        if found is None:
            # The terminator has at most five octets: four of them may be here already.
            self._searched = max(0, len(self) - 4)
            return None
        self._in_content = False
        stuffed = self._cut(self._buffer.index(b".", found.start()), found.end())
        return self._stuffing.sub(rb"\1", stuffed)[2:]

    def _expected(self, data: bytes) -> bytes | None:
        if self._buffer.startswith(data):
            return self._cut(len(data), len(data))
        return None if data.startswith(self._buffer) else self._cut(len(self), len(self))

    def _cut(self, keep: int, drop: int) -> bytes:
        piece = bytes(self._buffer[:keep])
        del self._buffer[:drop]
        return piece
