"""TLS sessions to take up again, and a socket made ready for its handshake."""

from __future__ import annotations

import socket
import ssl

from ..dialling import ascii_host
from ..server import Server


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


def wrapped(
    sock: socket.socket, server: Server, context: ssl.SSLContext, session: ssl.SSLSession | None
) -> ssl.SSLSocket:
    """Put TLS on a connected socket; the handshake is still to come.

    Raises:
        OSError: The server is gone already.
    """
    sock.getpeername()  # it fails where the server reset the connection: there wrap_socket leaks the socket
    return context.wrap_socket(
        sock,
        # RFC 6066 section 3: no dot at the end; a zone ("%eth0") means nothing to the other side.
        server_hostname=ascii_host(server.name).removesuffix(".").partition("%")[0],
        do_handshake_on_connect=False,
        session=session,
    )
