"""Waiting for a socket until a deadline."""

from __future__ import annotations

import select
import socket
import time


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
    if not hasattr(select, "poll"):  # Windows
        readable, writable, _ = select.select([sock] if read else [], [sock] if write else [], [], left)
        ready = bool(readable or writable)
        return _checked(ready, bool(readable))
    poll = select.poll()
    poll.register(sock, (select.POLLIN if read else 0) | (select.POLLOUT if write else 0))
    # Rounded up: a wait that ends before its deadline would only begin again.
    events = poll.poll(int(left * 1000) + 1)
    return _checked(bool(events), any(event & ~select.POLLOUT for _, event in events))


def _checked(ready: bool, readable: bool) -> bool:
    if not ready:
        raise TimeoutError
    return readable
