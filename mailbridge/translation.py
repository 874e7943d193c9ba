"""Foreign errors become ours, once, at the border. Each also derives from what it translates."""

from __future__ import annotations

import socket
import ssl

from .auth import Secret
from .errors import (
    SMTPConnectionRefused,
    SMTPConnectionReset,
    SMTPException,
    SMTPSecurityError,
    SMTPTimeoutError,
    SMTPUnreachableError,
)
from .facts import Phase, printable
from .server import Security, Server
from .tls import advice as tls_advice
from .tls import speaks_plain_text

# Resolvers say in two ways that there is nothing under a name; not all systems know the second.
_NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


# What the `ssl` module sets on its own errors.
_TLS_FACTS = ("library", "reason", "verify_code", "verify_message")
# How the complaint about what is no token begins.
_NO_TOKEN = "a token is str, bytes or Secret"


class SMTPNameError(SMTPUnreachableError, socket.gaierror):
    """The server's name could not be resolved."""

    @property
    def temporary(self) -> bool:
        """The resolver may know more later; that there is no such name will not change."""
        return self.errno not in _NO_SUCH_NAME


class SMTPTokenError(SMTPException):
    """The caller's token provider failed, or gave what is no token."""

    passing = False

    def what(self) -> str:
        """Say what the provider did, and which refusal made the client ask it again."""
        refused = f", asked again after {self.reply}" if self.reply else ""
        return printable(f"{self.args[0]}{refused}")

    @property
    def temporary(self) -> bool:
        """Whoever gives the tokens could not be reached; any other failure will be the same again."""
        return self.passing


class SMTPHandshakeError(SMTPSecurityError, ssl.SSLError):
    """The TLS handshake failed."""


class SMTPCertificateError(SMTPHandshakeError, ssl.SSLCertVerificationError):
    """The server's certificate could not be verified. Nothing was said to it."""


def translated(error: OSError, phase: Phase | None, server: Server) -> SMTPException:
    """Our error for one of the operating system's, the resolver's or of TLS."""
    made = _made(error, phase, server)
    made.phase = phase
    made.errno, made.strerror = error.errno, error.strerror
    if isinstance(made, ssl.SSLError):
        # An `except ssl.SSLError` that was written for the standard library reads these.
        for fact in _TLS_FACTS:
            if hasattr(error, fact):
                setattr(made, fact, getattr(error, fact))
    return made


def _made(error: OSError, phase: Phase | None, server: Server) -> SMTPException:
    words = error.strerror or str(error)
    match error:
        case ssl.SSLError() if made := _made_of_tls(error, phase, server):
            return made
        case socket.gaierror() if error.errno in _NO_SUCH_NAME:
            return SMTPNameError(f"the name {server.name} does not exist: {words}", advice="Check the host's name")
        case socket.gaierror():
            return SMTPNameError(f"{server.name} could not be resolved: {words}", advice="Check the host's name")
        case TimeoutError():
            return timeout(phase, server)
        case ConnectionRefusedError():
            advice = f"Check {_place(server)}, and whether the server runs"
            return SMTPConnectionRefused("nobody listens there", advice=advice)
        case _ if phase in {Phase.CONNECT, Phase.RESOLVE}:
            return SMTPUnreachableError(words, advice=f"Check {_place(server)}")
        case _:
            return SMTPConnectionReset(f"the connection broke: {words}")


def _place(server: Server) -> str:
    return "the path of the socket" if server.path else "host, port and network"


def _made_of_tls(error: ssl.SSLError, phase: Phase | None, server: Server) -> SMTPException | None:
    advice = tls_advice(error, server)
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message.rstrip(".")  # some have a full stop of their own
        return SMTPCertificateError(f"the certificate was not accepted: {reason}", advice=advice)
    if speaks_plain_text(error) and server.security is Security.IMPLICIT:
        return SMTPHandshakeError("the server does not speak TLS at once on this port", advice=advice)
    # With TLS 1.3 the server says only behind the handshake that it wants another certificate of the client.
    if phase is Phase.TLS or "ALERT" in (error.reason or ""):
        return SMTPHandshakeError(f"the TLS handshake failed: {error.strerror or error}", advice=advice)
    return None


def timeout(phase: Phase | None, server: Server) -> SMTPTimeoutError:
    """A deadline passed in this phase."""
    advice = None
    if phase is Phase.GREETING and server.security is not Security.IMPLICIT and not server.path:
        # RFC 8314 section 3: such a server waits for the client to begin, as the client waits for its greeting.
        advice = f"If port {server.port} speaks TLS at once, as 465 does, use implicit TLS (smtps)"
    elif phase in {Phase.CONNECT, Phase.RESOLVE}:
        advice = "A firewall may drop what goes to that port"
    limits = server.timeouts
    step = limits.content if phase is Phase.CONTENT else limits.reply
    if phase in {Phase.CONNECT, Phase.RESOLVE}:
        step = limits.connect
    words = f"a deadline passed: this step has {step:g} s, a whole send {limits.send:g} s"
    return SMTPTimeoutError(words, phase=phase, advice=advice)


def as_secret(token: object) -> Secret:
    """A token provider's answer. No traceback shows it: this frame forgets it first.

    Raises:
        TypeError: It is no token; its kind is named, not its value.
    """
    if isinstance(token, Secret):
        return token
    if isinstance(token, str | bytes) and token:
        return Secret(token)
    kind = "nothing" if not token else type(token).__name__
    del token
    raise TypeError(f"{_NO_TOKEN}; the provider gave {kind}")


def token_failure(error: Exception) -> SMTPException:
    """The caller's token provider raised this, or gave what is no token.

    The words of a provider's error stay in the cause: they may hold the token.
    """
    # Ours names a type and no value.
    ours = isinstance(error, TypeError) and str(error).startswith(_NO_TOKEN)
    words = str(error) if ours else type(error).__name__
    made = SMTPTokenError(f"the token provider failed: {words}", phase=Phase.AUTH, advice="See the error's cause")
    made.passing = isinstance(error, TimeoutError | ConnectionError)
    return made
