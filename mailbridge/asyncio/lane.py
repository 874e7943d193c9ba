"""The connections of a batch, each with its share."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import NoReturn

from ..conversations import Flow, Need, stream
from ..errors import SMTPException
from ..pooling import Lease
from ..server import Server
from ..sockets.desk import channel_of
from ..sockets.supply import Supply
from .channel import Channel
from .connection import Connection, drive


class Lane:
    """A leased channel and the conversation on it that sends a share of a batch.

    Attributes:
        lease: The channel's.
        channel: What it sends over.
        leaving: It takes no more messages: somebody waits for the connection.
        finished: How many messages came to their end on it.
        error: Why no connection could be made, where that ended it.
    """

    def __init__(self, lease: Lease[Channel], server: Server, supply: Supply[Lane], news: Callable[[], None]) -> None:
        self.lease = lease
        self.channel = channel_of(lease)
        self.leaving = False
        self.finished = 0
        self.error: SMTPException | None = None
        self._news = news
        self._supply, self._roll, self._timeouts = supply, supply.roll, server.timeouts
        smtp = self.channel.found(time.monotonic() + self._timeouts.send)
        self._flow = Flow(smtp, self._roll.again, max_recipients=server.max_recipients)

    async def run(self) -> None:
        """Send until there is nothing left for it."""
        try:
            await drive(stream(self._flow), self)
        except SMTPException as failed:
            self.error = failed
        self._tell()

    def break_off(self, error: SMTPException) -> None:
        """Close the connection in the middle of whatever is under way."""
        self.channel.abort()
        self._flow.lost(error)
        self._tell()

    # How its needs are served: see `Service`.

    def waits_for(self, need: Need) -> Awaitable[bool] | None:
        """What to await before a need is served."""
        self._tell()
        if need is Need.MESSAGE or need is Need.CONNECTION:
            return None
        if self._flow.under_way:
            self.connection.extend(self._roll.begun(self._flow.under_way[0][0]) + self._timeouts.send)
        return self.connection.waits_for(need)

    def fail(self, error: OSError) -> NoReturn:
        """What went wrong while it waited closes the connection."""
        self.connection.fail(error)

    async def answer(self, need: Need) -> object:
        """What a need asks for beyond octets: a message, a fresh connection."""
        if need is Need.MESSAGE:
            return self._supply.next_for(self)
        assert need is Need.CONNECTION  # noqa: S101 - nothing else is asked for between two messages
        deadline = time.monotonic() + self._timeouts.send
        connection = await self.channel.reconnect(deadline)
        connection.begin(deadline)
        return connection.protocol

    @property
    def connection(self) -> Connection:
        """The channel's connection, while it has a conversation."""
        assert self.channel.connection is not None  # noqa: S101 - the conversation asked for it first
        return self.channel.connection

    def _tell(self) -> None:
        """Write down what became of the messages that came to their end."""
        if not self._flow.finished:
            return
        for delivery in self._flow.finished:
            self._roll.tell(delivery, self.channel)
            self.finished += 1
        self._flow.finished.clear()
        self._news()
