"""A transmission channel (RFC 5321 section 2.1): one connection, and another in its place when it died."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import TypeVar

from ..conversations import Conversation, Delivery, Need, refusal, send
from ..errors import SMTPException
from ..protocol import SMTPProtocol
from ..receipts import Receipt
from ..sockets.keeper import Keeper
from .connection import Connection, attend

_T = TypeVar("_T")


class Channel(Keeper[Connection]):
    """A way to a server, for one user at a time. It connects when it must."""

    def connect(self, deadline: float) -> None:
        """Connect, protect and log in, unless that is done.

        Raises:
            SMTPException: A step of it failed.
        """
        if not self.connected:
            self.reconnect(deadline)

    def converse(self, conversation: Callable[[SMTPProtocol], Conversation[_T]], deadline: float) -> _T:
        """Have a conversation that is not about a message."""
        self.connect(deadline)
        assert self.connection is not None  # noqa: S101 - connect made one
        return self.connection.converse(conversation(self.connection.protocol), deadline)

    def deliver(
        self, delivery: Delivery, deadline: float, *, strict: bool = False
    ) -> tuple[Receipt, SMTPException | None]:
        """Send a message.

        Args:
            delivery: The message; what is known of its fate.
            deadline: The moment to give up, on the monotonic clock.
            strict: A partial refusal is something to raise too.

        Returns:
            What became of it, and what to raise for it.

        Raises:
            BaseException: An interruption passes; its `receipt` says what became of the message.
        """
        begun, smtp = time.monotonic(), self.found(deadline)
        conversation = send(smtp, delivery, max_recipients=self.server.max_recipients, hot=bool(smtp) and self.recent)
        try:
            attend(conversation, lambda need: self._serve(need, deadline))
        except BaseException as interruption:
            interruption.receipt = self.interrupted(delivery, interruption, begun)  # type: ignore[attr-defined]  # as our own errors have it
            raise
        receipt, failed = self.finished(delivery, delivery.ended, begun)
        if failed is None and strict and receipt.refused:
            failed = self.attach(refusal(delivery, receipt), receipt)
        return receipt, failed

    def _serve(self, need: Need, deadline: float) -> object:
        """Serve a need of a conversation about a message, a fresh connection included."""
        if need is Need.CONNECTION:
            connection = self.reconnect(deadline)
            connection.begin(deadline)
            return connection.protocol
        assert self.connection is not None  # noqa: S101 - the conversation asked for it first
        return self.connection.serve(need)

    def reconnect(self, deadline: float) -> Connection:
        """Make a connection in place of the present one, if there is one.

        Raises:
            SMTPException: A step of it failed.
        """
        self.leave()
        self.connection = Connection(self.server, self._acquaintance.resumption, max_messages=self.max_messages)
        self.connection.aside = self.aside
        begun = time.monotonic()
        try:
            self.connection.open(deadline)
        finally:
            self.connecting += time.monotonic() - begun
        self.opened += 1
        self.note(logging.DEBUG, f"connected to {self.connection.endpoint}")
        return self.connection

    def close(self, deadline: float = math.inf) -> None:
        """Say QUIT and close. The answer is waited for until a deadline, and at most two seconds."""
        if self.connection is not None and self.connected:
            self.connection.close(deadline)
        self.abort()
        self.connection = None
