"""A network and a clock in memory, behind the doors of the standard library, where gevent puts its own.

The drivers run as they are: they ask `socket` for a socket, `select` and `selectors` what is ready, and `time` what
time it is. Where nobody has anything to do, the clock jumps to the moment for which somebody waits.
"""

from __future__ import annotations

import select
import selectors
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any
from unittest import mock

from tests.faults.line import Line, Plug

# Above whatever the system gives out.
FIRST_DESCRIPTOR = 1_000_000


class Clock:
    """A clock that goes on when everybody waits, and only then."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """What stands in for `time.monotonic`."""
        return self.now


class StuckError(AssertionError):
    """Somebody waits for ever."""


class Network:
    """Who is connected, and what time it is.

    Attributes:
        clock: The clock.
        connect: Makes the next line; whoever plays a session sets it.
        plugs: The open sockets by descriptor.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.connect: Callable[[], Line] = _nobody
        self.plugs: dict[int, Plug] = {}
        self._next = FIRST_DESCRIPTOR
        self._doors = ExitStack()

    def socket(self, *kind: object, fileno: int | None = None) -> Plug:
        """What stands in for `socket.socket`."""
        self._next += 1
        plug = self.plugs[self._next] = Plug(self._next, self.connect, self._unplugged)
        return plug

    def _unplugged(self, descriptor: int) -> None:
        del self.plugs[descriptor]

    def wait(self, wanted: Mapping[int, int], seconds: float | None) -> list[tuple[int, int]]:
        """Wait for descriptors; the world goes on meanwhile.

        Args:
            wanted: What each waits for: `selectors.EVENT_READ`, `selectors.EVENT_WRITE`.
            seconds: For how long; None for ever.

        Raises:
            StuckError: For ever, and nothing comes.
        """
        if seconds != 0:
            for plug in list(self.plugs.values()):
                if plug.line is not None:
                    plug.line.carry()
        ready = self._ready(wanted)
        if not ready and seconds != 0:
            if seconds is None:
                raise StuckError("a wait without an end, and nobody left who could end it")
            self.clock.now += seconds
        return ready

    def _ready(self, wanted: Mapping[int, int]) -> list[tuple[int, int]]:
        found = []
        for descriptor, events in wanted.items():
            plug = self.plugs.get(descriptor)
            if plug is None or plug.line is None:
                continue
            readable = events & selectors.EVENT_READ if plug.line.readable else 0
            writable = events & selectors.EVENT_WRITE if plug.line.writable else 0
            if readable or writable:
                found.append((descriptor, readable | writable))
        return found

    def stand_in(self) -> None:
        """Take the place of the system's network and clock."""
        for module, name, double in (
            (time, "monotonic", self.clock.monotonic),
            (socket, "socket", self.socket),
            (socket, "getaddrinfo", _addresses),
            (select, "poll", partial(_Poll, self)),
            (selectors, "DefaultSelector", partial(Selector, self)),
        ):
            self._doors.enter_context(mock.patch.object(module, name, double))

    def step_back(self) -> None:
        """Leave it again."""
        self._doors.close()


class _Poll:
    """What stands in for `select.poll`."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._wanted: dict[int, int] = {}

    def register(self, sock: Any, events: int) -> None:
        reading = selectors.EVENT_READ if events & select.POLLIN else 0
        writing = selectors.EVENT_WRITE if events & select.POLLOUT else 0
        self._wanted[sock.fileno()] = reading | writing

    def poll(self, milliseconds: float) -> list[tuple[int, int]]:
        ready = self._network.wait(self._wanted, milliseconds / 1000)
        return [(descriptor, _EVENTS[events]) for descriptor, events in ready]


_EVENTS = {
    selectors.EVENT_READ: select.POLLIN,
    selectors.EVENT_WRITE: select.POLLOUT,
    selectors.EVENT_READ | selectors.EVENT_WRITE: select.POLLIN | select.POLLOUT,
}


class Selector(selectors.BaseSelector):
    """What stands in for `selectors.DefaultSelector`, also under an event loop."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._keys: dict[int, selectors.SelectorKey] = {}
        self._wanted: dict[int, int] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        descriptor = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        if descriptor in self._keys:
            raise KeyError(f"{descriptor} is registered already")
        key = self._keys[descriptor] = selectors.SelectorKey(fileobj, descriptor, events, data)
        self._wanted[descriptor] = events
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        descriptor = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        del self._wanted[descriptor]
        return self._keys.pop(descriptor)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        seconds = timeout if timeout is None else max(timeout, 0)
        return [(self._keys[fd], events) for fd, events in self._network.wait(self._wanted, seconds)]

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys[fileobj if isinstance(fileobj, int) else fileobj.fileno()]

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys

    def close(self) -> None:
        self._keys.clear()
        self._wanted.clear()


def _addresses(host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]


def _nobody() -> Line:
    raise StuckError("nobody listens")
