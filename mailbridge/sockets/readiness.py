"""Whether a socket is ready, now or within some seconds."""

from __future__ import annotations

import math
import select
import selectors
import socket
from collections.abc import Sequence
from typing import Final

from .signals import hear

# Windows has neither.
_IN: Final[int] = getattr(select, "POLLIN", 1)
_OUT: Final[int] = getattr(select, "POLLOUT", 4)


class Lookout:
    """One socket, and whether it is ready. Kept beside it: to set out what to ask for takes longer than to ask."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        # Windows has none. It is asked for here and now: gevent may have patched it.
        self._poll = select.poll() if hasattr(select, "poll") else None
        self._asked = 0

    def ready(self, seconds: float, *, read: bool, write: bool) -> tuple[bool, bool]:
        """Whether it is ready at all within so many seconds, and whether something can be read."""
        if self._poll is None:
            found = select.select([self.sock] if read else [], [self.sock] if write else [], [], seconds)
            readable, writable, _ = found
            return bool(readable or writable), bool(readable)
        asked = (_IN if read else 0) | (_OUT if write else 0)
        if asked != self._asked:
            self._poll.register(self.sock, asked)
            self._asked = asked
        hear()
        # Rounded up: a wait that ends before its deadline would only begin again.
        events = self._poll.poll(math.ceil(seconds * 1000))
        return bool(events), bool(events) and events[0][1] != _OUT

    def has_news(self) -> bool:
        """Something can be read right now: octets, or the end of the stream."""
        return self.ready(0, read=True, write=False)[1]


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
