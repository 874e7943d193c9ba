"""The content of a message as it goes onto the wire: canonical, a piece at a time, never all of it twice."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import cast

from .errors import SMTPInputError
from .facts import Phase
from .wire import Measure, Octets, canonical, cut, is_canonical

# No header that a person wrote comes near this.
HEADER = 1024 * 1024
# Most end much sooner.
USUAL = 8 * 1024

_FIRST_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_EMPTY_LINES = re.compile(rb"[\r\n]*")
_HEADER_END = re.compile(rb"(?P<field>\r\n|\r(?!\n)|\n)(?:\r\n|\r|\n)")

# What stands in front of a header by mistake. Taken for text it would make a body of the whole header, Bcc and all.
_MBOX = re.compile(rb">?From [^\r\n]*(?:\r\n|\r|\n)" + _FIRST_FIELD.pattern)
_BOM = re.compile(rb"\xef\xbb\xbf" + _FIRST_FIELD.pattern)
_HIDDEN = re.compile(rb"(?i)(?:\A|[\r\n])[ \t]*+(?:resent-)?bcc[ \t]*:")
_KNOWN = re.compile(
    rb"(?i)(?:\A|[\r\n])[ \t]*+(?:(?:resent-)?(?:from|sender|to|cc|subject|date|message-id)"
    rb"|received|mime-version|content-type)[ \t]*:"
)

Pieces = Callable[[], Iterable[Octets]]
# A short body itself, or what begins a fresh run over a long one, the empty line in front of it.
Body = bytes | Pieces
# Header, body, and whether the body is known to have CR and LF only as CRLF.
Divided = tuple[bytes, Body, bool]


class Content:
    """A header and a body, ready to be sent as often as needed.

    Attributes:
        header: The header in canonical form, without the empty line.
        canonical: The body has CR and LF only as CRLF already.
        size: Octets on the wire, without dot-stuffing (RFC 1870 section 6.1).
        eight_bit: The body holds octets above 127.
        undecodable_header: The header holds octets above 127 that are no UTF-8: nothing carries them as they are.
        utf8_header: RFC 6532: the header holds raw UTF-8, which only SMTPUTF8 carries.
    """

    def __init__(self, header: bytes, body: Body, canonical: bool, size: int, eight_bit: bool) -> None:
        self.header = header
        self._body = body
        self.canonical = canonical
        self.size = size
        self.eight_bit = eight_bit
        self.undecodable_header = not header.isascii() and not _is_utf8(header)
        self.utf8_header = not header.isascii() and not self.undecodable_header

    @classmethod
    def of(cls, header: bytes, body: Body, known_canonical: bool = False) -> Content:
        """Measure a body once, so that MAIL can say its size and whether it needs 8BITMIME."""
        if isinstance(body, bytes):
            if not known_canonical and not is_canonical(body):
                body = b"".join(canonical((body,)))
            return Content(header, body, True, len(header) + len(body), not body.isascii())
        found = Measure(body(), known_canonical=known_canonical)
        size = len(header) + (found.size if found.canonical else Measure(canonical(body())).size)
        return Content(header, body, found.canonical, size, found.eight_bit)

    def under(self, header: bytes) -> Content:
        """The same body under another header."""
        size = self.size - len(self.header) + len(header)
        return Content(header, self._body, self.canonical, size, self.eight_bit)

    def canonical_body(self) -> Iterable[Octets]:
        """A fresh run over the body as it goes onto the wire."""
        if isinstance(self._body, bytes):
            return (self._body,)
        return self._body() if self.canonical else canonical(self._body())

    def pieces(self) -> Iterable[Octets]:
        """The octets in order, none of the pieces empty.

        Raises:
            SMTPInputError: They are not as many as they were: somebody writes to the file.
        """
        # A short message is copied once more: then one thing is sent, and not two.
        return (memoryview(self.header + self._body),) if isinstance(self._body, bytes) else self._counted()

    def cut(self, every: int) -> Iterable[Octets]:
        """The same; no piece reaches over the end of each so many octets."""
        return self.pieces() if self.size <= every and isinstance(self._body, bytes) else cut(self.pieces(), every)

    def _counted(self) -> Iterator[Octets]:
        left = self.size
        for piece in chain((self.header,), self.canonical_body()):
            left -= len(piece)
            if left < 0:
                break
            if piece:
                yield piece
        if left:
            raise SMTPInputError("the content changed while it was sent", phase=Phase.CONTENT)


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True


def of_octets(data: bytes | bytearray | memoryview, canonical: bool = False) -> Divided:
    """Divide octets into header and body; a long body is read from where the caller holds it."""
    if isinstance(data, bytes) and len(data) <= USUAL:
        return _short(data, canonical) or _short_divided(begun_well(data), canonical)
    view = memoryview(data).cast("B")
    # A megabyte is copied only where the first kilobytes are not the whole header.
    header, start = _canonical_head(bytes(view[:USUAL])) or divided(begun_well(bytes(view[:HEADER])))
    return header, lambda: (view[start:],), canonical


def _short(data: bytes, canonical: bool) -> Divided | None:
    """Divide a short message, where its line ends are seen at a glance."""
    # Of the header nobody's word is taken: its fields are looked for between line ends.
    if canonical and (found := _canonical_head(data)):
        return found[0], data[found[1] :], True
    end = data.find(b"\r\n\r\n") + len(b"\r\n")
    if not canonical and _FIRST_FIELD.match(data, 0, end) and is_canonical(data):
        return data[:end], data[end:], True
    return None


def _short_divided(data: bytes, canonical: bool) -> Divided:
    header, start = divided(data)
    return header, data[start:], canonical


def of_pieces(pieces: list[bytes]) -> Divided:
    """Divide pieces that are ours into header and body, without another copy of a long body."""
    if len(pieces) == 1 and len(pieces[0]) <= USUAL:
        return _short(pieces[0], False) or _short_divided(pieces[0], False)
    while len(pieces) > 1 and _FIRST_FIELD.match(pieces[0]) and not _HEADER_END.search(pieces[0]):
        pieces[:2] = [pieces[0] + pieces[1]]
    header, start = divided(pieces[0] if pieces else b"")

    def body() -> Iterator[bytes]:
        yield pieces[0][start:] if pieces else b""
        yield from pieces[1:]

    return header, body, False


def begun_well(head: bytes) -> bytes:
    """Refuse octets whose header does not begin with the first of them (WIRE.md S22). Text without a header is fine."""
    if mistake := "" if _FIRST_FIELD.match(head) else _mistake(head):
        raise SMTPInputError(f"{mistake}: the first octets of a message are its first header field")
    return head


def _mistake(head: bytes) -> str:
    if _MBOX.match(head):
        return 'the message begins with the "From " line of an mbox'
    if _BOM.match(head):
        return "the message begins with a byte order mark"
    start = cast("re.Match[bytes]", _EMPTY_LINES.match(head)).end()
    found = _HEADER_END.search(head, start)
    paragraph = head[start : found.start() if found else None]
    if _HIDDEN.search(paragraph):
        return "the message names Bcc in what is no header"
    if head[:1] in {b" ", b"\t"} and _KNOWN.search(paragraph):
        return "the message begins with white space"
    return ""


def _canonical_head(head: bytes) -> tuple[bytes, int] | None:
    """The same as `divided`, where it is seen at a glance."""
    end = head.find(b"\r\n\r\n") + len(b"\r\n")
    header = head[:end]
    if _FIRST_FIELD.match(header) and header.count(b"\n") == header.count(b"\r") == header.count(b"\r\n"):
        return header, end
    return None


def divided(head: bytes) -> tuple[bytes, int]:
    """Find where the header ends: the header in canonical form, and where the body begins, its empty line first.

    A message that does not begin with a header field has no header, and then no empty line either.

    Raises:
        SMTPInputError: The header does not end within HEADER octets.
    """
    if not _FIRST_FIELD.match(head):
        empty_line = _LINE_END.match(head)
        return b"", empty_line.end() if empty_line else 0
    found = _HEADER_END.search(head)
    if not found and len(head) >= HEADER:
        raise SMTPInputError(f"a message whose header does not end within {HEADER} octets")
    if not found:
        return _LINE_END.sub(b"\r\n", head).removesuffix(b"\r\n") + b"\r\n", len(head)
    # The first of the two line ends belongs to the last field.
    return _LINE_END.sub(b"\r\n", head[: found.start()]) + b"\r\n", found.end("field")
