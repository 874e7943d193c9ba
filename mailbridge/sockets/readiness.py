"""Whether a socket is ready, now or within some seconds."""

from __future__ import annotations

import math
import select
import selectors
import socket
from collections.abc import Sequence


def ready(sock: socket.socket, seconds: float, *, read: bool, write: bool) -> tuple[bool, bool]:
    """Whether it is ready at all, and whether something can be read. `select` is asked anew: gevent may patch it."""
    if not hasattr(select, "poll"):  # Windows
        readable, writable, _ = select.select([sock] if read else [], [sock] if write else [], [], seconds)
        return bool(readable or writable), bool(readable)
    poll = select.poll()
    poll.register(sock, (select.POLLIN if read else 0) | (select.POLLOUT if write else 0))
    # Rounded up: a wait that ends before its deadline would only begin again.
    events = poll.poll(math.ceil(seconds * 1000))
    return bool(events), any(event & ~select.POLLOUT for _, event in events)


def has_news(sock: socket.socket) -> bool:
    """Something can be read right now: octets, or the end of the stream."""
    return ready(sock, 0, read=True, write=False)[1]


def first_ready(waits: Sequence[tuple[socket.socket, bool]], seconds: float) -> list[tuple[bool, bool]]:
    """Wait until one of several sockets is ready, and for the others no longer.

    Args:
        waits: Each socket, and whether writing to it is waited for too; reading always is.
        seconds: The longest wait.

    Returns:
        For each of them whether it is ready at all, and whether something can be read.
    """
    with selectors.DefaultSelector() as selector:
        for sock, write in waits:
            selector.register(sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if write else 0))
        events = {key.fileobj: event for key, event in selector.select(max(seconds, 0))}
    return [(sock in events, bool(events.get(sock, 0) & selectors.EVENT_READ)) for sock, _ in waits]
