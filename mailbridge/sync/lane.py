"""The connections of a batch, each with its share."""

from __future__ import annotations

import time

from ..conversations import Flow, Need, stream
from ..errors import SMTPException
from ..pooling import Lease
from ..server import Server
from ..sockets.desk import channel_of
from ..sockets.link import Pause
from ..sockets.supply import Supply
from .channel import Channel
from .connection import Connection


class Lane:
    """A leased channel and the conversation on it that sends a share of a batch.

    Attributes:
        lease: The channel's.
        channel: What it sends over.
        pause: What it waits for; None where it can go on.
        leaving: It takes no more messages: somebody waits for the connection.
        finished: How many messages came to their end on it.
        over: It has nothing under way and takes no more.
        error: Why no connection could be made, where that ended it.
    """

    def __init__(self, lease: Lease[Channel], server: Server, supply: Supply[Lane]) -> None:
        self.lease = lease
        self.channel = channel_of(lease)
        self.pause: Pause | None = None
        self.leaving = self.over = False
        self.finished = 0
        self.error: SMTPException | None = None
        self._supply, self._roll, self._timeouts = supply, supply.roll, server.timeouts
        smtp = self.channel.found(time.monotonic() + self._timeouts.send)
        self._flow = Flow(smtp, self._roll.again, max_recipients=server.max_recipients)
        self._conversation = stream(self._flow)
        self._need: Need | None = None

    def advance(self, *, readable: bool = False, error: SMTPException | None = None) -> None:
        """Go on as far as that goes without waiting.

        Args:
            readable: Something can be read.
            error: What went wrong while it waited.
        """
        self.pause = None
        try:
            while self._step(readable, error):
                readable, error = False, None
                self._tell()
        except StopIteration:
            self.over = True
        except SMTPException as failed:
            self.over, self.error = True, failed
        self._tell()

    def wait(self) -> None:
        """Wait for what it waits for, and go on."""
        assert self.pause is not None  # noqa: S101 - the batch asks only those that wait
        try:
            readable = self.connection.wait(self.pause)
        except SMTPException as error:
            self.advance(error=error)
        else:
            self.advance(readable=readable)

    def break_off(self, error: SMTPException) -> None:
        """Close the connection in the middle of whatever is under way."""
        self.channel.abort()
        self._flow.lost(error)
        self._tell()

    def _step(self, readable: bool, error: SMTPException | None) -> bool:
        """Serve the conversation's need, and hear the next one; False where it must wait first."""
        answer = None
        if self._need is not None and error is None:
            try:
                answer = self._serve(self._need, readable=readable)
            except SMTPException as failed:
                error = failed
            if self.pause is not None:
                return False
        self._need = self._conversation.send(answer) if error is None else self._conversation.throw(error)
        return True

    def _serve(self, need: Need, *, readable: bool) -> object:
        if need is Need.MESSAGE:
            return self._supply.next_for(self)
        if need is Need.CONNECTION:
            deadline = time.monotonic() + self._timeouts.send
            connection = self.channel.reconnect(deadline)
            connection.begin(deadline)
            return connection.protocol
        if self._flow.under_way:
            self.connection.extend(self._roll.begun(self._flow.under_way[0][0]) + self._timeouts.send)
        self.pause = self.connection.advance(need, readable=readable)
        return None if self.pause else self.connection.answer(need)

    @property
    def connection(self) -> Connection:
        """The channel's connection, while it has a conversation."""
        assert self.channel.connection is not None  # noqa: S101 - the conversation asked for it first
        return self.channel.connection

    def _tell(self) -> None:
        """Write down what became of the messages that came to their end."""
        for delivery in self._flow.finished:
            self._roll.tell(delivery, self.channel)
            self.finished += 1
        self._flow.finished.clear()
