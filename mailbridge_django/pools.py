"""One pool of connections for each configuration, for the whole process and for all backend objects."""

from __future__ import annotations

from typing import Any

from django.core.signals import setting_changed

from mailbridge import Pools

# `mailers[alias]` makes a new backend at each access, so a backend is no place for connections.
pools = Pools(max_pools=32)


def _forget(*, setting: str, **_: Any) -> None:
    """Settings change in tests: what was connected by the old ones is let go."""
    if setting in {"MAILERS", "MAILBRIDGE"} or setting.startswith("EMAIL_"):
        pools.clear()


setting_changed.connect(_forget)
