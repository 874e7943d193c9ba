"""Which sessions there are: every combination of issue 5, and why some of them cannot exist."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

Protection = Literal["plain", "STARTTLS", "TLS"]
Extensions = Literal["none", "PIPELINING", "PIPELINING+CHUNKING"]
Dialect = Literal["SMTP", "LMTP"]
Driver = Literal["sync", "asyncio"]
Face = Literal["client", "pool", "batch"]

PROTECTIONS: tuple[Protection, ...] = ("plain", "STARTTLS", "TLS")
EXTENSIONS: tuple[Extensions, ...] = ("none", "PIPELINING", "PIPELINING+CHUNKING")
DIALECTS: tuple[Dialect, ...] = ("SMTP", "LMTP")
DRIVERS: tuple[Driver, ...] = ("sync", "asyncio")
FACES: tuple[Face, ...] = ("client", "pool", "batch")
# Messages in flight; and how many in a row where they cannot be: the second one meets a connection that was used.
IN_FLIGHT, IN_A_ROW = 5, 2
# Behind them come the next one, and one more where nobody could know before that the server had fallen silent.
MOST = IN_FLIGHT + 2


@dataclass(frozen=True, slots=True)
class Combination:
    """One kind of session.

    Attributes:
        protection: How the connection is protected.
        extensions: What the server offers.
        dialect: What it speaks.
        auth: The client logs in.
        recipients: Of each message: one, or three of which the second is refused.
        messages: How many.
        driver: Which of the two drivers.
        face: Who sends: a client, a pool, a batch of a pool.
    """

    protection: Protection
    extensions: Extensions
    dialect: Dialect
    auth: bool
    recipients: int
    messages: int
    driver: Driver
    face: Face

    def __str__(self) -> str:
        login = "AUTH" if self.auth else "no AUTH"
        return (
            f"{self.protection}, {self.extensions}, {self.dialect}, {login}, "
            f"{self.recipients} RCPT, {self.messages} messages, {self.driver} {self.face}"
        )

    @property
    def in_a_row(self) -> bool:
        """One message at a time. Its beginning is the session of one message, whose next send is the second one."""
        return self.messages == IN_A_ROW and self.face != "batch"

    @property
    def speaks_for_all(self) -> bool:
        """Sessions with other messages are the same octets until MAIL: there this one stands for all four of them."""
        return self.recipients == 3 and self.messages > 1

    @property
    def overlap(self) -> bool:
        """Without CHUNKING, messages are in flight together only where the client may overlap them."""
        return self.face == "batch" and self.messages == IN_FLIGHT and self.extensions == "PIPELINING"


# Who cannot have five messages in flight: sends two in a row instead, the second over a connection that was used.
_NEVER_IN_FLIGHT = {
    "a client": "it has one connection, and one message under way on it",
    "a batch without PIPELINING": "RFC 2920: nothing follows a command before its reply",
    "the sync pool": "in memory one thread sends one message at a time; five threads do it over real sockets",
}
# Sessions that are the same until MAIL: with one recipient or three, with one message or several.
ALIKE = 4
# What else is not there.
_NEVER = {
    "421 within a TLS handshake": "a server that has begun one can say nothing in clear",
    "half a TLS record above the handshake": "a record comes whole or not at all: what its octets say is cut instead",
}


def _why_not_in_flight(extensions: Extensions, driver: Driver, face: Face) -> str | None:
    if face == "client":
        return "a client"
    if face == "pool":
        return "the sync pool" if driver == "sync" else None
    return "a batch without PIPELINING" if extensions == "none" else None


def combinations(*protections: Protection) -> Iterator[Combination]:
    """All that exist with these protections. One that is `in_a_row` stands for the same with one message, too."""
    axes = product(protections, EXTENSIONS, DIALECTS, (False, True), (1, 3), DRIVERS, FACES)
    for protection, extensions, dialect, auth, recipients, driver, face in axes:
        many = IN_A_ROW if _why_not_in_flight(extensions, driver, face) else IN_FLIGHT
        for messages in (many,) if many == IN_A_ROW and face != "batch" else (1, many):
            yield Combination(protection, extensions, dialect, auth, recipients, messages, driver, face)


def impossible() -> Iterator[str]:
    """What cannot exist, and why."""
    for who, why in _NEVER_IN_FLIGHT.items():
        yield f"{IN_FLIGHT} messages in flight from {who}: {why} ({IN_A_ROW} in a row run instead)"
    for what, why in _NEVER.items():
        yield f"{what}: {why}"
