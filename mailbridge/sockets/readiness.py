"""Whether a socket is ready, now or within some seconds."""

from __future__ import annotations

import math
import select
import socket


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
