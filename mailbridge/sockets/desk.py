"""Where channels are lent and taken back: whatever is decided under a pool's lock, and nothing else."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Generic, Protocol, Self, TypeVar

from ..limits import Limits
from ..pooling import Claim, Lease, Ledger
from .keeper import Keeper
from .pooled import Stats
from .tally import Tally

K = TypeVar("K", bound=Keeper[Any])


class Bell(Protocol):
    """An event of the driver's."""

    def set(self) -> None:
        """Wake whoever waits for it."""


class Desk(Generic[K]):
    """The Ledger behind a lock, and what is counted of it. What nobody has any more it closes outside the lock.

    Attributes:
        ledger: Who has which channel.
        lock: Held for each decision.
        keeping: What comes back may serve again.
        closed: It takes no more claims.
    """

    def __init__(
        self,
        limits: Limits,
        make: Callable[[], K],
        quiet: Bell,
        *,
        keeping: bool = True,
        closed: bool = False,
    ) -> None:
        """Begin with nothing open.

        Args:
            limits: What to keep to.
            make: Makes a channel that is not connected yet.
            quiet: Rung when nothing is under way at a desk that is closed.
            keeping: See above.
            closed: See above.
        """
        # A signal handler or a finalizer may send mail in the middle of a decision of its own thread.
        self.lock = threading.RLock()
        self.ledger: Ledger[K] = Ledger(limits, random.random)
        self.keeping, self.closed = keeping, closed
        self._make, self._quiet, self._tally = make, quiet, Tally()

    # For users.

    def ask(self, now: float) -> Lease[K] | Claim[K] | None:
        """A channel, or a place in the queue; nothing where the desk is closed."""
        with self.lock:
            if self.closed:
                return None
            claim = self.ledger.claim(now)
            # Later another thread may grant it.
            lease = claim.lease
            expired = self.ledger.expired(now)
        _leave(expired)
        return claim if lease is None else self._furnished(lease)

    def ask_if_free(self, now: float) -> Lease[K] | None:
        """A channel, if there is one for which nobody has to wait."""
        with self.lock:
            if self.closed:
                return None
            claim = self.ledger.claim(now)
            if claim.lease is None:
                self.ledger.cancel(claim, now)
            expired = self.ledger.expired(now)
        _leave(expired)
        return None if claim.lease is None else self._furnished(claim.lease)

    def ask_again(self, lease: Lease[K], now: float) -> Claim[K]:
        """Give up what the server turned away, and stay at the head of the queue: it was this one's turn already."""
        channel = channel_of(lease)
        channel.leave()
        with self.lock:
            self._tally.used(channel, lease, now)
            self.ledger.shrink(now)
            # It does not count any more, or a good connection would be closed for it.
            self.ledger.suspend(lease, now)
            claim = self.ledger.claim(now, first=True)
            self.ledger.give_back(lease, now, usable=False)
        return claim

    def turn(self, claim: Claim[K], now: float) -> float | None:
        """The moment by which a claim has to be looked at again; none where its turn has come, or never will."""
        with self.lock:
            self.ledger.tend(now)
            if claim.lease is not None or self.over:
                return None
            return self.ledger.due(now)

    @property
    def over(self) -> bool:
        """Whoever waits here waits in vain."""
        return self.closed and not self.keeping

    def served(self, claim: Claim[K], seconds: float) -> Lease[K]:
        """The channel of a claim whose turn came after so long."""
        with self.lock:
            self._tally.claiming += seconds
        assert claim.lease is not None  # noqa: S101 - its turn came
        return self._furnished(claim.lease)

    def withdraw(self, claim: Claim[K], now: float) -> None:
        """Wait no longer."""
        with self.lock:
            self.ledger.cancel(claim, now)
            self._settle()

    def suspend(self, lease: Lease[K]) -> None:
        """Its user does something that may need a place of its own."""
        with self.lock:
            self.ledger.suspend(lease, time.monotonic())

    def resume(self, lease: Lease[K]) -> None:
        """That is done."""
        with self.lock:
            self.ledger.resume(lease)

    def give_back(self, lease: Lease[K]) -> list[tuple[int, str]]:
        """End a lease, and give what there is to say of it. What is not fit for another message is closed here."""
        now, channel = time.monotonic(), channel_of(lease)
        notes = channel.take_notes()
        usable = self.keeping and not _worn(channel, lease, now)
        if not usable:
            # Before somebody else opens one in its place: the server counts too.
            channel.leave()
        with self.lock:
            self._tally.used(channel, lease, now)
            self.ledger.give_back(lease, now, usable=usable)
            expired = self.ledger.expired(now)
            if not self.keeping:
                # `close` may have come in between.
                expired += self.ledger.dismiss()
            self._settle()
        _leave(expired)
        return notes

    # For the owner.

    def stats(self) -> Stats:
        """What there is now, and what was so far in this process."""
        with self.lock:
            return self._tally.stats(self.ledger)

    def let_go(self) -> list[K]:
        """Keep nothing any more; give what is idle."""
        with self.lock:
            self.keeping = False
            return self.ledger.dismiss()

    def lock_up(self) -> list[K]:
        """Take nothing more either."""
        with self.lock:
            self.closed, self.keeping = True, False
            idle = self.ledger.dismiss()
            self.ledger.rouse()
        return idle

    def take_no_more(self) -> None:
        """Close the desk to new claims; the bell rings when those under way have come to their end."""
        with self.lock:
            self.closed = True
            self._settle()

    def _furnished(self, lease: Lease[K]) -> Lease[K]:
        """A lease with a channel, which does not count while its user's token provider runs."""
        channel = lease.thing
        if channel is None:
            channel = lease.thing = self._make()
        channel.aside = Aside(self, lease)
        return lease

    def _settle(self) -> None:
        if self.closed and not self.ledger.out and not self.ledger.waiting:
            self._quiet.set()


class Aside:
    """Goes round what the user of a lease does besides, and what may need a place of its own."""

    def __init__(self, desk: Desk[Any], lease: Lease[Any]) -> None:
        self._desk, self._lease = desk, lease

    def __call__(self) -> Self:
        """Begin; the place counts again behind the block."""
        return self

    def __enter__(self) -> None:
        self._desk.suspend(self._lease)

    def __exit__(self, *error: object) -> None:
        self._desk.resume(self._lease)


def channel_of(lease: Lease[K]) -> K:
    """What a lease of a desk always holds, until it ends."""
    assert lease.thing is not None  # noqa: S101 - see `_furnished`
    return lease.thing


def _worn(keeper: Keeper[Any], lease: Lease[Any], now: float) -> bool:
    """What stands in a lease serves nobody any more: it died, or has done enough."""
    connection = keeper.connection
    if connection is None or not keeper.connected:
        return True
    lease.born = connection.born
    return connection.protocol.full or lease.too_old(now)


def _leave(channels: Iterable[Keeper[Any]]) -> None:
    """Close channels that nobody has any more, without waiting."""
    for channel in channels:
        channel.leave()
