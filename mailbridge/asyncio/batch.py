"""Batches: many messages over few connections, each served by a task."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Self

from ..errors import SMTPException, SMTPServerDisconnected
from ..message import MailObject, MessageSource
from ..pooling import Lease
from ..receipts import Receipt
from ..sockets.pooled import turned_away
from ..sockets.roll import Roll
from ..sockets.supply import Supply
from ..sockets.telling import Progress, Telling, never_iterated
from .channel import Channel
from .lane import Lane
from .lending import Lender


class Crew:
    """Those who send a batch, a task for each connection. They know it and not the batch: it may be dropped."""

    def __init__(
        self,
        lender: Lender,
        messages: Iterable[MessageSource | MailObject],
        *,
        abort: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.lender = lender
        self.roll = Roll(abort=abort)
        self.telling = Telling(self.roll, log_receipts=lender.log_receipts, progress=progress)
        self.supply: Supply[Lane] = Supply(iter(messages), self.roll, lender)
        self.broken: SMTPException | None = None
        self.failed: BaseException | None = None
        self.news = asyncio.Event()
        self._forgotten = self._broken_off = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def at_work(self) -> bool:
        """A connection is in use, or about to be."""
        return bool(self._tasks)

    def pulled(self) -> bool:
        """There is a message to send, the first of those that wait."""
        delivery = self.supply.pull()
        if delivery is not None:
            self.roll.again.append(self.roll.begin(delivery, time.monotonic(), hot=False))
        return delivery is not None

    async def open_first(self) -> None:
        """Take a connection, and set somebody to work on it."""
        try:
            lease = await self.lender.claim(self._deadline())
        except SMTPException as error:
            self.broken = error
        else:
            self._set_to_work(lease)

    async def done(self) -> None:
        """Wait until all that is under way has come to its end."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def break_off(self, interruption: BaseException) -> None:
        """What is no error of SMTP closes the connections and leaves its receipts in the log."""
        if self._broken_off:
            return
        self._broken_off = self.roll.exhausted = True
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        broken = SMTPServerDisconnected(f"interrupted by {type(interruption).__name__}")
        for lane in self.supply.lanes:
            lane.break_off(broken)
        self.roll.give_up(broken)
        self.telling.leave_behind()

    def forget(self) -> None:
        """Nobody asks for the receipts any more: pull nothing, and log what comes of what is under way."""
        self._forgotten = self.roll.exhausted = True
        if not self._tasks:
            self.telling.leave_behind()

    # How the work goes on.

    def _deadline(self) -> float:
        return time.monotonic() + self.lender.server.timeouts.send

    def _set_to_work(self, lease: Lease[Channel]) -> None:
        lane = Lane(lease, self.lender.server, self.supply, self._told)
        self.supply.lanes.append(lane)
        task = asyncio.create_task(self._work(lane), name="mailbridge batch")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed = error
        self.news.set()
        if self._forgotten and not self._tasks:
            self.telling.leave_behind()

    def _told(self) -> None:
        self.news.set()
        self._spread()

    def _spread(self) -> None:
        """Take another connection where those there are have shown that there is work for it."""
        lease = self.lender.claim_if_free() if self.supply.wants_another else None
        if lease is not None:
            self._set_to_work(lease)

    async def _work(self, lane: Lane) -> None:
        """Send a share of the batch, and give the connection back."""
        try:
            await lane.run()
        except BaseException as interruption:
            # A lane that was cut off ends here too; a KeyboardInterrupt leaves the loop and is seen by nobody else.
            self.break_off(interruption)
            raise
        finally:
            self.supply.lanes.remove(lane)
            self.supply.turned_away |= lane.error is not None
            turned = lane.error is not None and turned_away(lane.error) and not self.supply.lanes
            if not turned:
                self.lender.give_back(lane.lease)
        if turned:
            await self._start_over(lane)
        elif lane.error is not None and not self.supply.lanes:
            self.broken = lane.error

    async def _start_over(self, lane: Lane) -> None:
        """The server has too many connections: wait for another turn."""
        assert lane.error is not None  # noqa: S101 - the caller looked
        try:
            lease = await self.lender.try_again(lane.lease, self._deadline(), lane.error)
        except SMTPException as error:
            self.broken = error
        else:
            self._set_to_work(lease)


class Batch(AsyncIterator[Receipt]):
    """The receipts of many messages, in the order in which the messages came.

    It begins when it is iterated over, and pulls no more messages than it needs to keep its connections busy and
    `AHEAD` receipts waiting. It takes one connection, a further one where there is work for it and nobody waits,
    and gives way to those who wait. A failure of one message is `error` in its receipt and does not stop the next;
    where no connection can be made, secured or logged in to, the rest are not sent.

    Example:
        >>> async for receipt in pool.send_many(messages):
        ...     print(receipt.message_id, list(receipt.accepted))
    """

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._started = self._closed = False

    def __aiter__(self) -> Self:
        self._started = True
        return self

    async def __anext__(self) -> Receipt:
        """Send until it is known what became of the next message.

        Raises:
            StopAsyncIteration: There are no more.
            Exception: What the caller's iterable raised, behind the receipts of what it gave before.
        """
        self._started = True
        while not self._crew.roll.told:
            if not await self._works():
                await self.close()
                if raised := self._crew.supply.take_error():
                    raise raised
                raise StopAsyncIteration
        return self._crew.telling.handed_out()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        if not getattr(self, "_started", True) and not self._closed:
            self._closed = True
            never_iterated()
        elif not getattr(self, "_closed", True):
            self._crew.forget()

    async def close(self) -> None:
        """Pull no more messages, read what is outstanding, log each receipt that was not handed out."""
        if self._closed:
            return
        self._started = self._closed = self._crew.roll.exhausted = True
        self._crew.roll.give_up(SMTPServerDisconnected("the batch was closed before this message was sent"))
        try:
            await self._crew.done()
        except BaseException as interruption:
            self._break_off(interruption)
            raise
        self._crew.telling.leave_behind()

    @property
    def left(self) -> tuple[Receipt, ...]:
        """Receipts that an end before the end kept back: those of the last messages that were pulled, in order."""
        return self._crew.telling.left

    # How it goes on.

    async def _works(self) -> bool:
        """Let something be done; say whether anything is left to do."""
        crew = self._crew
        try:
            if crew.failed is not None:
                raise crew.failed
            if crew.at_work:
                crew.news.clear()
                await crew.news.wait()
            elif not crew.roll.again and not crew.pulled():
                return crew.roll.told
            elif crew.broken is not None:
                crew.roll.give_up(crew.broken)
            else:
                await crew.open_first()
        except BaseException as interruption:
            self._break_off(interruption)
            raise
        return True

    def _break_off(self, interruption: BaseException) -> None:
        self._closed = True
        self._crew.break_off(interruption)
