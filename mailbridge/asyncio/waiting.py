"""Waiting for a socket in an event loop until a deadline."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable


def ready() -> bool:
    """For those who only want to know that something can be read, and read it themselves."""
    return True


class Alarm:
    """Calls somebody by a moment that moves on and on.

    One timer serves many waits, since whoever is called looks at the clock.
    """

    def __init__(self, call: Callable[[], None]) -> None:
        """Belong to the loop that runs now."""
        self._loop = asyncio.get_running_loop()
        self._call = call
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0

    def by(self, moment: float) -> None:
        """Call at this moment on the monotonic clock, or before it."""
        if self._timer is not None:
            if self._rings_at <= moment:
                return
            self._timer.cancel()
        self._rings_at = moment
        self._timer = self._loop.call_later(moment - time.monotonic(), self._ring)

    def close(self) -> None:
        """Call nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        self._call()


class Watch:
    """Waits for one socket in the loop that runs now, for one task at a time.

    What comes is read in the loop's own callback: until it has been read, the loop reports it anew in each round.
    The loop goes on watching between two waits, which saves two system calls for each reply, until something comes
    that nobody waits for.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        # TLS keeps it: the same descriptor under another object.
        self._descriptor = sock.fileno()
        self._waiter: asyncio.Future[bool] | None = None
        self._take: Callable[[], bool] | None = None
        self._watching = self._writing = False
        # uvloop watches until the socket has an error, and then calls once more and never again: a reset is told
        # together with the octets before it.
        self._may_stop = not isinstance(self._loop, asyncio.SelectorEventLoop)
        self._alarm = Alarm(self._look)
        self._deadline = 0.0

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that it belongs to."""
        return self._loop

    def wait(
        self, deadline: float, *, take: Callable[[], bool] | None = None, write: bool = False
    ) -> asyncio.Future[bool]:
        """Begin to wait until something was read, or can be written. One wait ends before the next begins.

        Args:
            deadline: The moment to give up, on the monotonic clock.
            take: Called when something can be read; the wait goes on while it says that it found nothing.
            write: Wait until something can be written.

        Returns:
            To be awaited: whether something was read. It raises TimeoutError where the deadline passed, and what
            `take` raised.

        Raises:
            TimeoutError: The deadline has passed already.
        """
        if deadline <= time.monotonic():
            raise TimeoutError
        self._deadline = deadline
        self._alarm.by(deadline)
        waiter: asyncio.Future[bool] = self._loop.create_future()
        self._waiter, self._take, self._writing = waiter, take, write
        if take and (self._may_stop or not self._watching):
            self._watch()
        if write:
            self._register(self._loop.add_writer, self._writable)
        return waiter

    def close(self) -> None:
        """Leave the loop, which must be done before the descriptor is closed."""
        self._awaited()
        self._unwatch()
        self._loop.remove_writer(self._descriptor)
        self._alarm.close()

    def _awaited(self) -> asyncio.Future[bool] | None:
        """What is waited for, which ends now; None where nobody waits any more. Who waited is not held any longer."""
        waiter, self._waiter, self._take = self._waiter, None, None
        return waiter if waiter is not None and not waiter.done() else None

    def _watch(self) -> None:
        self._register(self._loop.add_reader, self._readable)
        self._watching = True

    def _watch_on(self) -> None:
        if self._watching and self._waiter is not None and not self._waiter.done():
            self._watch()

    def _register(self, add: Callable[..., None], callback: Callable[[], None]) -> None:
        try:
            add(self._descriptor, callback)
        except RuntimeError:
            # What uvloop stopped stands in the way until it is taken out.
            self._loop.remove_reader(self._descriptor)
            add(self._descriptor, callback)

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            self._loop.remove_reader(self._descriptor)

    def _readable(self) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done() or self._take is None:
            self._unwatch()
            return
        try:
            if self._take():
                self._awaited()
                waiter.set_result(True)
            elif self._may_stop:
                # If it stops, it does so behind this call.
                self._loop.call_soon(self._watch_on)
        except Exception as error:  # noqa: BLE001 - raised again by whoever waits
            self._awaited()
            waiter.set_exception(error)

    def _writable(self) -> None:
        # A socket that takes octets is reported anew in each round.
        self._loop.remove_writer(self._descriptor)
        if self._writing and (waiter := self._awaited()):
            waiter.set_result(False)

    def _look(self) -> None:
        """Is the deadline over?"""
        if self._waiter is None or self._waiter.done():
            return
        if time.monotonic() < self._deadline:
            self._alarm.by(self._deadline)
        elif waiter := self._awaited():
            waiter.set_exception(TimeoutError())
