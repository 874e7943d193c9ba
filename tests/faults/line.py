"""A connection in memory: the client's socket, the server's session, and the kernel between them."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable

from mailbridge.testing import Action, End, Then, Wire, Write
from tests.faults.cuts import HOW, Cut


class Line:
    """One connection, seen from both ends.

    Two kernels are played. The brisk one hands over each octet at once. The lazy one hands over what it was given
    when the client waits, and forgets what the client has not read where the connection is reset, as those of BSD
    and Windows do. A ragged end is a FIN without TLS's own goodbye, and a RST to whatever comes behind it.

    Attributes:
        offered: What the client offered, without its TLS.
        heard: What the client read, without its TLS.
        reached: What reached the server, records and all.
        given: What the server wrote, records and all.
        shaken: How much of both it was when the TLS handshake was over.
        ended: What the server did to its own end.
    """

    def __init__(self, wire: Wire, cut: Cut | None, *, implicit: bool, lazy: bool, ragged: bool) -> None:
        self.offered, self.heard = bytearray(), bytearray()
        self.reached, self.given = bytearray(), bytearray()
        self.shaken: tuple[int, int] | None = None
        self.ended: Then | None = None
        self.wire = wire
        self._cut, self._lazy, self._ragged = cut, lazy, ragged
        self._to_client, self._to_server = bytearray(), bytearray()
        self._act(wire.open(implicit=implicit))

    # The client's end.

    def take(self, data: bytes | memoryview) -> int:
        """What `send` does: say how much of it the kernel took.

        Raises:
            OSError: The connection is broken, or the kernel is full.
        """
        if self.ended is Then.RESET:
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        taken = len(data)
        if self._lazy:
            self._to_server += data
        elif self.ended is Then.SILENCE:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        elif self.ended is Then.DROP:
            self.ended = Then.RESET
        elif self.ended is None:
            if self._cut is not None and self._cut.held:
                taken = min(taken, self._cut.at - self.wire.session.connection.read)
            self._reach_server(bytes(data[:taken]))
        return taken

    def give(self, most: int, *, peek: bool) -> bytes:
        """What `recv` does.

        Raises:
            OSError: The connection is broken, or nothing is there yet.
        """
        if self._to_client:
            data = bytes(self._to_client[:most])
            if not peek:
                del self._to_client[:most]
            return data
        if self.ended is Then.RESET:
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        if self.ended in {None, Then.SILENCE}:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return b""

    @property
    def readable(self) -> bool:
        """Octets are there, or an end."""
        return bool(self._to_client) or self.ended not in {None, Then.SILENCE}

    @property
    def writable(self) -> bool:
        """The kernel would take octets, or say why not."""
        return self._lazy or self.ended is not Then.SILENCE

    def hang_up(self) -> None:
        """The client closes its end."""
        self.carry()
        self.wire.session.gone()

    # What lies between.

    def carry(self) -> None:
        """Hand over what the kernel holds for the server."""
        if self._to_server:
            data = bytes(self._to_server)
            self._to_server.clear()
            if self.ended is None:
                self._reach_server(data)

    def _reach_server(self, data: bytes) -> None:
        data, over = self._before_the_cut(data, len(self.reached), reading=True)
        self.reached += data
        self._act(self.wire.receive(data))
        if over is not None:
            self._end(over)
        if self.shaken is None and self.wire.session.connection.tls:
            self.shaken = len(self.reached), len(self.given)

    def _act(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Write(data) if self.ended is None:
                    data, over = self._before_the_cut(data, len(self.given), reading=False)
                    self.given += data
                    self._to_client += data
                    if over is not None:
                        self._end(over)
                case End(then):
                    self._end(then)

    def _before_the_cut(self, data: bytes, passed: int, *, reading: bool) -> tuple[bytes, Then | None]:
        """What comes before a cut of the wire, and how it ends there, if it does."""
        cut = self._cut
        if cut is None or not cut.raw or cut.reading is not reading or passed + len(data) < cut.at:
            return data, None
        return data[: cut.at - passed], HOW[cut.way]

    def _end(self, then: Then) -> None:
        if self.ended is None:
            self.ended = Then.DROP if then is Then.CLOSE and self._ragged else then
            if then is Then.RESET and self._lazy:
                self._to_client.clear()


class Plug:
    """The client's end of a line with the face of a socket that does not block."""

    family, type, proto = socket.AF_INET, socket.SOCK_STREAM, 0

    def __init__(self, descriptor: int, connect: Callable[[], Line], unplugged: Callable[[int], None]) -> None:
        self._descriptor, self._connect, self._unplugged = descriptor, connect, unplugged
        self.line: Line | None = None

    def setblocking(self, flag: bool) -> None:
        """It never blocks."""
        assert not flag

    def setsockopt(self, *option: object) -> None:
        """No option matters here."""

    def getsockopt(self, *option: int) -> int:
        """SO_ERROR: it could be connected."""
        return 0

    def connect_ex(self, address: object) -> int:
        """Connect, which goes well at once."""
        self.line = self._connect()
        return 0

    def fileno(self) -> int:
        """A number that no real descriptor has; -1 when it is closed."""
        return self._descriptor

    def getsockname(self) -> tuple[str, int]:
        """This end."""
        return ("127.0.0.1", self._descriptor)

    def getpeername(self) -> tuple[str, int]:
        """The other end, as long as there is one."""
        if self.line is None or self.line.ended is Then.RESET:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        return ("127.0.0.1", 25)

    def send(self, data: bytes | memoryview, flags: int = 0) -> int:
        """Offer octets in clear."""
        assert self.line is not None
        taken = self.line.take(data)
        self.line.offered += data[:taken]
        return taken

    def recv(self, most: int, flags: int = 0) -> bytes:
        """Take octets in clear."""
        assert self.line is not None
        data = self.line.give(most, peek=bool(flags))
        if not flags:
            self.line.heard += data
        return data

    def close(self) -> None:
        """Close, once."""
        if self._descriptor >= 0:
            self._unplugged(self._descriptor)
            self._descriptor = -1
            if self.line is not None:
                self.line.hang_up()
