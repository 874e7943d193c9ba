"""One connection whose needs are served in the caller's thread."""

from __future__ import annotations

import contextlib
import math
import socket
import ssl
import time
from collections.abc import Callable
from typing import TypeVar

from ..auth import Secret
from ..compiling import mypyc_attr
from ..conversations import Conversation, Need, farewell, open_session
from ..errors import SMTPException
from ..server import Security
from ..sockets.link import Link, Pause
from ..tls import context_for
from ..translation import as_secret, token_failure
from .dialler import dial
from .handshake import shake_hands
from .waiting import wait

_T = TypeVar("_T")


def drive(conversation: Conversation[_T], serve: Callable[[Need], object]) -> _T:
    """Give a conversation what it needs until it ends; what goes wrong is thrown into it first."""
    try:
        need = next(conversation)
        while True:
            try:
                answer = serve(need)
            except SMTPException as error:
                need = conversation.throw(error)
            else:
                need = conversation.send(answer)
    except StopIteration as stop:
        value: _T = stop.value
        return value


def attend(conversation: Conversation[object], serve: Callable[[Need], object]) -> None:
    """The same where nobody asks what a conversation gives back: its end costs no exception, as every message ends."""
    try:
        need = next(conversation, None)
        while need is not None:
            try:
                answer = serve(need)
            except SMTPException as error:
                need = conversation.throw(error)
            else:
                need = next(conversation, None) if answer is None else conversation.send(answer)
    except StopIteration:
        return


@mypyc_attr(allow_interpreted_subclasses=True)
class Connection(Link):
    """A session with a server that is waited for in the caller's thread."""

    def open(self, deadline: float) -> None:
        """Connect, protect, log in.

        Args:
            deadline: The moment to give up, on the monotonic clock.

        Raises:
            SMTPException: Any step of it failed; the socket is closed.
        """
        try:
            if self.server.security is not Security.NONE:
                # A certificate that cannot be read is found before anybody is called.
                self._context = context_for(self.server)
            self._socket = self._dial(min(deadline, time.monotonic() + self.server.timeouts.connect))
            self.begin(deadline)
            if self.server.security is Security.IMPLICIT:
                self._secure()
            self.converse(open_session(self.protocol, self.server, self._own_name()), deadline)
        except BaseException as error:
            # What could not be protected or logged in never carries mail, though the server may be ready for it.
            self.abort()
            self.explain(error)
            raise

    def _dial(self, deadline: float) -> socket.socket:
        return dial(self.server, deadline)

    def converse(self, conversation: Conversation[_T], deadline: float) -> _T:
        """Serve a conversation to its end.

        Args:
            conversation: One on this connection's protocol.
            deadline: The moment to give up, on the monotonic clock.

        Raises:
            SMTPException: What the conversation raised, or what broke the connection; it is closed then.
        """
        self.begin(deadline)
        try:
            return drive(conversation, self.serve)
        except BaseException as error:
            # A conversation that was broken off leaves a dialogue that nobody can take up.
            if not (isinstance(error, SMTPException) and self.protocol.reusable):
                self.abort()
            self.explain(error)
            raise

    def serve(self, need: Need) -> Secret | None:
        """Serve one need of a conversation.

        Raises:
            SMTPException: The connection broke, and is closed.
        """
        readable = False
        while pause := self.advance(need, readable=readable):
            readable = self.wait(pause)
        return self.answer(need)

    def wait(self, pause: Pause) -> bool:
        """Wait as long as a pause allows; say whether something can be read.

        Raises:
            SMTPTimeoutError: It is over; the connection is closed.
        """
        try:
            return wait(self._seen(), pause.left, read=True, write=pause.write)
        except OSError as error:
            self._fail(error)

    def answer(self, need: Need) -> Secret | None:
        """What a need asks for beyond octets: a handshake, a token.

        Raises:
            SMTPException: It is not to be had; the connection is closed.
        """
        try:
            match need:
                case Need.TLS:
                    self._secure()
                case Need.TOKEN:
                    return self._token()
                case Need.FRESH_TOKEN:
                    return self._token(force_refresh=True)
        except OSError as error:
            self._fail(error)
        return None

    def _token(self, **options: bool) -> Secret:
        """Ask the caller's token provider, which may fail in any way it likes."""
        assert self.server.token_provider is not None  # noqa: S101 - the need arises only with one
        try:
            with self.aside():
                return as_secret(self.server.token_provider(**options))
        except Exception as error:  # noqa: BLE001 - it goes on as the cause; mypyc forgets a `from`
            failed = token_failure(error)
            failed.__cause__ = error
            raise failed  # noqa: B904 - as above

    def _secure(self) -> None:
        """Protect the connection within the deadline of one reply."""
        assert self._context is not None  # noqa: S101 - `open` made one
        self._secured(shake_hands(self._sock, self.server, self._context, self._resumption, self._soon()))

    def close(self, deadline: float = math.inf) -> None:
        """Say goodbye, where that makes sense, and close.

        Args:
            deadline: The answer to QUIT is not waited for any longer, and never for more than two seconds.
        """
        if self._socket is not None and self.protocol.reusable:
            with contextlib.suppress(SMTPException):
                self.converse(farewell(self.protocol), min(deadline, self._farewell_due()))
        if isinstance(self._socket, ssl.SSLSocket):
            # SERVERS.md T2: send our close_notify, never wait for the server's.
            with contextlib.suppress(OSError, ValueError):
                self._socket.unwrap()
        self.abort()
