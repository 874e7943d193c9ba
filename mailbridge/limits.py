"""What a pool keeps to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a pool.

    Attributes:
        max_connections: Open at the same time.
        max_messages: Over one connection.
        max_idle: Seconds that a connection may be idle.
        max_age: Seconds that a connection may live, less up to a tenth by chance.
    """

    max_connections: int = 2
    max_messages: int = 50
    max_idle: float = 30.0
    max_age: float = 300.0
