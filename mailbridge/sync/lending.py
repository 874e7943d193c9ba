"""Lending channels to threads: the Ledger decides under the lock, everything else happens outside it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from .. import commands
from ..conversations import ask
from ..errors import SMTPException, SMTPPoolClosed, SMTPPoolError, SMTPPoolTimeout
from ..facts import Endpoint, Phase
from ..pooling import Claim, Lease, Ledger
from ..server import Security, Server
from ..sockets.clerk import Clerk
from ..sockets.keeper import Acquaintance
from ..sockets.pooled import PoolSettings, Stats, Tally
from ..tls import context_for
from .channel import Channel
from .processes import LAST_WORDS

E = TypeVar("E", bound=SMTPPoolError)


class Lender(Clerk):
    """Keeps channels to one server and lends each to one user at a time.

    Attributes:
        settings: How it behaves.
    """

    def __init__(self, server: Server, settings: PoolSettings) -> None:
        super().__init__(server, log_receipts=settings.log_receipts)
        self.settings = settings
        self._keeping, self._closed, self._prepared = True, False, False
        self._begin()

    def _begin(self) -> None:
        """Nothing is open, and the lock is free."""
        # A signal handler or a finalizer may send mail in the middle of a decision of its own thread.
        self._lock = threading.RLock()
        self._ledger: Ledger[Channel] = Ledger(self.settings, random.random)
        self._acquaintance = Acquaintance()
        self._tally = Tally()
        self._quiet = threading.Event()

    # Leases, for whoever sends over them.

    def claim(self, deadline: float) -> Lease[Channel]:
        """Wait for a channel; `give_back` it. It may have to connect yet.

        Args:
            deadline: The moment to give up, on the monotonic clock; `claim_timeout` may come earlier.

        Raises:
            SMTPPoolTimeout: None came free in time.
            SMTPPoolClosed: The pool is closed.
            SMTPInputError: A certificate of the configuration cannot be read.
        """
        if not self._prepared and self.server.security is not Security.NONE:
            # It costs 15 ms of CPU once, for which nobody else has to wait.
            context_for(self.server)
            self._prepared = True
        return self._claim(min(deadline, time.monotonic() + self.settings.claim_timeout))

    def claim_if_free(self) -> Lease[Channel] | None:
        """A channel, if there is one for which nobody has to wait."""
        now = time.monotonic()
        with self._lock:
            if self._closed:
                return None
            claim = self._ledger.claim(now)
            if claim.lease is None:
                self._ledger.cancel(claim, now)
            expired = self._ledger.expired(now)
        _leave(expired)
        return self._furnished(claim.lease) if claim.lease else None

    def give_back(self, lease: Lease[Channel]) -> None:
        """End a lease. What is not fit for another message is closed here."""
        now, channel = time.monotonic(), channel_of(lease)
        notes = channel.take_notes()
        usable = self._keeping and not self.settings.worn(channel, lease, now)
        if not usable:
            # Before somebody else opens one in its place: the server counts too.
            channel.leave()
        with self._lock:
            self._tally.used(channel, lease, now)
            self._ledger.give_back(lease, now, usable=usable)
            expired = self._ledger.expired(now)
            # `close` may have come in between.
            expired += [] if self._keeping else self._ledger.dismiss()
            self._settle()
        _leave(expired)
        self._say_all(notes)

    def try_again(self, lease: Lease[Channel], deadline: float, error: SMTPException) -> Lease[Channel]:
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
        channel.leave()
        with self._lock:
            self._tally.used(channel, lease, now)
            self._ledger.shrink(now)
            # It was this one's turn already, so it stays in front.
            claim = self._ledger.claim(now, first=True)
            self._ledger.give_back(lease, now, usable=False)
        notes = channel.take_notes()
        try:
            lease = self._granted(claim, now, deadline, error)
        except SMTPException:
            self._say_all(notes)
            raise
        # They are said when no lease is held.
        channel_of(lease).notes[:0] = notes
        return lease

    # How it ends.

    def stats(self) -> Stats:
        """What it has now, and what it did so far in this process."""
        with self._lock:
            return self._tally.stats(self._ledger)

    @property
    def waiting(self) -> int:
        """How many wait for a connection."""
        return self._ledger.waiting

    def drain(self, timeout: float) -> bool:
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
        done = self._quiet.wait(timeout)
        self.close(max(min(deadline - time.monotonic(), LAST_WORDS), 0.0) if done else 0.0)
        return done

    def close(self, timeout: float = LAST_WORDS) -> None:
        """Close what is idle now, and what is in use as soon as it comes back. Nothing more is taken.

        Args:
            timeout: Seconds to wait for the answers to QUIT, all together.
        """
        with self._lock:
            self._closed, self._keeping = True, False
            idle = self._ledger.dismiss()
            self._ledger.rouse()
        _close(idle, time.monotonic() + timeout)

    def retire(self) -> None:
        """Keep no connection any more: who still sends by this pool gets one for each message."""
        _leave(self._let_go())

    def _let_go(self) -> list[Channel]:
        with self._lock:
            self._keeping = False
            return self._ledger.dismiss()

    def after_fork(self) -> None:
        """In a forked child: close the descriptors of the parent's connections without a word, and begin anew."""
        inherited, learned = self._ledger.things, self._acquaintance
        self._begin()
        self._acquaintance.rcpt_first = learned.rcpt_first
        for channel in inherited:
            channel.forget()

    def at_exit(self, deadline: float) -> None:
        """The process ends: close what is idle. Mail may still be sent, by those who come after this."""
        _close(self._let_go(), deadline)

    # How it claims.

    def _claim(self, deadline: float) -> Lease[Channel]:
        now = time.monotonic()
        with self._lock:
            if self._closed:
                raise self._shut()
            claim = self._ledger.claim(now)
            expired = self._ledger.expired(now)
        _leave(expired)
        return self._granted(claim, now, deadline)

    def _granted(
        self, claim: Claim[Channel], begun: float, deadline: float, why: SMTPException | None = None
    ) -> Lease[Channel]:
        """Wait for a claim's turn."""
        try:
            if claim.lease is None:
                self._wait(claim, deadline, why)
        except BaseException:
            with self._lock:
                self._ledger.cancel(claim, time.monotonic())
                self._settle()
            raise
        with self._lock:
            self._tally.claiming += time.monotonic() - begun
        lease = claim.lease
        assert lease is not None  # noqa: S101 - `_wait` saw to it
        self._furnished(lease)
        self._probe(lease, deadline)
        return lease

    def _wait(self, claim: Claim[Channel], deadline: float, why: SMTPException | None) -> None:
        woken = threading.Event()
        claim.wake = woken.set
        while True:
            woken.clear()
            now = time.monotonic()
            with self._lock:
                self._ledger.tend(now)
                if claim.lease is not None:
                    return
                if not self._keeping and self._closed:
                    raise self._shut()
                due = self._ledger.due(now)
            if now >= deadline:
                raise self._late(why) from why
            woken.wait(min(due, deadline) - now)

    def _furnished(self, lease: Lease[Channel]) -> Lease[Channel]:
        """A lease with a channel, which does not count while its user's token provider runs."""
        channel = lease.thing = lease.thing or Channel(
            self.server, self._acquaintance, max_messages=self.settings.max_messages
        )
        channel.aside = partial(self._aside, lease)
        return lease

    def _probe(self, lease: Lease[Channel], deadline: float) -> None:
        """Ask a connection that was idle for long whether it lives; one that does not is replaced at its next use."""
        if self.settings.probe_after is None or lease.idle is None or lease.idle < self.settings.probe_after:
            return
        channel = channel_of(lease)
        try:
            if channel.alive:
                channel.converse(lambda smtp: ask(smtp, commands.Noop()), deadline)
        except SMTPException:
            channel.abort()
        except BaseException:
            self.give_back(lease)
            raise

    @contextmanager
    def _aside(self, lease: Lease[Channel]) -> Iterator[None]:
        """Its user does something that may need a place of its own."""
        with self._lock:
            self._ledger.suspend(lease, time.monotonic())
        try:
            yield
        finally:
            with self._lock:
                self._ledger.resume(lease)

    def _settle(self) -> None:
        """Tell `drain` when nothing is under way. Called with the lock held."""
        if self._closed and not self._ledger.out and not self._ledger.waiting:
            self._quiet.set()

    def _shut(self) -> SMTPPoolClosed:
        return self._explained(SMTPPoolClosed("the pool is closed", phase=Phase.CONNECT))

    def _explained(self, error: E) -> E:
        error.server = Endpoint(self.server.name, None if self.server.path else self.server.port)
        return error

    def _late(self, why: SMTPException | None) -> SMTPPoolTimeout:
        """The error for a claim whose deadline passed."""
        seconds, most = self.settings.claim_timeout, self.settings.max_connections
        said = f"; {why.what()}" if why else ""
        return self._explained(
            SMTPPoolTimeout(
                f"none of {most} connections came free within {seconds:g} s{said}",
                phase=Phase.CONNECT,
                advice="Allow more (max_connections), or wait longer (claim_timeout)",
            )
        )


def channel_of(lease: Lease[Channel]) -> Channel:
    """What a lease of this module always holds, until it ends."""
    assert lease.thing is not None  # noqa: S101 - see `_furnished`
    return lease.thing


def _leave(channels: Iterable[Channel]) -> None:
    """Close channels that nobody has any more, without waiting."""
    for channel in channels:
        channel.leave()


def _close(channels: Iterable[Channel], deadline: float) -> None:
    """The same, and wait for the answers to QUIT until a deadline."""
    for channel in channels:
        if time.monotonic() < deadline:
            channel.close(deadline)
        channel.leave()
