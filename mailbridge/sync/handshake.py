"""The TLS handshake on a socket that does not block, within its deadline."""

from __future__ import annotations

import socket
import ssl
import time

from ..facts import Phase
from ..server import Server
from ..sockets.readiness import Lookout
from ..sockets.resumption import Resumption, wrapped
from ..translation import translated
from .waiting import wait


def shake_hands(
    sock: socket.socket, server: Server, context: ssl.SSLContext, resumption: Resumption, deadline: float
) -> ssl.SSLSocket:
    """Protect a connection.

    Args:
        sock: A connected socket; it becomes the protected one's, or is closed.
        server: Who it is connected to.
        context: What the configuration says of TLS.
        resumption: Where a session to take up again may lie.
        deadline: The moment to give up, on the monotonic clock.

    Raises:
        SMTPCertificateError: The server could not prove who it is.
        SMTPHandshakeError: Anything else that TLS complains about.
        SMTPException: The connection broke, or the deadline passed.
    """
    try:
        secured = wrapped(sock, server, context, resumption.take(context))
        try:
            _complete(secured, deadline)
        except BaseException:
            secured.close()
            raise
    except OSError as error:
        raise translated(error, Phase.TLS, server) from error
    return secured


def _complete(sock: ssl.SSLSocket, deadline: float) -> None:
    lookout = Lookout(sock)
    while True:
        try:
            return sock.do_handshake()
        except ssl.SSLWantReadError:
            reading = True
        except ssl.SSLWantWriteError:
            reading = False
        wait(lookout, deadline - time.monotonic(), read=reading, write=not reading)
