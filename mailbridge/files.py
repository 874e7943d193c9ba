"""A message in a binary file: read a piece at a time, as often as needed."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from .content import HEADER, Divided, begun_well, divided
from .errors import SMTPInputError
from .wire import CHUNK, read_pieces


def of_file(file: BinaryIO, canonical: bool = False) -> Divided:
    """Divide what a binary file holds from here on. One that cannot be rewound is copied to disk first."""
    if not isinstance(file.read(0), bytes):
        raise SMTPInputError("a file with a message must be opened in binary mode")
    copied = not file.seekable()
    if copied:
        file = _spooled(file)
    begin = file.tell()
    header, start = divided(begun_well(file.read(HEADER)))

    def body() -> Iterator[bytes]:
        file.seek(begin + start)
        yield from read_pieces(file)

    if copied:
        weakref.finalize(body, file.close)
    return header, body, canonical


def _spooled(file: BinaryIO) -> BinaryIO:
    copy = SpooledTemporaryFile(max_size=CHUNK)  # noqa: SIM115 - it must outlive this function
    for piece in read_pieces(file):
        copy.write(piece)
    copy.seek(0)
    return cast("BinaryIO", copy)
