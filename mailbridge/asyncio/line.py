"""What of a connection waits for nothing: the octets that it carries, and the loop that it belongs to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import NoReturn

from ..compiling import mypyc_attr
from ..conversations import Need
from ..sockets.link import Link
from .waiting import Watch


@mypyc_attr(allow_interpreted_subclasses=True)
class Line(Link):
    """A session with a server in an event loop."""

    _watch: Watch | None = None

    def carry_by(self, sock: socket.socket) -> None:
        """A socket was connected for it."""
        self._socket, self._watch = sock, Watch(sock)

    def waits_for(self, need: Need) -> asyncio.Future[bool] | None:
        """Carry octets for a need as far as that goes without waiting.

        Args:
            need: The same one again until there is nothing left to wait for.

        Returns:
            What to await before the need is served, or None. What it raises, if anything, is for `fail`.

        Raises:
            SMTPException: The connection broke, and is closed.
        """
        pause = self.advance(need)
        if pause is None:
            return None
        try:
            return self._watching.wait(pause.deadline, take=self._take, write=pause.write)
        except OSError as error:
            self._fail(error)

    def fail(self, error: OSError) -> NoReturn:
        """What went wrong while it waited closes the connection.

        Raises:
            SMTPException: An error of ours, always.
        """
        self._fail(error)

    @property
    def _watching(self) -> Watch:
        if self._watch is None:
            raise self.protocol.ending()
        return self._watch

    def abort(self) -> None:
        """Close without a word."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        super().abort()

    @property
    def at_home(self) -> bool:
        """It belongs to the loop that runs now, or to one that may run again where none does."""
        loop = self._watch.loop if self._watch else None
        try:
            return loop is None or loop is asyncio.get_running_loop()
        except RuntimeError:
            return loop is not None and not loop.is_closed()

    def forget(self) -> None:
        """In a forked child: close the descriptor, and say nothing to the loop, which waits by what is the parent's."""
        self._watch = None
        self.abort()

    def abandon(self) -> None:
        """Close without a word from outside its loop, which may still run, or be closed."""
        if self._watch is not None:
            with contextlib.suppress(RuntimeError):
                self._watch.loop.call_soon_threadsafe(self.abort)
                return
        self.abort()
