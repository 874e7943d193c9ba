"""Pools by configuration, for whoever describes a server anew for each message, as frameworks do."""

from __future__ import annotations

import threading
import time
from typing import Unpack

from ..errors import SMTPInputError
from ..parameters import is_whole, shown
from ..server import Server
from ..sockets.pooled import PoolOptions, PoolSettings
from .pool import Pool
from .processes import LAST_WORDS, look_after


class Pools:
    """One pool for each configuration, made when it is asked for. For any number of threads."""

    def __init__(self, max_pools: int = 32) -> None:
        """Begin with none.

        Args:
            max_pools: How many to keep. Beyond that the one that nobody asked for longest keeps no connection
                any more; who has it can go on sending by it.

        Raises:
            SMTPInputError: It is not a number from 1.
        """
        if not is_whole(max_pools, 1):
            raise SMTPInputError(f"max_pools is a number from 1, not {shown(max_pools)}")
        self.max_pools = max_pools
        self._lock = threading.RLock()
        # In the order in which they were asked for last.
        self._pools: dict[tuple[Server, PoolSettings], Pool] = {}
        look_after(self)

    def __len__(self) -> int:
        return len(self._pools)

    def get(self, server: Server, **options: Unpack[PoolOptions]) -> Pool:
        """The pool for a configuration.

        Args:
            server: Where to send; any difference makes another pool, the password included.
            **options: Those of `Pool`.

        Raises:
            SMTPInputError: An option is wrong.
        """
        key = server, PoolSettings(**options)
        surplus = []
        with self._lock:
            pool = self._pools.pop(key, None)
            if pool is None or pool.closed:
                # One user's `with` may have closed what is everybody's.
                pool = Pool(server, **options)
            self._pools[key] = pool
            while len(self._pools) > self.max_pools:
                surplus.append(self._pools.pop(next(iter(self._pools))))
        for one in surplus:
            one.retire()
        return pool

    def close(self, timeout: float = LAST_WORDS) -> None:
        """Close all pools and forget them; later ones are new.

        Args:
            timeout: Seconds to wait for the answers to QUIT, all together.
        """
        deadline = time.monotonic() + timeout
        for pool in self._taken():
            pool.close(max(deadline - time.monotonic(), 0.0))

    def clear(self) -> None:
        """Forget all pools. They keep no connection any more; who has one can go on sending by it."""
        for pool in self._taken():
            pool.retire()

    def _taken(self) -> list[Pool]:
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        return pools

    def after_fork(self) -> None:
        """In a forked child: the lock may be held by a thread that is not there. The pools see to themselves."""
        self._lock = threading.RLock()

    def at_exit(self, deadline: float) -> None:
        """The process ends: the pools see to themselves."""
