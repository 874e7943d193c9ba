"""Where and when something happened: the facts that errors, receipts and log records share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """The step of a session during which something happened, named after its SMTP command."""

    RESOLVE = "RESOLVE"
    CONNECT = "CONNECT"
    GREETING = "GREETING"
    HELLO = "EHLO"
    STARTTLS = "STARTTLS"
    TLS = "TLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    CONTENT = "CONTENT"
    RESET = "RSET"
    QUIT = "QUIT"
    COMMAND = "COMMAND"

    @property
    def opens_session(self) -> bool:
        """It comes before any message: where it fails, no message can go this way."""
        return self in _OPENING


_OPENING = {
    Phase.RESOLVE,
    Phase.CONNECT,
    Phase.GREETING,
    Phase.HELLO,
    Phase.STARTTLS,
    Phase.TLS,
    Phase.AUTH,
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The server at the other end of a connection.

    Attributes:
        host: Its name or address as configured, or the path of a unix socket.
        port: Its TCP port, or None for a unix socket.
        tls: The TLS version in use ("TLSv1.3"), or None for plain text.
    """

    host: str
    port: int | None = None
    tls: str | None = None

    @property
    def place(self) -> str:
        """Host and port, or the path."""
        host = f"[{self.host}]" if ":" in self.host and self.port is not None else self.host
        return host if self.port is None else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.place} ({self.tls or 'no TLS'})"


# Long enough for every reply that a person needs to read, short enough for one line of a log.
PRINTED = 500


def printable(text: str, limit: int = PRINTED) -> str:
    """Make text that somebody else chose fit to print: one line, no control characters, capped.

    Control bytes in a server's words could move a terminal's cursor or forge a line of a log.

    Args:
        text: Words of a server, an address, a header.
        limit: The most characters to give.
    """
    kept = text[: limit + 1]
    if kept.isprintable():
        return kept if len(kept) <= limit else kept[:limit] + "…"
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in kept)
    return shown if len(shown) <= limit else shown[:limit] + "…"
