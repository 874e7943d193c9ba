"""One pool of connections for each configuration, for the whole process and for all backend objects."""

from __future__ import annotations

import threading
import weakref
from dataclasses import asdict
from typing import Any

from django.core.signals import setting_changed

from mailbridge import Pool, Pools
from mailbridge.asyncio import Pool as AsyncPool

# `mailers[alias]` makes a new backend at each access, so a backend is no place for connections.
pools = Pools(max_pools=32)

_companions: weakref.WeakKeyDictionary[Pool, AsyncPool] = weakref.WeakKeyDictionary()
_lock = threading.RLock()


def companion(pool: Pool) -> AsyncPool:
    """The pool for asyncio of the same configuration. It keeps its connections as long as the other one is there."""
    with _lock:
        found = _companions.get(pool)
        if found is None:
            found = _companions[pool] = AsyncPool(pool.server, **asdict(pool.settings))
            weakref.finalize(pool, found.retire).atexit = False
        return found


def _forget(*, setting: str, **_: Any) -> None:
    """Settings change in tests: what was connected by the old ones is let go."""
    if setting in {"MAILERS", "MAILBRIDGE"} or setting.startswith("EMAIL_"):
        pools.clear()


setting_changed.connect(_forget)
