"""A pool: several connections to one server, kept, and shared by tasks."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import NoReturn, Self, Unpack

from ..conversations import Delivery
from ..errors import SMTPException, SMTPServerDisconnected
from ..message import MailObject, MessageSource, OnPartial
from ..pooling import Lease
from ..receipts import Receipt
from ..server import Server
from ..sockets.desk import channel_of
from ..sockets.pooled import PoolOptions, PoolSettings, Stats, turned_away
from ..sockets.telling import Progress, wants_abort
from ..sync.processes import look_after
from .batch import Batch, Crew
from .channel import Channel
from .client import Client
from .lending import LAST_WORDS, Lender
from .sender import Sender


class Pool(Sender):
    """Sends messages over a few connections that are kept and shared. For any number of tasks, in any loop.

    Connections are made when they are needed, and never more than `max_connections` at a time in one loop. They
    end with their loop: each loop has connections of its own, and so has each process.

    Example:
        >>> async with Pool(Server.from_url("smtps://user:secret@mail.example.com"), max_connections=4) as pool:
        ...     receipt = await pool.send(message)
    """

    def __init__(self, server: Server, **options: Unpack[PoolOptions]) -> None:
        """Remember the server; nothing is connected yet.

        Args:
            server: Where to send.
            **options: Those of `mailbridge.Pool`.

        Raises:
            SMTPInputError: An option is wrong.
        """
        self.settings = PoolSettings(**options)
        super().__init__(server, log_receipts=self.settings.log_receipts)
        # A finalizer may retire it in the middle of a decision of its own thread.
        self._lock = threading.RLock()
        self._lenders: dict[asyncio.AbstractEventLoop, Lender] = {}
        self._keeping = True
        look_after(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

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
            The receipts, in the order of the messages, for `async for`. `receipt.error` is what `send` would have
            raised.

        Raises:
            SMTPInputError: `on_partial` says something else.
        """
        return Batch(Crew(self._here(), messages, abort=wants_abort(on_partial), progress=progress))

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Client]:
        """Have a connection for yourself: a `Client` on it, until the end of the block.

        Raises:
            SMTPPoolError: None came free in time, or the pool is closed.
            SMTPException: It could not be made.
        """
        lender = self._here()
        lease = await self._connected(lender, time.monotonic() + self.server.timeouts.send)
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
            lender.give_back(lease)

    # How it ends.

    def stats(self) -> Stats:
        """What it has now in this loop, and what it did so far."""
        return self._here().stats()

    async def drain(self, timeout: float) -> bool:  # noqa: ASYNC109 - it waits for others, and closes in the end
        """Take no more messages in this loop, wait for those under way, and close.

        Args:
            timeout: Seconds to wait for them.

        Returns:
            All came to their end in time.
        """
        return await self._here().drain(timeout)

    async def close(self, timeout: float = LAST_WORDS) -> None:  # noqa: ASYNC109 - for the goodbyes; it closes in any case
        """Close what is idle now, and what is in use as soon as it comes back. Nothing more is taken in this loop.

        Args:
            timeout: Seconds to wait for the answers to QUIT, all together.
        """
        await self._here().close(timeout)

    def retire(self) -> None:
        """Keep no connection any more, in any loop: who still sends by this pool gets one for each message.

        Any thread may call it; each loop closes its own connections.
        """
        with self._lock:
            self._keeping, lenders = False, dict(self._lenders)
        for loop, lender in lenders.items():
            try:
                loop.call_soon_threadsafe(lender.retire)
            except RuntimeError:
                lender.disown()  # the loop has ended

    def after_fork(self) -> None:
        """In a forked child the connections are the parent's, and no loop of the parent's runs."""
        self._lock = threading.RLock()
        lenders, self._lenders = self._lenders, {}
        for lender in lenders.values():
            lender.disown()

    def at_exit(self, deadline: float) -> None:
        """The process ends: no loop runs any more in which somebody could say goodbye."""

    # How it sends.

    def _here(self) -> Lender:
        """The lender of the loop that runs now. Those whose loop has ended go."""
        loop = asyncio.get_running_loop()
        if (found := self._lenders.get(loop)) is not None:
            return found
        with self._lock:
            over = [self._lenders.pop(one) for one in list(self._lenders) if one.is_closed()]
            lender = self._lenders[loop] = Lender(self.server, self.settings)
            if not self._keeping:
                lender.retire()
        for one in over:
            one.disown()
        return lender

    async def _deliver(self, delivery: Delivery, *, strict: bool) -> tuple[Receipt, SMTPException | None]:
        begun, lender = time.monotonic(), self._here()
        deadline, patience = begun + self.server.timeouts.send, begun + self.settings.claim_timeout
        try:
            lease = await lender.claim(deadline)
            while True:
                try:
                    receipt, error = await channel_of(lease).deliver(delivery, deadline, strict=strict)
                except BaseException:
                    lender.give_back(lease)
                    raise
                if error is None or delivery.transactions or not turned_away(error):
                    lender.give_back(lease)
                    return receipt, error
                delivery.reset()
                lease = await lender.try_again(lease, min(patience, deadline), error)
        except SMTPException as error:
            # No connection was to be had.
            error.receipt = delivery.receipt(error, server=error.server, duration=time.monotonic() - begun)
            return error.receipt, error
        except BaseException as interruption:
            if not hasattr(interruption, "receipt"):
                broken = SMTPServerDisconnected(f"interrupted by {type(interruption).__name__}")
                interruption.receipt = delivery.receipt(broken)  # type: ignore[attr-defined]  # as our own errors have it
            raise

    async def _connected(self, lender: Lender, deadline: float) -> Lease[Channel]:
        """A lease whose channel is connected and alive."""
        patience = time.monotonic() + self.settings.claim_timeout
        lease = await lender.claim(deadline)
        while True:
            channel = channel_of(lease)
            try:
                if not channel.alive:
                    await channel.reconnect(deadline)
                return lease
            except BaseException as error:
                if not (isinstance(error, SMTPException) and turned_away(error)):
                    lender.give_back(lease)
                    raise
                refused = error
            lease = await lender.try_again(lease, min(patience, deadline), refused)
