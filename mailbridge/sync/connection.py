"""One connection: a socket, the protocol on it, and the needs of a conversation served in time."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ..addresses import a_labels
from ..auth import Secret
from ..conversations import Conversation, Need, farewell, open_session
from ..dialling import own_name
from ..errors import SMTPException
from ..facts import Endpoint, Phase
from ..protocol import SMTPProtocol
from ..server import Security, Server
from ..tls import TLSInfo, context_for, describe
from ..translation import timeout, translated
from .dialler import dial
from .waiting import wait

# Octets taken from the socket at once.
RECEIVE = 64 * 1024
# Seconds for the answer to QUIT: nobody waits long for a goodbye.
FAREWELL = 2.0
# Seconds since the last reply within which a connection is taken to be alive: see "One flight" in deliver.
HOT = 5.0

_T = TypeVar("_T")
_E = TypeVar("_E", bound=BaseException)


@dataclass(slots=True)
class Resumption:
    """A TLS session to take up again: same context and same host only, which its owner sees to."""

    session: ssl.SSLSession | None = None


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
        self._last_reply = self._waiting_since = 0.0
        self._replies_seen = 0
        self._deadline = 0.0

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
        """A reply was read a moment ago."""
        return time.monotonic() - self._last_reply < HOT

    def open(self, deadline: float) -> None:
        """Connect, protect, log in.

        Args:
            deadline: The moment to give up, on the monotonic clock.

        Raises:
            SMTPException: Any step of it failed; the socket is closed.
        """
        try:
            self._socket = dial(self.server, min(deadline, time.monotonic() + self.server.timeouts.connect))
            self._deadline = deadline
            if self.server.security is Security.IMPLICIT:
                self._handshake()
            name = self.server.local_hostname or own_name(socket.gethostname(), self._socket.getsockname())
        except BaseException as error:  # noqa: BLE001 - passed on: no socket is left behind
            self.abort()
            raise self.explained(error) from error.__cause__
        self.converse(open_session(self.protocol, self.server, name), deadline)

    def explained(self, error: _E) -> _E:
        """Add to an error of ours what only the connection knows."""
        if isinstance(error, SMTPException):
            error.server = error.server or self.endpoint
            error.transcript = error.transcript or self.protocol.transcript.lines()
        return error

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
        except BaseException as error:  # noqa: BLE001 - passed on
            # A conversation that was broken off leaves a dialogue that nobody can take up.
            if not (isinstance(error, SMTPException) and self.protocol.reusable):
                self.abort()
            raise self.explained(error) from error.__cause__

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
        except OSError as error:
            reason = self._reason(error)
            self.abort()
            raise reason from reason.__cause__

    def _reason(self, error: OSError) -> SMTPException:
        if isinstance(error, SMTPException):
            error.phase = error.phase or self.protocol.phase
            return error
        if self.protocol.dismissal:
            ending = self.protocol.ending()
            ending.__cause__ = error
            return ending
        return translated(error, self.protocol.phase, self.server)

    def _serve(self, need: Need) -> Secret | None:
        self._transmit()
        match need:
            case Need.DATA:
                self._read_reply()
            case Need.TLS:
                self._handshake()
            case Need.TOKEN:
                return self._token()
            case Need.FRESH_TOKEN:
                return self._token(force_refresh=True)
        return None

    def _token(self, **options: bool) -> Secret:
        assert self.server.token_provider is not None  # noqa: S101 - the need arises only with one
        token = self.server.token_provider(**options)
        return token if isinstance(token, Secret) else Secret(token)

    def _transmit(self) -> None:
        """Write all that is queued; read while the kernel takes nothing more (RFC 2920 section 3.1)."""
        while data := self.protocol.data_to_send():
            if self._tls:
                self.protocol.attempting(len(data))
            try:
                self.protocol.sent(self._sock.send(data))
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                if wait(self._sock, self._soon(self.server.timeouts.reply), read=True, write=True):
                    self._take()
            except OSError:
                self._salvage()
                raise

    def _salvage(self) -> None:
        """Read what the server said before it hung up: a 421 says more than a broken pipe (SERVERS.md R4)."""
        with contextlib.suppress(OSError):
            while not self.protocol.over and self._take():
                pass
        self.protocol.connection_lost()

    def _read_reply(self) -> None:
        """Read until something comes; the deadline is the reply's, not the octet's (WIRE.md S13)."""
        timeouts = self.server.timeouts
        read = self.protocol.replies_read
        if read != self._replies_seen:
            # Replies came while content was being written: the conversation looks at them first.
            self._replies_seen, self._waiting_since = read, 0.0
            return
        now = time.monotonic()
        self._waiting_since = self._waiting_since or now
        limit = timeouts.content if self.protocol.awaits_content_reply else timeouts.reply
        deadline = min(self._deadline, self._waiting_since + limit)
        # TLS may hold octets that the kernel does not have any more.
        if self._tls and self._take():
            return
        while True:
            wait(self._sock, deadline, read=True)
            if self._take():
                return

    def _take(self) -> bool:
        """Read what is there. The end of the stream counts as something."""
        try:
            data = self._sock.recv(RECEIVE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except ssl.SSLEOFError:
            data = b""  # a ragged end, which OpenSMTPD and Exim make (SERVERS.md T1)
        self.protocol.receive_data(data)
        if self.protocol.replies_read != self._replies_seen:
            self._replies_seen = self.protocol.replies_read
            self._last_reply, self._waiting_since = time.monotonic(), 0.0
            self._keep_session()
        return True

    def _keep_session(self) -> None:
        # TLS 1.3 sends its tickets behind the handshake: the session is complete after a read.
        if isinstance(self._socket, ssl.SSLSocket) and self._resumption.session is None:
            self._resumption.session = self._socket.session

    def _soon(self, seconds: float) -> float:
        return min(self._deadline, time.monotonic() + seconds)

    def _handshake(self) -> None:
        """Protect the connection within the deadline of one reply."""
        deadline = self._soon(self.server.timeouts.reply)
        try:
            self._socket = context_for(self.server).wrap_socket(
                self._sock,
                server_hostname=a_labels(self.server.name),
                do_handshake_on_connect=False,
                session=self._resumption.session,
            )
            self._resumption.session = None
            self._shake_hands(self._socket, deadline)
            self._tls = describe(self._socket)
        except TimeoutError as error:
            raise timeout(Phase.TLS, self.server) from error
        except OSError as error:
            raise translated(error, Phase.TLS, self.server) from error
        self.protocol.tls_established()

    @staticmethod
    def _shake_hands(sock: ssl.SSLSocket, deadline: float) -> None:
        while True:
            try:
                return sock.do_handshake()
            except ssl.SSLWantReadError:
                wait(sock, deadline, read=True)
            except ssl.SSLWantWriteError:
                wait(sock, deadline, write=True)

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
