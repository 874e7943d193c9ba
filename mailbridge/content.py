"""The content of a message as it goes onto the wire: canonical, a piece at a time, never all of it twice."""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, Self, cast

from .errors import SMTPInputError
from .facts import Phase
from .wire import CHUNK, canonical, is_canonical, read_pieces

# No header that a person wrote comes near this.
HEADER = 1024 * 1024

_FIRST_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_MBOX = re.compile(rb"From [^\r\n]*(?:\r\n|\r|\n)" + _FIRST_FIELD.pattern)
_HEADER_END = re.compile(rb"(?P<field>\r\n|\r(?!\n)|\n)(?:\r\n|\r|\n)")

Pieces = Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Content:
    """A header and a body, ready to be sent as often as needed.

    Attributes:
        header: The header in canonical form, without the empty line.
        body: Begins a fresh run over the body, the empty line in front of it.
        canonical: The body has CR and LF only as CRLF already.
        size: Octets on the wire, without dot-stuffing (RFC 1870 section 6.1).
        eight_bit: The body holds octets above 127.
    """

    header: bytes
    body: Pieces
    canonical: bool
    size: int
    eight_bit: bool

    @classmethod
    def of(cls, header: bytes, body: Pieces, *, known_canonical: bool = False) -> Self:
        """Measure a body once, so that MAIL can say its size and whether it needs 8BITMIME."""
        clean = known_canonical or is_canonical(body())
        size, eight_bit = len(header), False
        for piece in body() if clean else canonical(body()):
            size += len(piece)
            eight_bit = eight_bit or not piece.isascii()
        return cls(header, body, clean, size, eight_bit)

    @property
    def utf8_header(self) -> bool:
        """RFC 6532: the header holds raw UTF-8, which only SMTPUTF8 carries."""
        return not self.header.isascii()

    def pieces(self) -> Iterator[bytes]:
        """The octets in order, in pieces of about CHUNK octets, none empty; a small content is one piece.

        Raises:
            SMTPInputError: They are not as many as they were: somebody writes to the file.
        """
        body = self.body() if self.canonical else canonical(self.body())
        pieces = chain((self.header,), body)
        left = self.size
        for piece in filter(None, (b"".join(pieces),) if left <= CHUNK else pieces):
            left -= len(piece)
            if left < 0:
                break
            yield piece
        if left:
            raise SMTPInputError("the content changed while it was sent", phase=Phase.CONTENT)


def of_octets(data: bytes | bytearray | memoryview) -> tuple[bytes, Pieces]:
    """Divide octets into header and body; the body is read from where the caller holds it."""
    view = memoryview(data).cast("B")
    header, start = divided(bytes(view[:HEADER]))

    def body() -> Iterator[bytes]:
        for offset in range(start, len(view), CHUNK):
            yield bytes(view[offset : offset + CHUNK])

    return header, body


def of_pieces(pieces: list[bytes]) -> tuple[bytes, Pieces]:
    """Divide pieces that are ours into header and body, without another copy of the body."""
    while len(pieces) > 1 and _FIRST_FIELD.match(pieces[0]) and not _HEADER_END.search(pieces[0]):
        pieces[:2] = [pieces[0] + pieces[1]]
    header, start = divided(pieces[0] if pieces else b"")

    def body() -> Iterator[bytes]:
        yield pieces[0][start:] if pieces else b""
        yield from pieces[1:]

    return header, body


def of_file(file: BinaryIO) -> tuple[bytes, Pieces]:
    """Divide what a binary file holds from here on. One that cannot be rewound is copied to disk first."""
    if not isinstance(file.read(0), bytes):
        raise SMTPInputError("a file with a message must be opened in binary mode")
    copied = not file.seekable()
    if copied:
        file = _spooled(file)
    begin = file.tell()
    header, start = divided(file.read(HEADER))

    def body() -> Iterator[bytes]:
        file.seek(begin + start)
        yield from read_pieces(file)

    if copied:
        weakref.finalize(body, file.close)
    return header, body


def _spooled(file: BinaryIO) -> BinaryIO:
    copy = SpooledTemporaryFile(max_size=CHUNK)  # noqa: SIM115 - it must outlive this function
    for piece in read_pieces(file):
        copy.write(piece)
    copy.seek(0)
    return cast("BinaryIO", copy)


def divided(head: bytes) -> tuple[bytes, int]:
    """Find where the header ends: the header in canonical form, and where the body begins, its empty line first.

    A message that does not begin with a header field has no header, and then no empty line either.

    Raises:
        SMTPInputError: The header does not end within HEADER octets, or the separator of an mbox stands before it.
    """
    if _MBOX.match(head):
        # Taken for text it would make a body of the whole header, Bcc and all.
        raise SMTPInputError('the message begins with the "From " line of an mbox, which is not part of it')
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
