"""Waiting for a socket until a deadline."""

from __future__ import annotations

import math
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
    ready, readable = _ready(sock, left, read=read, write=write)
    if not ready:
        raise TimeoutError
    return readable


def has_news(sock: socket.socket) -> bool:
    """Something can be read right now: octets, or the end of the stream."""
    return _ready(sock, 0, read=True, write=False)[1]


def _ready(sock: socket.socket, seconds: float, *, read: bool, write: bool) -> tuple[bool, bool]:
    """Whether it is ready at all, and whether something can be read. `select` is asked anew: gevent may patch it."""
    if not hasattr(select, "poll"):  # Windows
        readable, writable, _ = select.select([sock] if read else [], [sock] if write else [], [], seconds)
        return bool(readable or writable), bool(readable)
    poll = select.poll()
    poll.register(sock, (select.POLLIN if read else 0) | (select.POLLOUT if write else 0))
    # Rounded up: a wait that ends before its deadline would only begin again.
    events = poll.poll(math.ceil(seconds * 1000))
    return bool(events), any(event & ~select.POLLOUT for _, event in events)
