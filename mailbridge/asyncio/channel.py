"""A transmission channel (RFC 5321 section 2.1): one connection, and another in its place when it died."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

from ..conversations import Conversation, Delivery, Need, refusal, send
from ..errors import SMTPException
from ..protocol import SMTPProtocol
from ..receipts import Receipt
from ..sockets.keeper import Keeper
from .connection import Connection, drive

_T = TypeVar("_T")


class Channel(Keeper[Connection]):
    """A way to a server, for one task at a time. It connects when it must, in the loop that runs then."""

    _deadline = 0.0

    @property
    def connected(self) -> bool:
        """A connection is open and could carry a message, as far as anybody knows without asking."""
        if self._pid == os.getpid() and self.connection is not None and not self.connection.at_home:
            self.connection.abandon()
            self.connection = None
        return super().connected

    async def connect(self, deadline: float) -> None:
        """Connect, protect and log in, unless that is done.

        Raises:
            SMTPException: A step of it failed.
        """
        if not self.connected:
            await self.reconnect(deadline)

    async def converse(self, conversation: Callable[[SMTPProtocol], Conversation[_T]], deadline: float) -> _T:
        """Have a conversation that is not about a message."""
        await self.connect(deadline)
        assert self.connection is not None  # noqa: S101 - connect made one
        return await self.connection.converse(conversation(self.connection.protocol), deadline)

    async def deliver(
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
        self._deadline = deadline
        try:
            error = await drive(conversation, self)
        except BaseException as interruption:
            interruption.receipt = self.interrupted(delivery, interruption, begun)  # type: ignore[attr-defined]  # as our own errors have it
            raise
        receipt, failed = self.finished(delivery, error, begun)
        if failed is None and strict and receipt.refused:
            failed = self.attach(refusal(delivery, receipt), receipt)
        return receipt, failed

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

    # How the needs of a conversation about a message are served, a fresh connection included: see `Service`.

    def waits_for(self, need: Need) -> Awaitable[bool] | None:
        """What to await before a need is served."""
        return None if need is Need.CONNECTION else self._carrying.waits_for(need)

    def fail(self, error: OSError) -> NoReturn:
        """What went wrong while it waited closes the connection."""
        self._carrying.fail(error)

    async def answer(self, need: Need) -> object:
        """What a need asks for beyond octets."""
        if need is not Need.CONNECTION:
            return await self._carrying.answer(need)
        connection = await self.reconnect(self._deadline)
        connection.begin(self._deadline)
        return connection.protocol

    @property
    def _carrying(self) -> Connection:
        assert self.connection is not None  # noqa: S101 - the conversation asked for it first
        return self.connection

    async def reconnect(self, deadline: float) -> Connection:
        """Make a connection in place of the present one, if there is one.

        Raises:
            SMTPException: A step of it failed.
        """
        self.leave()
        self.connection = Connection(self.server, self._acquaintance.resumption, max_messages=self.max_messages)
        self.connection.aside = self.aside
        begun = time.monotonic()
        try:
            await self.connection.open(deadline)
        finally:
            self.connecting += time.monotonic() - begun
        self.opened += 1
        self.note(logging.DEBUG, f"connected to {self.connection.endpoint}")
        return self.connection

    async def close(self, deadline: float = math.inf) -> None:
        """Say QUIT and close. The answer is waited for until a deadline, and at most two seconds."""
        if self.connection is not None and self.connected:
            await self.connection.close(deadline)
        self.abort()
        self.connection = None

    def forget(self) -> None:
        """In a forked child the connection is the parent's, and so is what its loop waits with."""
        if self.connection is not None:
            self.connection.forget()
        super().forget()
