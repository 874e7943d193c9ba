"""Strings that are what they are on the wire, and show nothing to whoever prints them (WIRE.md S16).

Debug output prints `repr`, and so does a traceback that captures local variables: the
frames of `ssl` below us keep what is sent in variables of their own.
"""

from __future__ import annotations

from typing import NoReturn, Self

HIDDEN = "[hidden]"


class HiddenOctets(bytes):
    """Octets that show `[hidden]`."""

    def __repr__(self) -> str:
        return HIDDEN

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never pickled")


class HiddenText(str):
    """Text that shows `shown` instead of itself.

    Args:
        value: The text.
        shown: What a reader gets to see.
    """

    __slots__ = ("shown",)

    shown: str

    def __new__(cls, value: str, shown: str = HIDDEN) -> Self:  # noqa: D102 - the class says what it takes
        text = super().__new__(cls, value)
        text.shown = shown
        return text

    def __repr__(self) -> str:
        return repr(self.shown)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never pickled")

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> HiddenOctets:
        """The octets, hidden too."""
        return HiddenOctets(super().encode(encoding, errors))


def verb_of(line: str) -> str:
    """The first word of a command, in upper case."""
    return next(iter(line[:32].split()), "").upper()


def sheltered(line: str, *, answers: bool) -> str:
    """Hide a line that carries credentials.

    Args:
        line: A command, or the answer to a 334.
        answers: It is such an answer (RFC 4954 section 4).
    """
    if isinstance(line, HiddenText):
        return line
    end = line[len(line.rstrip("\r\n")) :]
    if answers:
        return HiddenText(line, HIDDEN + end)
    if verb_of(line) != "AUTH":
        return line
    words = line.split(maxsplit=2)
    return HiddenText(line, f"{words[0]} {words[1]} {HIDDEN}{end}" if len(words) > 2 else line)
