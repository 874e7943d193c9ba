"""Lending channels to the tasks of one loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from .. import commands
from ..conversations import ask
from ..errors import SMTPException
from ..pooling import Claim, Lease
from ..server import Security
from ..sockets.desk import channel_of
from ..sockets.lending import Lending
from ..tls import context_for
from .channel import Channel
from .waiting import Alarm

# Seconds for the answers to QUIT where a pool is closed, all together.
LAST_WORDS = 2.0


class Lender(Lending[Channel]):
    """Keeps channels to one server and lends each to one task at a time.

    Attributes:
        settings: How it behaves.
    """

    _quiet: asyncio.Event
    _alarm: Alarm

    async def claim(self, deadline: float) -> Lease[Channel]:
        """Wait for a channel; `give_back` it. It may have to connect yet.

        Args:
            deadline: The moment to give up, on the monotonic clock; `claim_timeout` may come earlier.

        Raises:
            SMTPPoolTimeout: None came free in time.
            SMTPPoolClosed: The pool is closed.
            SMTPInputError: A certificate of the configuration cannot be read.
        """
        if not self._prepared and self.server.security is not Security.NONE and self.server.ssl_context is None:
            # It costs 15 ms of CPU once, for which nobody else has to wait.
            await asyncio.to_thread(context_for, self.server)
            self._prepared = True
        now = time.monotonic()
        lease = self._desk.ask(now)
        if not isinstance(lease, Lease):
            lease = await self._granted(lease, now, min(deadline, now + self.settings.claim_timeout))
        if self._doubtful(lease):
            await self._probe(lease, deadline)
        return lease

    async def try_again(self, lease: Lease[Channel], deadline: float, error: SMTPException) -> Lease[Channel]:
        """The server has too many connections: give this place up, wait for another one.

        Args:
            lease: What the server turned away.
            deadline: The moment to give up, on the monotonic clock.
            error: What the server said.

        Raises:
            SMTPPoolTimeout: The deadline passed; its cause is what the server said.
            SMTPPoolClosed: The pool is closed.
        """
        now, channel = time.monotonic(), channel_of(lease)
        claim, notes = self._desk.ask_again(lease, now), channel.take_notes()
        try:
            lease = await self._granted(claim, now, deadline, error)
        except SMTPException:
            self._say_all(notes)
            raise
        # They are said when no lease is held.
        channel_of(lease).notes[:0] = notes
        if self._doubtful(lease):
            await self._probe(lease, deadline)
        return lease

    async def drain(self, timeout: float) -> bool:  # noqa: ASYNC109 - it waits for others, and closes in the end
        """Take no more messages, wait for those under way, and close.

        Args:
            timeout: Seconds to wait for them.

        Returns:
            All came to their end in time.
        """
        deadline = time.monotonic() + timeout
        self._desk.take_no_more()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._quiet.wait()
        done = self._quiet.is_set()
        await self.close(max(min(deadline - time.monotonic(), LAST_WORDS), 0.0) if done else 0.0)
        return done

    async def close(self, timeout: float = LAST_WORDS) -> None:  # noqa: ASYNC109 - for the goodbyes; it closes in any case
        """Close what is idle now, and what is in use as soon as it comes back. Nothing more is taken.

        Args:
            timeout: Seconds to wait for the answers to QUIT, all together.
        """
        await _close(self._desk.lock_up(), time.monotonic() + timeout)

    # How it claims.

    async def _granted(
        self, claim: Claim[Channel] | None, begun: float, deadline: float, why: SMTPException | None = None
    ) -> Lease[Channel]:
        """Wait for a claim's turn."""
        if claim is None:
            raise self._shut()
        try:
            while claim.lease is None and (seconds := self._due(claim, deadline, why)) is not None:
                woken = self._news_of(claim, time.monotonic() + seconds)
                try:
                    await woken
                finally:
                    self._heard(woken)
        except BaseException:
            self._desk.withdraw(claim, time.monotonic())
            raise
        return self._desk.served(claim, time.monotonic() - begun)

    def _begin(self, *, keeping: bool = True, closed: bool = False) -> None:
        super()._begin(keeping=keeping, closed=closed)
        self._waiting: dict[asyncio.Future[None], float] = {}

    @staticmethod
    def _bell() -> asyncio.Event:
        return asyncio.Event()

    def _maker(self) -> Callable[[], Channel]:
        return partial(Channel, self.server, self._acquaintance, max_messages=self.settings.max_messages)

    def _news_of(self, claim: Claim[Channel], due: float) -> asyncio.Future[None]:
        """What to await until there is news of a claim, or its moment has come; behind it comes `_heard`."""
        woken = asyncio.get_running_loop().create_future()
        claim.wake = partial(_wake, woken)
        if not self._waiting:
            self._alarm = Alarm(self._look)
        self._waiting[woken] = due
        self._alarm.by(due)
        return woken

    def _heard(self, woken: asyncio.Future[None]) -> None:
        """Nobody waits for it any more."""
        self._waiting.pop(woken, None)  # after a fork it is another one
        if not self._waiting:
            self._alarm.close()

    def _look(self) -> None:
        """Wake those whose moment has come."""
        now = time.monotonic()
        for woken, due in self._waiting.items():
            if due <= now:
                _wake(woken)
        if later := [due for due in self._waiting.values() if due > now]:
            self._alarm.by(min(later))

    async def _probe(self, lease: Lease[Channel], deadline: float) -> None:
        """Ask a connection that was idle for long whether it lives; one that does not is replaced at its next use."""
        channel = channel_of(lease)
        try:
            if channel.alive:
                await channel.converse(lambda smtp: ask(smtp, commands.Noop()), deadline)
        except SMTPException:
            channel.abort()
        except BaseException:
            self.give_back(lease)
            raise


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


async def _close(channels: Iterable[Channel], deadline: float) -> None:
    """Close channels that nobody has any more, and wait for the answers to QUIT until a deadline."""
    closing = list(channels)
    try:
        if time.monotonic() < deadline:
            await asyncio.gather(*(channel.close(deadline) for channel in closing))
    finally:
        for channel in closing:
            channel.leave()
