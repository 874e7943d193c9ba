"""One connection: a socket, the protocol on it, and the needs of a conversation served in time."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from typing import TypeVar

from ..auth import Secret
from ..conversations import Conversation, Need, farewell, open_session
from ..dialling import own_name
from ..errors import SMTPException
from ..facts import Endpoint
from ..protocol import SMTPProtocol
from ..server import Security, Server
from ..tls import TLSInfo, context_for, describe
from ..translation import token_failure, translated
from .dialler import dial
from .handshake import Resumption, shake_hands
from .waiting import has_news, wait

# Octets taken from the socket at once.
RECEIVE = 64 * 1024
# Seconds for the answer to QUIT: nobody waits long for a goodbye.
FAREWELL = 2.0
# Seconds since the last reply within which a connection is taken to be alive: see "One flight" in deliver.
HOT = 5.0

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


def _as_secret(token: object) -> Secret:
    """A provider's answer. No traceback shows it: this frame forgets it first."""
    if isinstance(token, Secret):
        return token
    if isinstance(token, str | bytes) and token:
        return Secret(token)
    kind = "nothing" if not token else type(token).__name__
    del token
    raise TypeError(f"a token is str, bytes or Secret; the provider gave {kind}")


class Connection:
    """A session with a server, from the first packet to the last.

    Attributes:
        server: Who it is with.
        protocol: What may be said on it.
        messages: How many messages it carried.
    """

    def __init__(self, server: Server, resumption: Resumption | None = None) -> None:
        self.server = server
        self.protocol = SMTPProtocol(lmtp=server.lmtp, pipelining=server.pipelining, chunking=server.chunking)
        self.messages = 0
        self._resumption = resumption or Resumption()
        self._socket: socket.socket | None = None
        self._tls: TLSInfo | None = None
        self._last_reply = self._waiting_since = self._deadline = 0.0

    @property
    def endpoint(self) -> Endpoint:
        """Who it is with, for errors and receipts."""
        port = None if self.server.path else self.server.port
        return Endpoint(self.server.name, port, self._tls.version if self._tls else None)

    @property
    def tls(self) -> TLSInfo | None:
        """What protects it, if anything does."""
        return self._tls

    @property
    def hot(self) -> bool:
        """A reply was read a moment ago, and nothing came since: no 421, no end of the stream."""
        recent = time.monotonic() - self._last_reply < HOT
        return recent and self._socket is not None and not has_news(self._socket)

    def open(self, deadline: float) -> None:
        """Connect, protect, log in.

        Args:
            deadline: The moment to give up, on the monotonic clock.

        Raises:
            SMTPException: Any step of it failed; the socket is closed.
        """
        try:
            if self.server.security is not Security.NONE:
                context_for(self.server)  # a certificate that cannot be read is found before anybody is called
            self._socket = dial(self.server, min(deadline, time.monotonic() + self.server.timeouts.connect))
            self.begin(deadline)
            if self.server.security is Security.IMPLICIT:
                self._secure()
            name = self.server.local_hostname or own_name(socket.gethostname(), self._socket.getsockname())
            self.converse(open_session(self.protocol, self.server, name), deadline)
        except BaseException as error:
            # What could not be protected or logged in never carries mail, though the server may be ready for it.
            self.abort()
            self.explain(error)
            raise

    def explain(self, error: BaseException) -> None:
        """Add to an error of ours what only the connection knows."""
        if isinstance(error, SMTPException):
            error.server = error.server or self.endpoint
            error.transcript = error.transcript or self.protocol.transcript.lines()

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

    def begin(self, deadline: float) -> None:
        """A conversation begins, which must end by this moment on the monotonic clock."""
        self._deadline, self._waiting_since = deadline, 0.0

    def serve(self, need: Need) -> Secret | None:
        """Serve one need of a conversation.

        Raises:
            SMTPException: The connection broke, and is closed.
        """
        try:
            return self._serve(need)
        except SMTPException as error:
            error.phase = error.phase or self.protocol.phase
            self.abort()
            raise
        except OSError as error:
            self.abort()
            raise self._reason(error) from error

    def _reason(self, error: OSError) -> SMTPException:
        if self.protocol.dismissal:
            return self.protocol.ending()
        return translated(error, self.protocol.phase, self.server)

    def _serve(self, need: Need) -> Secret | None:
        replies = self.protocol.replies_read
        self._transmit()
        match need:
            case Need.DATA if self.protocol.replies_read == replies and not self.protocol.over:
                self._read()
            case Need.TLS:
                self._secure()
            case Need.TOKEN:
                return self._token()
            case Need.FRESH_TOKEN:
                return self._token(force_refresh=True)
        return None

    def _token(self, **options: bool) -> Secret:
        """Ask the caller's token provider, which may fail in any way it likes."""
        assert self.server.token_provider is not None  # noqa: S101 - the need arises only with one
        try:
            return _as_secret(self.server.token_provider(**options))
        except Exception as error:
            raise token_failure(error) from error

    def _transmit(self) -> None:
        """Write all that is queued; read while the kernel takes nothing more (RFC 2920 section 3.1).

        It stops where the stream ended, and behind a 421: nobody listens any more.
        """
        while not self.protocol.over and (data := self.protocol.data_to_send()):
            if not self._write(data) and wait(self._sock, self._soon(), read=True, write=True):
                self._take()

    def _write(self, data: memoryview) -> bool:
        """Offer octets to the kernel; say whether it took any."""
        # An interruption may come between the write and its result: then they count as gone.
        self.protocol.attempting(len(data))
        try:
            self.protocol.sent(self._sock.send(data))
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            self._took_none()
            return False
        except OSError:
            self._took_none()
            self._salvage()
            raise
        return True

    def _took_none(self) -> None:
        # TLS may have taken some of it all the same, and does not say how much.
        if self._tls is None:
            self.protocol.attempting(0)

    def _salvage(self) -> None:
        """Read what the server said before it hung up: a 421 says more than a broken pipe (SERVERS.md R4)."""
        try:
            while not self.protocol.over and self._take():
                pass
        except SMTPException:
            raise
        except OSError:
            pass  # no more of it can be had, and the caller has a better error
        self.protocol.connection_lost()

    def _read(self) -> None:
        """Read until something comes; the deadline is the reply's, not the octet's (WIRE.md S13)."""
        timeouts = self.server.timeouts
        self._waiting_since = self._waiting_since or time.monotonic()
        limit = timeouts.content if self.protocol.awaits_content_reply else timeouts.reply
        deadline = min(self._deadline, self._waiting_since + limit)
        # TLS may hold octets that the kernel does not have any more.
        found = self._tls is not None and self._take()
        while not found:
            wait(self._sock, deadline, read=True)
            found = self._take()

    def _take(self) -> bool:
        """Read what is there. The end of the stream counts as something."""
        try:
            data = self._sock.recv(RECEIVE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except ssl.SSLEOFError:
            data = b""  # a ragged end, which OpenSMTPD and Exim make (SERVERS.md T1)
        replies = self.protocol.replies_read
        self.protocol.receive_data(data)
        if self.protocol.replies_read > replies:
            self._last_reply, self._waiting_since = time.monotonic(), 0.0
            if isinstance(self._socket, ssl.SSLSocket):
                self._resumption.keep(self._socket)
        return True

    def _soon(self) -> float:
        """The moment by which there must be progress."""
        return min(self._deadline, time.monotonic() + self.server.timeouts.reply)

    def _secure(self) -> None:
        """Protect the connection within the deadline of one reply."""
        secured = shake_hands(self._sock, self.server, self._resumption, self._soon())
        self._socket, self._tls = secured, describe(secured)
        self.protocol.tls_established()

    @property
    def _sock(self) -> socket.socket:
        if self._socket is None:
            raise self.protocol.ending()
        return self._socket

    def close(self) -> None:
        """Say goodbye, where that makes sense, and close."""
        if self._socket is not None and self.protocol.reusable:
            with contextlib.suppress(SMTPException):
                self.converse(farewell(self.protocol), time.monotonic() + FAREWELL)
        if isinstance(self._socket, ssl.SSLSocket):
            # SERVERS.md T2: send our close_notify, never wait for the server's.
            with contextlib.suppress(OSError, ValueError):
                self._socket.unwrap()
        self.abort()

    def abort(self) -> None:
        """Close without a word."""
        self.protocol.connection_lost()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
