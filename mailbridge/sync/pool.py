"""A pool: several connections to one server, kept, and shared by threads."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import NoReturn, Self, Unpack

from ..conversations import Delivery
from ..errors import SMTPException, SMTPServerDisconnected
from ..message import MailObject, MessageSource, OnPartial
from ..pooling import Lease
from ..receipts import Receipt
from ..server import Server
from ..sockets.desk import channel_of
from ..sockets.pooled import PoolOptions, PoolSettings, turned_away
from ..sockets.telling import Progress, wants_abort
from .batch import Batch
from .channel import Channel
from .client import Client
from .lending import Lender
from .processes import look_after
from .sender import Sender


class Pool(Lender, Sender):
    """Sends messages over a few connections that are kept and shared. For any number of threads.

    Connections are made when they are needed, and never more than `max_connections` at a time. A process that
    forks may go on using it on both sides: each has connections of its own.

    Example:
        >>> with Pool(Server.from_url("smtps://user:secret@mail.example.com"), max_connections=4) as pool:
        ...     receipt = pool.send(message)
    """

    def __init__(self, server: Server, **options: Unpack[PoolOptions]) -> None:
        """Remember the server; nothing is connected yet.

        Args:
            server: Where to send.
            **options: `max_connections` (2) at the same time; `max_messages` (50) over one connection; `max_idle`
                (30) seconds that one may be idle; `max_age` (300) seconds that one may live; `claim_timeout` (30)
                seconds to wait for one at most; `probe_after`, seconds of idleness after which one is asked whether
                it lives (NOOP, never by default); `log_receipts` (True): write one record for each message.

        Raises:
            SMTPInputError: An option is wrong.
        """
        super().__init__(server, PoolSettings(**options))
        look_after(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Pool is never pickled: its connections belong to this process. Make one where it is needed")

    def send_many(
        self,
        messages: Iterable[MessageSource | MailObject],
        *,
        on_partial: OnPartial = "deliver",
        progress: Progress | None = None,
    ) -> Batch:
        """Send many messages, several of them in flight; what became of each stands in its receipt.

        Args:
            messages: What `send` takes. Only as many are pulled as keep the connections busy.
            on_partial: "deliver" to the others where some recipients of a message are refused, or "abort": all or
                nothing for each message.
            progress: Called with the number of messages that are done and the newest receipt.

        Returns:
            The receipts, in the order of the messages; it sends while they are iterated over. `receipt.error` is
            what `send` would have raised.

        Raises:
            SMTPInputError: `on_partial` says something else.
        """
        return Batch(self, messages, abort=wants_abort(on_partial), progress=progress)

    @contextmanager
    def lease(self) -> Iterator[Client]:
        """Have a connection for yourself: a `Client` on it, until the end of the block.

        Raises:
            SMTPPoolError: None came free in time, or the pool is closed.
            SMTPException: It could not be made.
        """
        lease = self._connected(time.monotonic() + self.server.timeouts.send)
        channel = channel_of(lease)
        client = Client(self.server, log_receipts=self.log_receipts, channel=channel)
        try:
            yield client
        except BaseException as error:
            if not isinstance(error, SMTPException):
                # Nobody knows what the block was in the middle of.
                channel.abort()
            raise
        finally:
            self.give_back(lease)

    # How it sends.

    def _deliver(self, delivery: Delivery, *, strict: bool) -> tuple[Receipt, SMTPException | None]:
        begun = time.monotonic()
        deadline, patience = begun + self.server.timeouts.send, begun + self.settings.claim_timeout
        try:
            lease = self.claim(deadline)
            while True:
                receipt, error = self._use(lease, delivery, deadline, strict=strict)
                if error is None or delivery.transactions or not turned_away(error):
                    self.give_back(lease)
                    return receipt, error
                lease = self.try_again(lease, min(patience, deadline), error)
        except SMTPException as error:
            # No connection was to be had.
            error.receipt = delivery.receipt(error, server=error.server, duration=time.monotonic() - begun)
            return error.receipt, error
        except BaseException as interruption:
            if not hasattr(interruption, "receipt"):
                broken = SMTPServerDisconnected(f"interrupted by {type(interruption).__name__}")
                interruption.receipt = delivery.receipt(broken)  # type: ignore[attr-defined]  # as our own errors have it
            raise

    def _use(
        self, lease: Lease[Channel], delivery: Delivery, deadline: float, *, strict: bool
    ) -> tuple[Receipt, SMTPException | None]:
        try:
            return channel_of(lease).deliver(delivery, deadline, strict=strict)
        except BaseException:
            self.give_back(lease)
            raise

    def _connected(self, deadline: float) -> Lease[Channel]:
        """A lease whose channel is connected and alive."""
        patience = time.monotonic() + self.settings.claim_timeout
        lease = self.claim(deadline)
        while True:
            channel = channel_of(lease)
            try:
                if not channel.alive:
                    channel.reconnect(deadline)
                return lease
            except BaseException as error:
                if not (isinstance(error, SMTPException) and turned_away(error)):
                    self.give_back(lease)
                    raise
                refused = error
            lease = self.try_again(lease, min(patience, deadline), refused)
