"""What the server says, read in time: the deadline is the reply's, not that of each `recv`."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any

# Octets. A reply line has 512 (RFC 5321 section 4.5.3.1.5), a TLS record up to 16,384.
_RECEIVED = 4_096


class ReplyReader(io.RawIOBase):
    """A socket as a binary file, with one deadline for a whole reply (WIRE.md S13).

    Args:
        sock: A connected socket, plain or TLS. Its timeout is what one reply may take.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self._until: float | None = None

    @contextmanager
    def one_reply(self) -> Iterator[None]:
        """Within it, everything that is read must come before one deadline."""
        timeout = self._sock.gettimeout()
        if timeout is None:
            yield
            return
        self._until = monotonic() + timeout
        try:
            yield
        finally:
            self._until = None
            with suppress(OSError):  # it may be closed by now
                self._sock.settimeout(timeout)

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read up to the end of a line, or the end of the stream, or `size` octets."""
        limit = size if size is not None and size >= 0 else None
        searched = 0
        while (end := self._buffer.find(b"\n", searched) + 1) == 0:
            searched = len(self._buffer)
            if (limit is not None and searched >= limit) or not self._receive():
                end = searched
                break
        return self._take(end if limit is None else min(end, limit))

    def readinto(self, target: Any, /) -> int:
        """Read what is there, or wait for it; 0 at the end of the stream."""
        if not self._buffer:
            self._receive()
        data = self._take(min(len(target), len(self._buffer)))
        target[: len(data)] = data
        return len(data)

    def readable(self) -> bool:
        """It can be read from, as every file that `makefile("rb")` makes."""
        return True

    def look(self) -> bytes:
        """What the server has said and nobody has read, without waiting for more."""
        timeout = self._sock.gettimeout()
        # A closed or broken connection shows itself to whoever uses it next.
        with suppress(OSError):
            self._sock.settimeout(0)
            try:
                self._buffer += self._sock.recv(_RECEIVED)
            finally:
                self._sock.settimeout(timeout)
        return bytes(self._buffer)

    def _receive(self) -> bool:
        """Wait for more; False at the end of the stream."""
        if self._until is not None:
            left = self._until - monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(left)
        data = self._sock.recv(_RECEIVED)
        self._buffer += data
        return bool(data)

    def _take(self, octets: int) -> bytes:
        taken = bytes(self._buffer[:octets])
        del self._buffer[:octets]
        return taken


def reader_of(sock: Any) -> Any:
    """A file that reads from a socket: ours where it is a real one, else what it makes itself."""
    # The type is asked, not the object: a mock with a spec says that it is an instance.
    if issubclass(type(sock), socket.socket) and type(sock).makefile is socket.socket.makefile:
        return ReplyReader(sock)
    # A test's own socket, or one that another library makes (gevent, a proxy).
    return sock.makefile("rb")


def left_over(file: Any, sock: Any) -> bytes:
    """What was read beyond the last reply, or waits to be read."""
    if isinstance(file, ReplyReader):
        return file.look()
    if not isinstance(file, io.BufferedReader) or isinstance(file.raw, io.BytesIO):
        # A test's replies lie there from the beginning.
        return b""
    if not (hasattr(sock, "gettimeout") and hasattr(sock, "settimeout")):
        # To look would be to wait.
        return b""
    timeout = sock.gettimeout()
    try:
        sock.settimeout(0)
        return file.peek(1)
    except OSError:
        return b""
    finally:
        sock.settimeout(timeout)
