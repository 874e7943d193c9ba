"""One connection whose needs are served in the loop that it was opened in."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import math
import ssl
import time
import warnings
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, Protocol, TypeVar

from ..auth import Secret
from ..conversations import Conversation, Need, farewell, open_session
from ..errors import SMTPException
from ..facts import Phase
from ..server import Security
from ..tls import context_for
from ..translation import as_secret, timeout, token_failure
from .dialler import dial
from .handshake import shake_hands
from .line import Line

_T = TypeVar("_T")


# What takes no more than carrying octets. A tuple: Python computes the hash of a member anew each time.
OCTETS = (Need.DATA, Need.ROOM, Need.SAID)


class Service(Protocol):
    """Serves the needs of a conversation."""

    def waits_for(self, need: Need) -> Awaitable[bool] | None:
        """Carry octets for a need as far as that goes without waiting; then what to await, if anything."""

    def fail(self, error: OSError) -> NoReturn:
        """What went wrong while it waited breaks the connection."""

    async def answer(self, need: Need) -> object:
        """What a need asks for beyond octets."""


async def drive(conversation: Conversation[_T], service: Service) -> _T:
    """Give a conversation what it needs until it ends; what goes wrong is thrown into it first.

    All waiting for octets is done here: a coroutine for each need and each wait would cost more than they do.
    """
    try:
        need = next(conversation)
        while True:
            try:
                while waiting := service.waits_for(need):
                    try:
                        await waiting
                    except OSError as error:
                        service.fail(error)
                answer = None if need in OCTETS else await service.answer(need)
            except SMTPException as error:
                need = conversation.throw(error)
            else:
                need = conversation.send(answer)
    except StopIteration as stop:
        value: _T = stop.value
        return value


class Connection(Line):
    """A session with a server that is waited for in an event loop, and belongs to it."""

    async def open(self, deadline: float) -> None:
        """Connect, protect, log in.

        Args:
            deadline: The moment to give up, on the monotonic clock.

        Raises:
            SMTPException: Any step of it failed; the socket is closed.
        """
        try:
            if self.server.security is not Security.NONE:
                # A certificate that cannot be read is found before anybody is called. Reading costs 15 ms of CPU.
                self._context = self.server.ssl_context or await asyncio.to_thread(context_for, self.server)
            self.carry_by(await dial(self.server, min(deadline, time.monotonic() + self.server.timeouts.connect)))
            self.begin(deadline)
            if self.server.security is Security.IMPLICIT:
                await self._secure()
            await self.converse(open_session(self.protocol, self.server, self._own_name()), deadline)
        except BaseException as error:
            # What could not be protected or logged in never carries mail, though the server may be ready for it.
            self.abort()
            self.explain(error)
            raise

    async def converse(self, conversation: Conversation[_T], deadline: float) -> _T:
        """Serve a conversation to its end.

        Args:
            conversation: One on this connection's protocol.
            deadline: The moment to give up, on the monotonic clock.

        Raises:
            SMTPException: What the conversation raised, or what broke the connection; it is closed then.
        """
        self.begin(deadline)
        try:
            return await drive(conversation, self)
        except BaseException as error:
            # A conversation that was broken off leaves a dialogue that nobody can take up.
            if not (isinstance(error, SMTPException) and self.protocol.reusable):
                self.abort()
            self.explain(error)
            raise

    async def answer(self, need: Need) -> Secret | None:
        """What a need asks for beyond octets: a handshake, a token.

        Raises:
            SMTPException: It is not to be had; the connection is closed.
        """
        try:
            match need:
                case Need.TLS:
                    await self._secure()
                case Need.TOKEN:
                    return await self._token()
                case Need.FRESH_TOKEN:
                    return await self._token(force_refresh=True)
        except OSError as error:
            self._fail(error)
        return None

    async def _token(self, **options: bool) -> Secret:
        """Ask the caller's token provider, which may fail in any way it likes."""
        assert self.server.token_provider is not None  # noqa: S101 - the need arises only with one
        limit = asyncio.timeout(self._deadline - time.monotonic())
        try:
            async with limit:
                with self.aside():
                    return as_secret(await _asked(self.server.token_provider, options))
        except Exception as error:
            raise (timeout(Phase.AUTH, self.server) if limit.expired() else token_failure(error)) from error

    async def _secure(self) -> None:
        """Protect the connection within the deadline of one reply."""
        assert self._context is not None  # noqa: S101 - `open` made one
        self._secured(
            await shake_hands(
                self._sock, self.server, self._context, self._resumption, self._soon(), watch=self._watching
            )
        )

    async def close(self, deadline: float = math.inf) -> None:
        """Say goodbye, where that makes sense, and close.

        Args:
            deadline: The answer to QUIT is not waited for any longer, and never for more than two seconds.
        """
        if self._socket is not None and self.protocol.reusable:
            with contextlib.suppress(SMTPException):
                await self.converse(farewell(self.protocol), min(deadline, self._farewell_due()))
        if isinstance(self._socket, ssl.SSLSocket):
            # SERVERS.md T2: send our close_notify, never wait for the server's.
            with contextlib.suppress(OSError, ValueError):
                self._socket.unwrap()
        self.abort()

    def __del__(self) -> None:
        if self._socket is not None:
            warnings.warn(
                f"a connection to {self.endpoint} was never closed", ResourceWarning, stacklevel=2, source=self
            )
            self.abandon()


async def _asked(provider: Callable[..., Any], options: dict[str, bool]) -> object:
    """A token provider's answer: of a coroutine function in the loop, of anything else in a thread."""
    if inspect.iscoroutinefunction(provider):
        return await provider(**options)
    token = await asyncio.to_thread(provider, **options)
    return await token if inspect.isawaitable(token) else token
