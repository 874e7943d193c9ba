"""Waiting for a socket until a deadline."""

from __future__ import annotations

import time

from ..sockets.readiness import Lookout


def wait(lookout: Lookout, deadline: float, *, read: bool = False, write: bool = False) -> bool:
    """Wait until a socket is ready.

    Args:
        lookout: What tells that it is.
        deadline: The moment to give up, on the monotonic clock.
        read: Wait until something can be read.
        write: Wait until something can be written.

    Returns:
        Whether something can be read.

    Raises:
        TimeoutError: The deadline passed.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    is_ready, readable = lookout.ready(left, read=read, write=write)
    if not is_ready:
        raise TimeoutError
    return readable
