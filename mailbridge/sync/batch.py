"""Batches: many messages over few connections, served by one loop in the caller's thread."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

from ..errors import SMTPException, SMTPServerDisconnected
from ..message import MailObject, MessageSource
from ..receipts import Receipt
from ..sockets.pooled import turned_away
from ..sockets.readiness import first_ready
from ..sockets.roll import Roll
from ..sockets.supply import Supply
from ..sockets.telling import Progress, Telling, never_iterated
from .lane import Lane
from .lending import Lender


class Batch(Iterator[Receipt]):
    """The receipts of many messages, in the order in which the messages came.

    It sends while it is iterated, and pulls no more messages than it needs to keep its connections busy. It takes
    one connection, a further one where there is work for it and nobody waits, and gives way to those who wait.
    A failure of one message is `error` in its receipt and does not stop the next; where no connection can be made,
    secured or logged in to, the rest are not sent.

    Example:
        >>> for receipt in pool.send_many(messages):
        ...     print(receipt.message_id, list(receipt.accepted))
    """

    def __init__(
        self,
        lender: Lender,
        messages: Iterable[MessageSource | MailObject],
        *,
        abort: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._lender = lender
        self._roll = Roll(abort=abort)
        self._telling = Telling(self._roll, log_receipts=lender.log_receipts, progress=progress)
        # Lanes know it and not the batch: a batch that is dropped must be closed at once.
        self._supply: Supply[Lane] = Supply(iter(messages), self._roll, lender)
        self._lanes = self._supply.lanes
        self._broken: SMTPException | None = None
        self._turning = False
        lender.invite(self)
        self._started = self._closed = False

    def __iter__(self) -> Self:
        self._started = True
        return self

    def __next__(self) -> Receipt:
        """Send until it is known what became of the next message.

        Raises:
            StopIteration: There are no more.
            Exception: What the caller's iterable raised, behind the receipts of what it gave before.
        """
        self._started = True
        while not self._roll.told:
            if not self._works():
                self.close()
                if raised := self._supply.take_error():
                    raise raised
                raise StopIteration
        return self._telling.handed_out()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_started", True) and not self._closed:
            self._closed = True
            never_iterated()
        elif not getattr(self, "_closed", True):
            self.close()

    def close(self) -> None:
        """Pull no more messages, read what is outstanding, log each receipt that was not handed out."""
        if self._closed:
            return
        self._started = self._closed = self._roll.exhausted = True
        self._roll.give_up(SMTPServerDisconnected("the batch was closed before this message was sent"))
        while self._lanes:
            self._turn(closing=True)
        self._telling.leave_behind()

    @property
    def left(self) -> tuple[Receipt, ...]:
        """Receipts that an end before the end kept back: those of the last messages that were pulled, in order."""
        return self._telling.left

    def make_room(self) -> None:
        """Somebody waits for a connection: where it is the caller of this batch, nobody else could ever free one."""
        while self._lanes and self._lender.waiting and not self._turning:
            self._turn(closing=True)

    # How it goes on.

    def _works(self) -> bool:
        """Do something; say whether anything is left to do."""
        if not self._lanes:
            if not self._roll.again and not self._pulled():
                return self._roll.told
            if self._broken is not None:
                self._roll.give_up(self._broken)
                return True
            self._open_first()
        self._turn()
        return True

    def _pulled(self) -> bool:
        """There is a message to send, the first of those that wait."""
        delivery = self._supply.pull()
        if delivery is not None:
            self._roll.again.append(self._roll.begin(delivery, time.monotonic(), hot=False))
        return delivery is not None

    def _turn(self, *, closing: bool = False) -> None:
        """Let every lane go on as far as it can, then wait for the first one that can go on again."""
        with self._interruptible():
            for lane in self._lanes:
                if lane.pause is None and not lane.over:
                    lane.advance()
            self._retire()
            if self._lanes and (closing or not (self._roll.told or self._spread())):
                self._wait()

    def _wait(self) -> None:
        """Wait until a lane can go on or its time is over."""
        lanes = [lane for lane in self._lanes if lane.pause]
        if len(lanes) < len(self._lanes):
            return  # one that has just been put to work waits for nothing
        if len(lanes) == 1:
            lanes[0].wait()
            return
        now = time.monotonic()
        soonest = min(lane.pause.deadline for lane in lanes if lane.pause)
        ready = first_ready(
            [(lane.connection.carrier, bool(lane.pause and lane.pause.write)) for lane in lanes], soonest - now
        )
        for lane, (can_go_on, readable) in zip(lanes, ready, strict=True):
            if can_go_on:
                lane.advance(readable=readable)
            elif lane.pause and lane.pause.deadline <= time.monotonic():
                lane.wait()

    def _spread(self) -> bool:
        """Take another connection where those there are have shown that there is work for it."""
        lease = self._lender.claim_if_free() if self._supply.wants_another else None
        if lease is None:
            return False
        self._lanes.append(Lane(lease, self._lender.server, self._supply))
        return True

    def _open_first(self) -> None:
        with self._interruptible():
            try:
                deadline = time.monotonic() + self._lender.server.timeouts.send
                lease = self._lender.claim(deadline)
            except SMTPException as error:
                self._broken = error
                return
            self._lanes.append(Lane(lease, self._lender.server, self._supply))

    def _retire(self) -> None:
        """Give the connections of lanes that ended back."""
        for lane in [each for each in self._lanes if each.over]:
            self._lanes.remove(lane)
            if lane.error is not None and turned_away(lane.error) and not self._lanes:
                self._start_over(lane)
                continue
            if lane.error is not None and not self._lanes:
                self._broken = lane.error
            self._supply.turned_away |= lane.error is not None
            self._lender.give_back(lane.lease)

    def _start_over(self, lane: Lane) -> None:
        """The server has too many connections: wait for another turn."""
        deadline = time.monotonic() + self._lender.server.timeouts.send
        assert lane.error is not None  # noqa: S101 - the caller looked
        try:
            lease = self._lender.try_again(lane.lease, deadline, lane.error)
        except SMTPException as error:
            self._broken = error
        else:
            self._lanes.append(Lane(lease, self._lender.server, self._supply))

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """What is no error of SMTP closes the connections, leaves its receipts in the log, and passes on."""
        self._turning = True
        try:
            yield
        except BaseException as interruption:
            self._closed = self._roll.exhausted = True
            broken = SMTPServerDisconnected(f"interrupted by {type(interruption).__name__}")
            lanes = self._lanes.copy()
            self._lanes.clear()
            for lane in lanes:
                lane.break_off(broken)
            self._roll.give_up(broken)
            for lane in lanes:
                self._lender.give_back(lane.lease)
            self._telling.leave_behind()
            raise
        finally:
            self._turning = False
