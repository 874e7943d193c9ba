"""Who has which connection of a pool. Without a clock, a lock or I/O: a driver brings all three."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from .limits import Limits

T = TypeVar("T")

# The share of a lifetime that chance takes off, so that connections opened together do not end together.
JITTER = 0.1
# Seconds after which a pool whose server had too many connections tries one more than it had.
BACK_OFF = 10.0
# Seconds before the next attempt after such a refusal. They double with each one in a row, up to a bound.
PAUSE = 0.5
LONGEST_PAUSE = 8.0


class Lease(Generic[T]):
    """A place in the pool, lent to one user.

    Attributes:
        thing: What stands in it; None where the user has yet to put it there.
        born: When that was made.
        lifetime: Seconds that it may live.
        since: When the place was lent, or laid down.
        idle: Seconds for which that was idle before; None where nothing stood in it.
    """

    def __init__(self, thing: T | None, born: float, lifetime: float, since: float, idle: float | None = None) -> None:
        self.thing = thing
        self.born = born
        self.lifetime = lifetime
        self.since = since
        self.idle = idle

    def too_old(self, now: float) -> bool:
        """What stands in it has lived long enough."""
        return now - self.born >= self.lifetime


class Claim(Generic[T]):
    """A turn in the queue.

    Attributes:
        lease: The place, as soon as it is granted.
        wake: Called when there is news: it is granted, or `Ledger.due` says something else.
    """

    def __init__(self, lease: Lease[T] | None = None, wake: Callable[[], None] | None = None) -> None:
        self.lease = lease
        self.wake = wake


class Ledger(Generic[T]):
    """Lends places: last in, first out; to whoever waits longest.

    Every moment is in seconds on one clock of the caller's.
    """

    def __init__(self, limits: Limits, jitter: Callable[[], float] = lambda: 0.0) -> None:
        """Begin with nothing open.

        Args:
            limits: What to keep to.
            jitter: Gives a number from 0 to 1, by chance.
        """
        self.limits = limits
        self._jitter = jitter
        self._idle: list[Lease[T]] = []
        self._out: set[Lease[T]] = set()
        self._aside: set[Lease[T]] = set()
        self._queue: deque[Claim[T]] = deque()
        self._expired: list[T] = []
        self._ceiling = limits.max_connections
        self._shrunk = self._opens = -math.inf
        # Before this moment nothing that is idle has had its time.
        self._ripe = math.inf
        self._turned_away = 0

    # What can be asked of it.

    @property
    def open(self) -> int:
        """Places that are taken, idle ones included."""
        return len(self._idle) + self.out

    @property
    def idle(self) -> int:
        """Connections that wait for a user."""
        return len(self._idle)

    @property
    def out(self) -> int:
        """Places that are lent."""
        return len(self._out) + len(self._aside)

    @property
    def waiting(self) -> int:
        """Claims that wait."""
        return len(self._queue)

    @property
    def things(self) -> list[T]:
        """All that stands in a place, whoever has it."""
        return [lease.thing for lease in (*self._idle, *self._out, *self._aside) if lease.thing is not None]

    def ceiling(self, now: float) -> int:
        """Places that may be taken now: fewer than the limit where the server said so."""
        most = self.limits.max_connections
        if self._ceiling == most:
            return most
        return min(most, self._ceiling + int((now - self._shrunk) / BACK_OFF))

    def due(self, now: float) -> float:
        """When time alone may give a waiting claim its turn, so that `tend` is to be called."""
        if now < self._opens:
            return self._opens
        if self.ceiling(now) == self.limits.max_connections:
            return math.inf
        return self._shrunk + BACK_OFF * (int((now - self._shrunk) / BACK_OFF) + 1)

    # What users do.

    def claim(self, now: float, wake: Callable[[], None] | None = None, *, first: bool = False) -> Claim[T]:
        """Ask for a place; it is granted at once where there is one, and whoever waits longest gets the next.

        Args:
            now: The moment.
            wake: See `Claim`.
            first: Go to the head of the queue: it was this user's turn already.
        """
        claim: Claim[T] = Claim(None, wake)
        if first:
            self._queue.appendleft(claim)
        else:
            self._queue.append(claim)
        # Those who wait before it were offered all that there is.
        if self._queue[0] is claim:
            self.tend(now)
        return claim

    def cancel(self, claim: Claim[T], now: float) -> None:
        """Wait no longer. What was granted meanwhile goes back."""
        if claim in self._queue:
            self._queue.remove(claim)
        elif claim.lease is not None:
            self.give_back(claim.lease, now, usable=True)
        self.tend(now)

    def give_back(self, lease: Lease[T], now: float, *, usable: bool) -> None:
        """End a lease; the place goes to whoever waits longest.

        Args:
            lease: The lease; it is void from now on.
            now: The moment.
            usable: What stands in it may serve somebody else. The user closes it where it may not.
        """
        known = lease in self._out or lease in self._aside
        self._out.discard(lease)
        self._aside.discard(lease)
        thing, lease.thing = lease.thing, None
        if usable and thing is not None:
            self._turned_away = 0
            # A lease of before a fork is nobody's any more.
            if known:
                self._idle.append(Lease(thing, lease.born, lease.lifetime, now))
                self._ripe = min(self._ripe, self._end(self._idle[-1]))
            else:
                self._expired.append(thing)
        self.tend(now)

    def suspend(self, lease: Lease[T], now: float) -> None:
        """Count a place no longer while its user does something else, which may need a place of its own."""
        if lease in self._out:
            self._out.remove(lease)
            self._aside.add(lease)
            self.tend(now)

    def resume(self, lease: Lease[T]) -> None:
        """Count it again. Where its place was taken meanwhile, one goes as soon as it is idle."""
        if lease in self._aside:
            self._aside.remove(lease)
            self._out.add(lease)

    def shrink(self, now: float) -> None:
        """The server said that it has too many connections: the one that was just tried is one too many."""
        self._ceiling = max(1, min(self.ceiling(now), self._taken) - 1)
        self._shrunk, self._opens = now, now + min(PAUSE * 2**self._turned_away, LONGEST_PAUSE)
        self._turned_away += 1
        # Time matters from now on, which it did not when they began to wait.
        self.rouse()

    def rouse(self) -> None:
        """Tell those who wait that there is news."""
        for claim in self._queue:
            if claim.wake is not None:
                claim.wake()

    def tend(self, now: float) -> None:
        """Give those who wait what can be had now."""
        self._weed(now)
        while self._queue and (lease := self._free(now)):
            claim = self._queue.popleft()
            claim.lease = lease
            self._out.add(lease)
            if claim.wake is not None:
                claim.wake()

    def expired(self, now: float) -> list[T]:
        """Hand out what was idle too long, is too old or has no place any more; the caller closes it."""
        self._weed(now)
        found, self._expired = self._expired, []
        return found

    def dismiss(self) -> list[T]:
        """Hand out all that is idle or expired; the caller closes it."""
        found = [*self._expired, *(lease.thing for lease in self._idle if lease.thing is not None)]
        self._expired, self._idle = [], []
        return found

    # How it decides.

    @property
    def _taken(self) -> int:
        """The places that count."""
        return len(self._idle) + len(self._out)

    def _weed(self, now: float) -> None:
        """Take out what may not be lent any more."""
        if not self._idle or (now < self._ripe and self._taken <= self.ceiling(now)):
            return
        kept = [lease for lease in self._idle if now < self._end(lease)]
        spare = min(max(len(kept) + len(self._out) - self.ceiling(now), 0), len(kept))
        # Those that were idle longest go first.
        stays = kept[spare:]
        self._expired += [lease.thing for lease in self._idle if lease not in stays and lease.thing is not None]
        self._idle = stays
        self._ripe = min(map(self._end, stays), default=math.inf)

    def _end(self, lease: Lease[T]) -> float:
        """When an idle connection has had its time."""
        return min(lease.since + self.limits.max_idle, lease.born + lease.lifetime)

    def _free(self, now: float) -> Lease[T] | None:
        """A place that can be lent: what became idle last, or an empty one."""
        if self._idle:
            found = self._idle.pop()
            found.idle, found.since = now - found.since, now
            return found
        if now < self._opens or len(self._out) >= self.ceiling(now):
            return None
        lifetime = self.limits.max_age * (1 - JITTER * self._jitter())
        return Lease(None, now, lifetime, now)
