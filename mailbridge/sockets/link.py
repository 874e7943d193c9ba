"""One connection: the protocol, its socket, its deadlines. A driver adds what waits."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final, NoReturn

from .. import commands
from ..compiling import mypyc_attr
from ..conversations import Need
from ..dialling import own_name
from ..errors import SMTPException
from ..facts import Endpoint
from ..protocol import SMTPProtocol
from ..server import Server
from ..tls import TLSInfo, describe
from ..translation import translated
from .readiness import Lookout
from .resumption import Resumption

# Octets taken from the socket at once.
RECEIVE = 64 * 1024
# Seconds since the last reply within which a connection is taken to be alive: see "One flight" in deliver.
HOT = 5.0
# Seconds for the answer to QUIT: nobody waits long for a goodbye.
FAREWELL = 2.0


class Pause:
    """What a connection waits for: until when on the monotonic clock, and whether writing is a part of it.

    Attributes:
        deadline: The moment to give up.
        left: Seconds from now until then.
        write: It waits until it can write; reading always counts.
    """

    def __init__(self, deadline: float, now: float, *, write: bool) -> None:
        self.deadline: Final = deadline
        self.left: Final = deadline - now
        self.write: Final = write


@mypyc_attr(allow_interpreted_subclasses=True)
class Link:
    """A session with a server, from the first packet to the last.

    Attributes:
        server: Who it is with.
        protocol: What may be said on it.
        endpoint: Who it is with, for errors and receipts.
        messages: How many messages it carried.
        born: When it was made, on the monotonic clock.
        aside: Goes round the caller's token provider, which may take long and send mail itself.
    """

    def __init__(
        self, server: Server, resumption: Resumption | None = None, *, max_messages: int | None = None
    ) -> None:
        self.server = server
        self.protocol = SMTPProtocol(
            lmtp=server.lmtp,
            pipelining=server.pipelining,
            chunking=server.chunking,
            overlap=server.overlap,
            max_mails=max_messages,
        )
        self.messages = 0
        self.born = time.monotonic()
        self.aside: Callable[[], AbstractContextManager[None]] = nullcontext
        self._resumption = resumption or Resumption()
        self._context: ssl.SSLContext | None = None
        self._socket: socket.socket | None = None
        self._lookout: Lookout | None = None
        self._tls: TLSInfo | None = None
        self._content_limit, self._reply_limit = server.timeouts.content, server.timeouts.reply
        self._last_reply = self._waiting_since = self._deadline = 0.0
        self._served = 0
        self.endpoint = self._endpoint()

    def _endpoint(self) -> Endpoint:
        port = None if self.server.path else self.server.port
        return Endpoint(self.server.name, port, self._tls.version if self._tls else None)

    @property
    def carrier(self) -> socket.socket:
        """What carries it, for whoever waits for several.

        Raises:
            SMTPServerDisconnected: Nothing does any more.
        """
        return self._sock

    @property
    def tls(self) -> TLSInfo | None:
        """What protects it, if anything does."""
        return self._tls

    @property
    def recent(self) -> bool:
        """A reply was read on it a moment ago."""
        return time.monotonic() - self._last_reply < HOT

    @property
    def hot(self) -> bool:
        """A reply was read a moment ago, and nothing came since: no 421, no end of the stream."""
        # What can be read while something is unanswered is no bad news.
        return self.recent and (self.protocol.busy or self.alive)

    @property
    def alive(self) -> bool:
        """A look at the socket, without a round trip, shows neither an end of the stream nor an unasked 421."""
        if self._socket is None:
            return False
        sock = self._socket
        protected = sock if isinstance(sock, ssl.SSLSocket) else None
        try:
            if not (protected and protected.pending()) and not self._seen().has_news():
                return True
            # What can be read may be a session ticket, which TLS takes for itself and has no octet to give.
            sock.recv(1, 0 if protected else socket.MSG_PEEK)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def begin(self, deadline: float) -> None:
        """A conversation begins, which must end by this moment on the monotonic clock."""
        self._deadline, self._waiting_since = deadline, 0.0

    def extend(self, deadline: float) -> None:
        """The conversation goes on with a message that may take until then."""
        self._deadline = deadline

    def explain(self, error: BaseException) -> None:
        """Add to an error of ours what only the connection knows."""
        if isinstance(error, SMTPException):
            error.server = error.server or self.endpoint
            error.transcript = error.transcript or self.protocol.transcript.lines()

    def advance(self, need: Need, *, readable: bool = False) -> Pause | None:
        """Carry octets for a need as far as that goes without waiting.

        Args:
            need: The same one again until there is nothing left to wait for.
            readable: Something can be read.

        Returns:
            What to wait for before the need is served, or None.

        Raises:
            SMTPException: The connection broke, and is closed.
        """
        try:
            if readable:
                self._take()
            if not self._transmitted():
                return Pause(self._soon(), time.monotonic(), write=True)
            if need is Need.DATA and not self._heard():
                return self._reply_due()
        except OSError as error:
            self._fail(error)
        self._served = self.protocol.replies_read
        return None

    def leave(self) -> None:
        """Say QUIT where that makes sense, and close without waiting for the answer."""
        with contextlib.suppress(OSError, ValueError):
            if self._socket is not None and self.protocol.reusable:
                self.protocol.send(commands.Quit())
                self._transmitted()
            if isinstance(self._socket, ssl.SSLSocket):
                # SERVERS.md T2: send our close_notify, never wait for the server's.
                self._socket.unwrap()
        self.abort()

    def abort(self) -> None:
        """Close without a word."""
        self.protocol.connection_lost()
        if self._socket is not None:
            self._socket.close()
            self._socket = self._lookout = None

    # What drivers are made of.

    @property
    def _sock(self) -> socket.socket:
        if self._socket is None:
            raise self.protocol.ending()
        return self._socket

    def _seen(self) -> Lookout:
        """What tells whether its socket is ready."""
        if self._lookout is None or self._lookout.sock is not self._socket:
            self._lookout = Lookout(self._sock)
        return self._lookout

    def _own_name(self) -> str:
        """What to say in EHLO."""
        return self.server.local_hostname or own_name(socket.gethostname(), self._sock.getsockname())

    def _secured(self, sock: ssl.SSLSocket) -> None:
        """The handshake is done."""
        self._socket, self._tls = sock, describe(sock)
        self.endpoint = self._endpoint()
        self.protocol.tls_established()

    def _fail(self, error: OSError) -> NoReturn:
        """What breaks the connection closes it, and leaves as an error of ours."""
        phase = self.protocol.phase
        self.abort()
        if isinstance(error, SMTPException):
            error.phase = error.phase or phase
            raise error
        failed = self.protocol.ending() if self.protocol.dismissal else translated(error, phase, self.server)
        failed.__cause__ = error  # mypyc forgets a `from`
        raise failed

    def _soon(self) -> float:
        """The moment by which there must be progress."""
        return min(self._deadline, time.monotonic() + self._reply_limit)

    def _farewell_due(self) -> float:
        """The moment by which the server must have said goodbye too."""
        return time.monotonic() + FAREWELL

    def _reply_due(self) -> Pause:
        """The moment by which the next reply must be complete, however its octets drip (WIRE.md S13)."""
        now = time.monotonic()
        self._waiting_since = self._waiting_since or now
        limit = self._content_limit if self.protocol.awaits_content_reply else self._reply_limit
        return Pause(min(self._deadline, self._waiting_since + limit), now, write=False)

    def _transmitted(self) -> bool:
        """Write what is queued, as far as the kernel takes it; say whether it took all.

        Where it does not, what the server says must be read meanwhile, or two full windows wait for each other
        (RFC 2920 section 3.1). It stops where the stream ended, and behind a 421: nobody listens any more.
        """
        while data := self.protocol.data_to_send():
            if not self._write(data):
                return False
        return True

    def _heard(self) -> bool:
        """Something came since the last need was served, or nothing more will come."""
        # TLS may hold octets that the kernel does not have any more.
        while not (news := self.protocol.replies_read > self._served or self.protocol.over):
            if self._tls is None or not self._take():
                break
        return news

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
            if self._tls is not None and isinstance(self._socket, ssl.SSLSocket):
                self._resumption.keep(self._socket)
        return True
