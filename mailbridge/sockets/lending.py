"""Lending channels: the Ledger decides under the lock, everything else happens outside it. A driver adds what waits."""

from __future__ import annotations

import random
import threading
import time
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from ..errors import SMTPException, SMTPPoolClosed, SMTPPoolError, SMTPPoolTimeout
from ..facts import Endpoint, Phase
from ..pooling import Claim, Lease, Ledger
from ..server import Server
from .clerk import Clerk
from .keeper import Acquaintance, Keeper
from .pooled import PoolSettings, Stats, Tally

E = TypeVar("E", bound=SMTPPoolError)
K = TypeVar("K", bound=Keeper[Any])


class Bell(Protocol):
    """An event of the driver's."""

    def set(self) -> None:
        """Wake whoever waits for it."""


class Lending(Clerk, Generic[K]):
    """Keeps channels to one server and lends each to one user at a time.

    Attributes:
        settings: How it behaves.
    """

    _quiet: Bell

    def __init__(self, server: Server, settings: PoolSettings) -> None:
        super().__init__(server, log_receipts=settings.log_receipts)
        self.settings = settings
        self._keeping, self._closed, self._prepared = True, False, False
        self._begin()

    def _begin(self) -> None:
        """Nothing is open, and the lock is free."""
        # A signal handler or a finalizer may send mail in the middle of a decision of its own thread.
        self._lock = threading.RLock()
        self._ledger: Ledger[K] = Ledger(self.settings, random.random)
        self._acquaintance = Acquaintance()
        self._tally = Tally()
        self._quiet = self._bell()

    @abstractmethod
    def _bell(self) -> Bell:
        """Make an event."""

    @abstractmethod
    def _channel(self) -> K:
        """Make a channel that is not connected yet."""

    # Leases, for whoever sends over them.

    def claim_if_free(self) -> Lease[K] | None:
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

    def give_back(self, lease: Lease[K]) -> None:
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

    # How it ends.

    def stats(self) -> Stats:
        """What it has now, and what it did so far in this process."""
        with self._lock:
            return self._tally.stats(self._ledger)

    @property
    def closed(self) -> bool:
        """It takes no more messages."""
        return self._closed

    @property
    def waiting(self) -> int:
        """How many wait for a connection."""
        return self._ledger.waiting

    def retire(self) -> None:
        """Keep no connection any more: who still sends by this pool gets one for each message."""
        _leave(self._let_go())

    def _let_go(self) -> list[K]:
        with self._lock:
            self._keeping = False
            return self._ledger.dismiss()

    def _lock_up(self) -> list[K]:
        """Take nothing more; give what is idle."""
        with self._lock:
            self._closed, self._keeping = True, False
            idle = self._ledger.dismiss()
            self._ledger.rouse()
        return idle

    def disown(self) -> None:
        """These connections belong to somebody else now: close their descriptors without a word, and begin anew."""
        inherited, learned = self._ledger.things, self._acquaintance
        self._begin()
        self._acquaintance.rcpt_first = learned.rcpt_first
        for channel in inherited:
            channel.forget()

    # What drivers are made of.

    def _asked(self, now: float) -> Claim[K]:
        """Take a place in the queue."""
        with self._lock:
            if self._closed:
                raise self._shut()
            claim = self._ledger.claim(now)
            expired = self._ledger.expired(now)
        _leave(expired)
        return claim

    def _asked_again(self, lease: Lease[K], now: float) -> Claim[K]:
        """Give up what the server turned away, and stay at the head of the queue: it was this one's turn already."""
        channel = channel_of(lease)
        channel.leave()
        with self._lock:
            self._tally.used(channel, lease, now)
            self._ledger.shrink(now)
            # It does not count any more, or a good connection would be closed for it.
            self._ledger.suspend(lease, now)
            claim = self._ledger.claim(now, first=True)
            self._ledger.give_back(lease, now, usable=False)
        return claim

    def _withdrawn(self, claim: Claim[K]) -> None:
        """Wait no longer."""
        with self._lock:
            self._ledger.cancel(claim, time.monotonic())
            self._settle()

    def _due(self, claim: Claim[K], deadline: float, why: SMTPException | None) -> float | None:
        """Seconds until a claim has to be looked at again; None where its turn has come.

        Raises:
            SMTPPoolTimeout: The deadline passed.
            SMTPPoolClosed: The pool is closed.
        """
        now = time.monotonic()
        with self._lock:
            self._ledger.tend(now)
            if claim.lease is not None:
                return None
            if not self._keeping and self._closed:
                raise self._shut()
            due = self._ledger.due(now)
        if now >= deadline:
            raise self._late(why) from why
        # Never below 0, whatever the sums of floats do: a lock takes -1 for ever.
        return max(min(due, deadline) - now, 0.0)

    def _taken(self, claim: Claim[K], begun: float) -> Lease[K]:
        """The lease of a claim whose turn has come."""
        with self._lock:
            self._tally.claiming += time.monotonic() - begun
        assert claim.lease is not None  # noqa: S101 - `_due` said so
        return self._furnished(claim.lease)

    def _furnished(self, lease: Lease[K]) -> Lease[K]:
        """A lease with a channel, which does not count while its user's token provider runs."""
        channel = lease.thing = lease.thing or self._channel()
        channel.aside = partial(self._aside, lease)
        return lease

    def _doubtful(self, lease: Lease[K]) -> bool:
        """It was idle for so long that it is asked whether it lives."""
        after = self.settings.probe_after
        return after is not None and lease.idle is not None and lease.idle >= after

    @contextmanager
    def _aside(self, lease: Lease[K]) -> Iterator[None]:
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


def channel_of(lease: Lease[K]) -> K:
    """What a lease of this module always holds, until it ends."""
    assert lease.thing is not None  # noqa: S101 - see `_furnished`
    return lease.thing


def _leave(channels: Iterable[Keeper[Any]]) -> None:
    """Close channels that nobody has any more, without waiting."""
    for channel in channels:
        channel.leave()
