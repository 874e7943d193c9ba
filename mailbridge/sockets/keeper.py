"""What a transmission channel keeps: the present connection, and what was learned of its server."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, TypeVar

from ..compiling import mypyc_attr
from ..conversations import Delivery, outcome
from ..errors import SMTPException, SMTPServerDisconnected
from ..protocol import SMTPProtocol
from ..receipts import Receipt
from ..server import Server
from .link import Link
from .resumption import Resumption

C = TypeVar("C", bound=Link)


class Acquaintance:
    """What was learned of a server and outlives its connections.

    Attributes:
        resumption: The TLS session to take up again.
        rcpt_first: A message that travelled with its envelope in one flight met silence: such a server gets the
            envelope first from now on (SERVERS.md B2).
    """

    def __init__(self) -> None:
        self.resumption = Resumption()
        self.rcpt_first = False


@mypyc_attr(allow_interpreted_subclasses=True)
class Keeper(Generic[C]):
    """Keeps one connection to a server for one user at a time.

    It writes no log record: its user does, when no lease and no lock is held.

    Attributes:
        server: Where it leads.
        max_messages: How many messages go over one connection; None for as many as the server takes.
        connection: The present connection, or None.
        opened: How many connections it made.
        connecting: Seconds that took, attempts that failed included.
        carried: How many messages they carried.
        notes: What there is to say in the log, each with its level.
        aside: See `Link`.
    """

    def __init__(
        self, server: Server, acquaintance: Acquaintance | None = None, *, max_messages: int | None = None
    ) -> None:
        self.server = server
        self.max_messages = max_messages
        self.connection: C | None = None
        self.opened = self.carried = 0
        self.connecting = 0.0
        self.aside: Callable[[], AbstractContextManager[None]] = nullcontext
        self.notes: list[tuple[int, str]] = []
        self._acquaintance = acquaintance or Acquaintance()
        self._pid = os.getpid()

    @property
    def connected(self) -> bool:
        """A connection is open and could carry a message, as far as anybody knows without asking."""
        if self._pid != os.getpid():
            self.forget()
        return self.connection is not None and self.connection.protocol.reusable

    @property
    def alive(self) -> bool:
        """The same, and a look at the socket shows no end and no 421; no round trip is spent on it."""
        return self.connected and self.connection is not None and self.connection.alive

    @property
    def recent(self) -> bool:
        """A reply was read a moment ago: where the connection is alive too, content may travel with its envelope."""
        return not self._acquaintance.rcpt_first and self.connection is not None and self.connection.recent

    @property
    def hot(self) -> bool:
        """The same, and a look at the connection shows that it is alive."""
        return self.recent and self.connection is not None and self.connection.hot

    def found(self, deadline: float) -> SMTPProtocol | None:
        """The connection that is there and alive, about to be used; None where there is none."""
        if self.connection is None or not self.connected:
            return None
        if not self.connection.alive:
            self.note(logging.INFO, f"the connection to {self.connection.endpoint} had died while idle: replaced")
            self.abort()
            return None
        self.connection.begin(deadline)
        return self.connection.protocol

    def finished(
        self, delivery: Delivery, error: SMTPException | None, begun: float
    ) -> tuple[Receipt, SMTPException | None]:
        """Write the receipt; close what cannot be used again.

        Args:
            delivery: What is known of the message.
            error: What ended its conversation, if it did not end by itself.
            begun: When it began, on the monotonic clock.

        Returns:
            What became of it, and what to raise for it.
        """
        told = self.told(delivery, error, begun)
        if self.connection and not self.connection.protocol.reusable:
            self.connection.abort()
        return told

    def told(
        self, delivery: Delivery, error: SMTPException | None, begun: float
    ) -> tuple[Receipt, SMTPException | None]:
        """The same in a batch, where other messages may be under way on the connection."""
        connection = self.connection
        receipt, failed = outcome(
            delivery,
            error,
            server=connection.endpoint if connection else None,
            duration=time.monotonic() - begun,
            reused=bool(connection and connection.messages),
        )
        self._acquaintance.rcpt_first |= delivery.died_in_one_flight
        if failed is not None:
            self.attach(failed, receipt)
        if connection and delivery.transactions:
            connection.messages += 1
            self.carried += 1
        return receipt, failed

    def interrupted(self, delivery: Delivery, interruption: BaseException, begun: float) -> Receipt:
        """Close the connection in the middle of a message; say what that means for it."""
        # A soft time limit, a cancelled task, Ctrl-C: the dialogue is broken off where it stands.
        self.abort()
        broken = SMTPServerDisconnected(f"interrupted by {type(interruption).__name__}")
        return self.finished(delivery, broken, begun)[0]

    def attach(self, error: SMTPException, receipt: Receipt) -> SMTPException:
        """Give an error the receipt, and what only the connection knows."""
        error.receipt = receipt
        if self.connection:
            self.connection.explain(error)
        return error

    def note(self, level: int, text: str) -> None:
        """Keep something for the log."""
        self.notes.append((level, text))

    def take_notes(self) -> list[tuple[int, str]]:
        """Hand the notes out."""
        notes, self.notes = self.notes, []
        return notes

    def abort(self) -> None:
        """Close without a word."""
        if self.connection is not None:
            self.connection.abort()

    def leave(self) -> None:
        """Say QUIT and close, without waiting for the answer."""
        if self.connection is not None and self.connected:
            self.connection.leave()
        self.abort()
        self.connection = None

    def forget(self) -> None:
        """In a forked child the connection is the parent's: close its descriptor here, and say no word on it."""
        self._pid = os.getpid()
        self.abort()
        self.connection = None
