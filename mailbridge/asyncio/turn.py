"""Whose turn it is: tasks that share one connection use it one after the other."""

from __future__ import annotations

import asyncio
from collections import deque

Place = asyncio.Future[None]


class Turn:
    """Whose turn it is, in whichever loop runs: a lock belongs to the loop that it was made in."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock: Lock | None = None

    @property
    def lock(self) -> Lock:
        """The lock of the loop that runs now."""
        loop = asyncio.get_running_loop()
        if self._lock is None or loop is not self._loop:
            self._loop, self._lock = loop, Lock(loop)
        return self._lock


class Lock:
    """Has one owner at a time, and after it whoever waits longest.

    Where it is free, taking it costs no coroutine; `asyncio.Lock` makes three each time.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._taken = False
        self._waiting: deque[Place] = deque()

    def take(self) -> Place | None:
        """Take it, or line up.

        Returns:
            A place to wait for; None where it is the caller's at once. In either case it is to be released.
        """
        if not self._taken:
            self._taken = True
            return None
        place = self._loop.create_future()
        self._waiting.append(place)
        return place

    async def wait(self, place: Place) -> None:
        """Wait for a place."""
        try:
            await place
        except BaseException:
            if place.cancelled():
                # `release` may have passed over it already.
                if place in self._waiting:
                    self._waiting.remove(place)
            else:
                # The turn had come, and its owner was cancelled before it knew.
                self.release()
            raise

    def release(self) -> None:
        """Give it to whoever waits longest."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._taken = False

    async def __aenter__(self) -> None:
        if (place := self.take()) is not None:
            await self.wait(place)

    async def __aexit__(self, *_: object) -> None:
        self.release()
