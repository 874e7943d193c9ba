"""Lending channels to the tasks of one loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress

from .. import commands
from ..conversations import ask
from ..errors import SMTPException
from ..pooling import Claim, Lease
from ..server import Security
from ..sockets.lending import Lending, channel_of
from ..tls import context_for
from .channel import Channel

# Seconds for the answers to QUIT where a pool is closed, all together.
LAST_WORDS = 2.0


class Lender(Lending[Channel]):
    """Keeps channels to one server and lends each to one task at a time.

    Attributes:
        settings: How it behaves.
    """

    _quiet: asyncio.Event

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
        return await self._granted(self._asked(now), now, min(deadline, now + self.settings.claim_timeout))

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
        claim, notes = self._asked_again(lease, now), channel.take_notes()
        try:
            lease = await self._granted(claim, now, deadline, error)
        except SMTPException:
            self._say_all(notes)
            raise
        # They are said when no lease is held.
        channel_of(lease).notes[:0] = notes
        return lease

    async def drain(self, timeout: float) -> bool:  # noqa: ASYNC109 - it waits for others, and closes in the end
        """Take no more messages, wait for those under way, and close.

        Args:
            timeout: Seconds to wait for them.

        Returns:
            All came to their end in time.
        """
        deadline = time.monotonic() + timeout
        with self._lock:
            self._closed = True
            self._settle()
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
        await _close(self._lock_up(), time.monotonic() + timeout)

    # How it claims.

    async def _granted(
        self, claim: Claim[Channel], begun: float, deadline: float, why: SMTPException | None = None
    ) -> Lease[Channel]:
        """Wait for a claim's turn."""
        try:
            await self._wait(claim, deadline, why)
        except BaseException:
            self._withdrawn(claim)
            raise
        lease = self._taken(claim, begun)
        if self._doubtful(lease):
            await self._probe(lease, deadline)
        return lease

    @staticmethod
    def _bell() -> asyncio.Event:
        return asyncio.Event()

    def _channel(self) -> Channel:
        return Channel(self.server, self._acquaintance, max_messages=self.settings.max_messages)

    async def _wait(self, claim: Claim[Channel], deadline: float, why: SMTPException | None) -> None:
        if claim.lease is not None:
            return
        woken = asyncio.Event()
        claim.wake = woken.set
        while (seconds := self._due(claim, deadline, why)) is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await woken.wait()
            woken.clear()

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


async def _close(channels: Iterable[Channel], deadline: float) -> None:
    """Close channels that nobody has any more, and wait for the answers to QUIT until a deadline."""
    closing = list(channels)
    try:
        if time.monotonic() < deadline:
            await asyncio.gather(*(channel.close(deadline) for channel in closing))
    finally:
        for channel in closing:
            channel.leave()
