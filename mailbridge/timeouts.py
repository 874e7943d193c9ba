"""Deadlines of a connection, all of them finite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from .errors import SMTPInputError

# Seconds, eleven days. A wait of more than 24 days overflows `poll`, which counts milliseconds in a C int.
LONGEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Deadlines in seconds, at most a million. A server that drips octets extends none of them.

    The defaults suit a web request; RFC 5321 section 4.5.3.2 asks for far more, see `patient`.

    Attributes:
        connect: Name resolution and connect, all addresses together.
        reply: One reply, a TLS handshake, or a write that makes no progress.
        content: The reply to the content.
        send: A whole send.
    """

    connect: float = 10.0
    reply: float = 30.0
    content: float = 120.0
    send: float = 300.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST:
                raise SMTPInputError(f"the timeout {name!r} is above 0 and up to {LONGEST} seconds, not {value!r}")

    @classmethod
    def patient(cls) -> Self:
        """The minimums of RFC 5321 section 4.5.3.2, for workers and queues that have the time."""
        return cls(connect=60.0, reply=300.0, content=600.0, send=3600.0)
