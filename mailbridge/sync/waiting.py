"""Waiting for a socket, and not for ever."""

from __future__ import annotations

from ..sockets.readiness import Lookout


def wait(lookout: Lookout, seconds: float, *, read: bool = False, write: bool = False) -> bool:
    """Wait until a socket is ready.

    Args:
        lookout: What tells that it is.
        seconds: The longest wait.
        read: Wait until something can be read.
        write: Wait until something can be written.

    Returns:
        Whether something can be read.

    Raises:
        TimeoutError: It was too long.
    """
    if seconds <= 0:
        raise TimeoutError
    is_ready, readable = lookout.ready(seconds, read=read, write=write)
    if not is_ready:
        raise TimeoutError
    return readable
