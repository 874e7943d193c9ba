"""What becomes of pools where a process forks, and where it ends."""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from typing import Protocol

# Seconds for all goodbyes at the end of a process.
LAST_WORDS = 2.0


class Resident(Protocol):
    """What lives as long as its process."""

    def after_fork(self) -> None:
        """In the child: leave what is the parent's, begin anew."""

    def at_exit(self, deadline: float) -> None:
        """The process ends: close all that is idle, by this moment on the monotonic clock."""


_lock = threading.Lock()
_residents: weakref.WeakSet[Resident] = weakref.WeakSet()


def look_after(resident: Resident) -> None:
    """Tell it when the process forks or ends, for as long as somebody else keeps it."""
    with _lock:
        _residents.add(resident)


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - a thread that the child does not have may hold it
    _lock = threading.Lock()
    for resident in list(_residents):
        resident.after_fork()


def _at_exit() -> None:
    deadline = time.monotonic() + LAST_WORDS
    with _lock:
        residents = list(_residents)
    for resident in residents:
        resident.at_exit(deadline)


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
