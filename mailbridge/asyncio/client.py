"""The client for asyncio: one connection, one task at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from .. import commands
from ..addresses import parse
from ..conversations import Conversation, Delivery, ask, expand, verify
from ..errors import SMTPException
from ..protocol import SMTPProtocol
from ..receipts import Receipt
from ..replies import Reply
from ..server import Server
from ..sockets.insight import Insight
from .channel import Channel
from .sender import Sender
from .turn import Turn


class Client(Insight[Channel], Sender):
    """A client that keeps one connection and replaces it when it dies.

    It connects when it must. Tasks that use it together take turns: a pool lets them send side by side. A
    connection belongs to the loop that it was made in; in another one the client makes a fresh one.

    Example:
        >>> async with Client(Server.from_url("smtps://user:secret@mail.example.com")) as client:
        ...     receipt = await client.send(message)
    """

    def __init__(self, server: Server, *, log_receipts: bool = True, channel: Channel | None = None) -> None:
        """Remember the server; nothing is connected yet.

        Args:
            server: Where to send. Its token provider may be a coroutine function; any other one runs in a thread.
            log_receipts: Write one record to the logger "mailbridge" for each message. A framework
                that writes its own turns this off.
            channel: What to send over; a pool lends one of its own.
        """
        super().__init__(server, log_receipts=log_receipts)
        self._channel, self._lent = channel or Channel(server), channel is not None
        self._turn = Turn()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def connect(self) -> None:
        """Connect, protect and log in, unless that is done.

        Raises:
            SMTPException: A step of it failed; the error says which, with whom and what to try.
        """
        async with self._turn.lock:
            await self._channel.connect(self._deadline())
        self._say(self._channel)

    async def close(self) -> None:
        """Say QUIT and close. The answer is waited for at most two seconds."""
        async with self._turn.lock:
            await self._channel.close()

    async def noop(self) -> Reply:
        """Ask whether the server is there."""
        return await self._ask(lambda smtp: ask(smtp, commands.Noop()))

    async def reset(self) -> Reply:
        """Say RSET."""
        return await self._ask(lambda smtp: ask(smtp, commands.Rset()))

    async def verify(self, address: str) -> Reply:
        """Ask whether a mailbox exists (VRFY). Most servers answer 252: they will not say."""
        return await self._ask(lambda smtp: verify(smtp, parse(address)))

    async def expand(self, name: str) -> Reply:
        """Ask for the members of a list (EXPN)."""
        return await self._ask(lambda smtp: expand(smtp, name))

    async def help(self, topic: str = "") -> Reply:
        """Ask for help, in general or on a topic."""
        return await self._ask(lambda smtp: ask(smtp, commands.Help(topic)))

    async def command(self, verb: str, argument: str = "") -> Reply:
        """Say anything else that has one reply.

        Raises:
            SMTPResponseException: It was refused.
        """
        return await self._ask(lambda smtp: ask(smtp, commands.Generic(verb, argument)))

    # What the verbs are made of.

    def _deadline(self) -> float:
        return time.monotonic() + self.server.timeouts.send

    def _record(self, receipt: Receipt) -> None:
        if not self._lent:
            super()._record(receipt)
            return
        # A log handler may send mail itself: the channel's place in its pool counts no more meanwhile.
        with self._channel.aside():
            super()._record(receipt)

    async def _ask(self, conversation: Callable[[SMTPProtocol], Conversation[Reply]]) -> Reply:
        async with self._turn.lock:
            return await self._channel.converse(conversation, self._deadline())

    async def _deliver(self, delivery: Delivery, *, strict: bool) -> tuple[Receipt, SMTPException | None]:
        # What `async with` does, without a coroutine for each end of it.
        lock = self._turn.lock
        if (place := lock.take()) is not None:
            await lock.wait(place)
        try:
            return await self._channel.deliver(delivery, self._deadline(), strict=strict)
        finally:
            lock.release()
            if self._channel.notes:
                with self._channel.aside():
                    self._say(self._channel)
