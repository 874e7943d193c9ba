"""What a pool counts."""

from __future__ import annotations

from typing import Any

from ..pooling import Lease, Ledger
from .keeper import Keeper
from .pooled import Stats


class Tally:
    """Counts for `Stats`. Whoever changes it holds the pool's lock.

    Attributes:
        claiming: See `Stats`.
    """

    def __init__(self) -> None:
        self.claiming = 0.0
        self._opened = self._reused = self._stale = self._carried = 0
        self._connecting = self._sending = 0.0

    def used(self, keeper: Keeper[Any], lease: Lease[Any], now: float) -> None:
        """A lease ends: take over what its channel counted."""
        self._opened += keeper.opened
        self._carried += keeper.carried
        self._connecting += keeper.connecting
        self._sending += max(now - lease.since - keeper.connecting, 0.0)
        if lease.idle is not None:
            self._stale += bool(keeper.opened)
            self._reused += not keeper.opened
        keeper.opened = keeper.carried = 0
        keeper.connecting = 0.0

    def stats(self, ledger: Ledger[Any]) -> Stats:
        """All of it, with what is so now."""
        return Stats(
            ledger.open,
            ledger.idle,
            ledger.waiting,
            self._opened,
            self._reused,
            self._stale,
            max(self._carried - self._opened, 0),
            self.claiming,
            self._connecting,
            self._sending,
        )
