"""Waiting for a socket until a deadline."""

from __future__ import annotations

import socket
import time

from ..sockets.readiness import ready


def wait(sock: socket.socket, deadline: float, *, read: bool = False, write: bool = False) -> bool:
    """Wait until a socket is ready.

    Args:
        sock: A non-blocking socket.
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
    is_ready, readable = ready(sock, left, read=read, write=write)
    if not is_ready:
        raise TimeoutError
    return readable
