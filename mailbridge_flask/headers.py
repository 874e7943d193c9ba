"""What may stand in a header field, whatever the interpreter's patch level (WIRE.md S9)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailbridge import SMTPInputError, printable

from .sanitize import force_text

_BREAK = re.compile(r"[\r\n\0]")
# RFC 5322 section 2.2: printable ASCII without the colon.
_NAME = re.compile(r"[!-9;-~]+")


class BadHeaderError(SMTPInputError):
    """A header field, or what goes into one, holds a line end: it would begin another field."""


class MissingError(SMTPInputError, AssertionError):
    """A message without a sender or without recipients: Flask-Mail asserts that they are there."""


def complaint(
    addresses: Iterable[tuple[str, str]], values: Iterable[tuple[str, str]], names: Iterable[str]
) -> str | None:
    """Say what is wrong with the first bad field, or None.

    Args:
        addresses: What is called an address, by where it stands: never with a line end.
        values: Other values, by the name of their field: they may be folded.
        names: Names of fields that the caller chose.
    """
    for field, address in addresses:
        if _BREAK.search(address):
            return _sentence(field, address)
    for field, value in values:
        if _breaks_out(value):
            return _sentence(field, value)
    wrong = next((name for name in names if not _NAME.fullmatch(name)), None)
    return None if wrong is None else f"{printable(repr(wrong), 100)} is not a header field's name"


def _sentence(field: str, value: str) -> str:
    what = "a line end" if re.search(r"[\r\n]", value) else "a NUL"
    return f"{printable(field, 100)} holds {what}: {printable(repr(value), 100)}"


def _breaks_out(value: str) -> bool:
    """RFC 5322 section 2.2.3: a value may go on in lines that begin with white space; none of them is empty."""
    if not _BREAK.search(value):
        return False
    first, *rest = value.split("\r\n")
    lines_stand = all(line.strip() and not _BREAK.search(line) for line in (first, *rest))
    return not lines_stand or any(line[0] not in " \t" for line in rest)


def unfolded(value: object) -> str:
    """A value without its folding."""
    return force_text(value).replace("\r\n", "")
