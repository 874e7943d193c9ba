"""Foreign errors become ours, once, at the border. Each also derives from what it translates."""

from __future__ import annotations

import socket
import ssl

from .errors import (
    SMTPConnectionRefused,
    SMTPConnectionReset,
    SMTPException,
    SMTPSecurityError,
    SMTPTimeoutError,
    SMTPUnreachableError,
)
from .facts import Phase
from .server import Security, Server
from .tls import advice as tls_advice


class SMTPNameError(SMTPUnreachableError, socket.gaierror):
    """The server's name could not be resolved."""

    @property
    def temporary(self) -> bool:
        """The resolver may know more later; that there is no such name will not change."""
        return self.errno != socket.EAI_NONAME


class SMTPHandshakeError(SMTPSecurityError, ssl.SSLError):
    """The TLS handshake failed."""


class SMTPCertificateError(SMTPHandshakeError, ssl.SSLCertVerificationError):
    """The server's certificate could not be verified. Nothing was said to it."""


def translated(error: OSError, phase: Phase | None, server: Server) -> SMTPException:
    """Our error for one of the operating system's, the resolver's or of TLS."""
    made = _made(error, phase, server)
    made.phase = phase
    made.errno, made.strerror = error.errno, error.strerror
    made.__cause__ = error
    return made


def _made(error: OSError, phase: Phase | None, server: Server) -> SMTPException:
    words = error.strerror or str(error)
    match error:
        case SMTPException():
            return error
        case ssl.SSLCertVerificationError():
            return SMTPCertificateError(
                f"the certificate was not accepted: {error.verify_message}", advice=tls_advice(error, server)
            )
        case ssl.SSLError() if phase in {Phase.TLS, Phase.STARTTLS}:
            return SMTPHandshakeError(f"the TLS handshake failed: {words}", advice=tls_advice(error, server))
        case socket.gaierror():
            return SMTPNameError(f"{server.name} could not be resolved: {words}", advice="Check the host's name")
        case TimeoutError():
            return timeout(phase, server)
        case ConnectionRefusedError():
            return SMTPConnectionRefused(
                "nobody listens there", advice="Check host and port, and whether the server runs"
            )
        case _ if phase in {Phase.CONNECT, Phase.RESOLVE}:
            return SMTPUnreachableError(words, advice="Check host, port and network")
        case _:
            return SMTPConnectionReset(f"the connection broke: {words}")


def timeout(phase: Phase | None, server: Server) -> SMTPTimeoutError:
    """A deadline passed in this phase."""
    advice = None
    if phase is Phase.GREETING and server.security is not Security.IMPLICIT and server.port == 465:
        advice = "Port 465 speaks TLS at once: use implicit TLS (smtps)"
    elif phase in {Phase.CONNECT, Phase.RESOLVE}:
        advice = "A firewall may drop what goes to that port"
    return SMTPTimeoutError("a deadline passed", phase=phase, advice=advice)
