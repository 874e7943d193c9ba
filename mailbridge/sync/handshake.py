"""TLS on a socket that does not block: the handshake within its deadline, and sessions to take up again."""

from __future__ import annotations

import socket
import ssl

from ..dialling import ascii_host
from ..facts import Phase
from ..server import Server
from ..tls import context_for
from ..translation import translated
from .waiting import wait


class Resumption:
    """The last TLS session with a server. Who keeps it sees to it that the server stays the same."""

    def __init__(self) -> None:
        self._context: ssl.SSLContext | None = None
        self._session: ssl.SSLSession | None = None

    def take(self, context: ssl.SSLContext) -> ssl.SSLSession | None:
        """The session, if this context began it. RFC 8446 appendix C.4: a ticket is used once."""
        session, self._session = self._session, None
        return session if context is self._context else None

    def keep(self, sock: ssl.SSLSocket) -> None:
        """Remember a connection's session. With TLS 1.3 it is complete only after something was read."""
        if self._session is None:
            self._context, self._session = sock.context, sock.session


def shake_hands(sock: socket.socket, server: Server, resumption: Resumption, deadline: float) -> ssl.SSLSocket:
    """Protect a connection.

    Args:
        sock: A connected socket; it becomes the protected one's, or is closed.
        server: Who it is connected to.
        resumption: Where a session to take up again may lie.
        deadline: The moment to give up, on the monotonic clock.

    Raises:
        SMTPCertificateError: The server could not prove who it is.
        SMTPHandshakeError: Anything else that TLS complains about.
        SMTPException: The connection broke, or the deadline passed.
    """
    context = context_for(server)
    try:
        sock.getpeername()  # it fails where the server reset the connection: there wrap_socket leaks the socket
        secured = context.wrap_socket(
            sock,
            # RFC 6066 section 3: no dot at the end; a zone ("%eth0") means nothing to the other side.
            server_hostname=ascii_host(server.name).removesuffix(".").partition("%")[0],
            do_handshake_on_connect=False,
            session=resumption.take(context),
        )
        try:
            _complete(secured, deadline)
        except BaseException:
            secured.close()
            raise
    except OSError as error:
        raise translated(error, Phase.TLS, server) from error
    return secured


def _complete(sock: ssl.SSLSocket, deadline: float) -> None:
    while True:
        try:
            return sock.do_handshake()
        except ssl.SSLWantReadError:
            reading = True
        except ssl.SSLWantWriteError:
            reading = False
        wait(sock, deadline, read=reading, write=not reading)
