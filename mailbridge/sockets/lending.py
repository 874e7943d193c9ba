"""Lending channels: the desk decides under its lock, everything else happens outside it. A driver adds what waits."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ..errors import SMTPException, SMTPPoolClosed, SMTPPoolError, SMTPPoolTimeout
from ..facts import Endpoint, Phase
from ..pooling import Claim, Lease
from ..server import Server
from .clerk import Clerk
from .desk import Bell, Desk
from .keeper import Acquaintance, Keeper
from .pooled import PoolSettings, Stats

E = TypeVar("E", bound=SMTPPoolError)
K = TypeVar("K", bound=Keeper[Any])


class Lending(Clerk, Generic[K]):
    """Keeps channels to one server and lends each to one user at a time.

    Attributes:
        settings: How it behaves.
    """

    _quiet: Bell

    def __init__(self, server: Server, settings: PoolSettings) -> None:
        super().__init__(server, log_receipts=settings.log_receipts)
        self.settings = settings
        self._prepared = False
        self._begin()

    def _begin(self, *, keeping: bool = True, closed: bool = False) -> None:
        """Nothing is open, and the lock is free."""
        self._acquaintance = Acquaintance()
        self._quiet = self._bell()
        self._desk: Desk[K] = Desk(self.settings, self._maker(), self._quiet, keeping=keeping, closed=closed)

    @abstractmethod
    def _bell(self) -> Bell:
        """Make an event."""

    @abstractmethod
    def _maker(self) -> Callable[[], K]:
        """What makes a channel that is not connected yet. It holds no pool: that ends with its last user."""

    # Leases, for whoever sends over them.

    def claim_if_free(self) -> Lease[K] | None:
        """A channel, if there is one for which nobody has to wait."""
        return self._desk.ask_if_free(time.monotonic())

    def give_back(self, lease: Lease[K]) -> None:
        """End a lease. What is not fit for another message is closed here."""
        if notes := self._desk.give_back(lease):
            self._say_all(notes)

    # How it ends.

    def stats(self) -> Stats:
        """What it has now, and what it did so far in this process."""
        return self._desk.stats()

    @property
    def closed(self) -> bool:
        """It takes no more messages."""
        return self._desk.closed

    @property
    def waiting(self) -> int:
        """How many wait for a connection."""
        return self._desk.ledger.waiting

    def retire(self) -> None:
        """Keep no connection any more: who still sends by this pool gets one for each message."""
        for channel in self._desk.let_go():
            channel.leave()

    def disown(self) -> None:
        """These connections belong to somebody else now: close their descriptors without a word, and begin anew."""
        desk, learned = self._desk, self._acquaintance
        self._begin(keeping=desk.keeping, closed=desk.closed)
        self._acquaintance.rcpt_first = learned.rcpt_first
        for channel in desk.ledger.things:
            channel.forget()

    # What drivers are made of.

    def _due(self, claim: Claim[K], deadline: float, why: SMTPException | None) -> float | None:
        """Seconds until a claim has to be looked at again; None where its turn has come.

        Raises:
            SMTPPoolTimeout: The deadline passed.
            SMTPPoolClosed: The pool is closed.
        """
        now = time.monotonic()
        due = self._desk.turn(claim, now)
        if claim.lease is not None:
            return None
        if due is None:
            raise self._shut()
        if now >= deadline:
            raise self._late(why) from why
        # Never below 0, whatever the sums of floats do: a lock takes -1 for ever.
        return max(min(due, deadline) - now, 0.0)

    def _doubtful(self, lease: Lease[K]) -> bool:
        """It was idle for so long that it is asked whether it lives."""
        after = self.settings.probe_after
        return after is not None and lease.idle is not None and lease.idle >= after

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
