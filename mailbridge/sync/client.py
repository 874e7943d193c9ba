"""The synchronous client: one connection, one user."""

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


class Client(Insight[Channel], Sender):
    """A client that keeps one connection and replaces it when it dies.

    It connects when it must, and it is for one thread at a time.

    Example:
        >>> with Client(Server.from_url("smtps://user:secret@mail.example.com")) as client:
        ...     receipt = client.send(message)
    """

    def __init__(self, server: Server, *, log_receipts: bool = True, channel: Channel | None = None) -> None:
        """Remember the server; nothing is connected yet.

        Args:
            server: Where to send.
            log_receipts: Write one record to the logger "mailbridge" for each message. A framework
                that writes its own turns this off.
            channel: What to send over; a pool lends one of its own.
        """
        super().__init__(server, log_receipts=log_receipts)
        self._channel = channel or Channel(server)

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def connect(self) -> None:
        """Connect, protect and log in, unless that is done.

        Raises:
            SMTPException: A step of it failed; the error says which, with whom and what to try.
        """
        self._channel.connect(self._deadline())
        self._say(self._channel)

    def close(self) -> None:
        """Say QUIT and close. The answer is waited for at most two seconds."""
        self._channel.close()

    def noop(self) -> Reply:
        """Ask whether the server is there."""
        return self._ask(lambda smtp: ask(smtp, commands.Noop()))

    def reset(self) -> Reply:
        """Say RSET."""
        return self._ask(lambda smtp: ask(smtp, commands.Rset()))

    def verify(self, address: str) -> Reply:
        """Ask whether a mailbox exists (VRFY). Most servers answer 252: they will not say."""
        return self._ask(lambda smtp: verify(smtp, parse(address)))

    def expand(self, name: str) -> Reply:
        """Ask for the members of a list (EXPN)."""
        return self._ask(lambda smtp: expand(smtp, name))

    def help(self, topic: str = "") -> Reply:
        """Ask for help, in general or on a topic."""
        return self._ask(lambda smtp: ask(smtp, commands.Help(topic)))

    def command(self, verb: str, argument: str = "") -> Reply:
        """Say anything else that has one reply.

        Raises:
            SMTPResponseException: It was refused.
        """
        return self._ask(lambda smtp: ask(smtp, commands.Generic(verb, argument)))

    # What the verbs are made of.

    def _deadline(self) -> float:
        return time.monotonic() + self.server.timeouts.send

    def _record(self, receipt: Receipt) -> None:
        # A log handler may send mail itself: where a pool lent the channel, its place counts no more meanwhile.
        with self._channel.aside():
            super()._record(receipt)

    def _ask(self, conversation: Callable[[SMTPProtocol], Conversation[Reply]]) -> Reply:
        return self._channel.converse(conversation, self._deadline())

    def _deliver(self, delivery: Delivery, *, strict: bool) -> tuple[Receipt, SMTPException | None]:
        try:
            return self._channel.deliver(delivery, self._deadline(), strict=strict)
        finally:
            if self._channel.notes:
                with self._channel.aside():
                    self._say(self._channel)
