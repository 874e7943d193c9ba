"""What happens next, read from octets: 0 is what a good server on a good day does, and so is everything at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Fate:
    """Choices, one octet each, so that one draw decides a whole session and a shorter one is a simpler session."""

    def __init__(self, octets: bytes) -> None:
        """Read from these octets."""
        self._octets = iter(octets)

    def number(self, below: int) -> int:
        """A number from 0."""
        return next(self._octets, 0) % below

    def one_of(self, options: Sequence[T]) -> T:
        """One of at most 256."""
        return options[self.number(len(options))]

    def seldom(self, one_in: int) -> bool:
        """True about once in so many times."""
        return next(self._octets, 0) >= 256 - 256 // one_in

    def spoil(self) -> None:
        """From now on all is well."""
        self._octets = iter(b"")
