"""What a second connection can tell where the first one failed. It carries neither login nor mail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..errors import SMTPException, SMTPServerDisconnected, SMTPTimeoutError
from ..facts import Phase
from ..server import Security, Server
from ..sync.connection import Connection
from ..tls import TLSInfo, context_for, is_for_another_name
from ..translation import SMTPCertificateError
from . import findings

_NO_LOGIN: dict[str, Any] = {"username": "", "password": None, "token_provider": None, "auth": (), "authzid": ""}
# A context says all that these options say, and allows none beside it.
_NO_TLS_OPTIONS: dict[str, Any] = {
    **dict.fromkeys(("ca_file", "ca_path", "client_cert", "client_key", "client_key_password")),
    "danger_accept_any_certificate": False,
    "minimum_tls": "TLSv1.2",
}


def explain(error: SMTPException, server: Server, deadline: float) -> str:
    """The finding for an error that ended a check.

    Args:
        error: The error.
        server: Who was checked.
        deadline: The moment to give up, on the monotonic clock.
    """
    if isinstance(error, SMTPCertificateError) and is_for_another_name(error):
        return _names(error, server, deadline)
    if error.phase is Phase.GREETING and isinstance(error, SMTPServerDisconnected) and error.reply is None:
        return _silence(error, server, deadline)
    return findings.complaint(error, server)


def _names(error: SMTPException, server: Server, deadline: float) -> str:
    """For whom the certificate is, seen through a context that takes any name; a context of the caller's has none."""
    if server.ssl_context is None:
        tls, _ = _look(server, deadline, ssl_context=context_for(server, any_name=True), **_NO_TLS_OPTIONS)
        if tls is not None:
            return findings.another_name(tls.names, server)
    return findings.complaint(error, server)


def _silence(error: SMTPException, server: Server, deadline: float) -> str:
    """RFC 8314 section 3: a server that speaks TLS at once waits for the client to begin."""
    if server.host and server.security is not Security.IMPLICIT:
        tls, failed = _look(server, deadline, security=Security.IMPLICIT)
        if tls is not None or isinstance(failed, SMTPCertificateError):
            return findings.at_once(server)
    return findings.silent(server) if isinstance(error, SMTPTimeoutError) else findings.complaint(error, server)


def _look(server: Server, deadline: float, **options: Any) -> tuple[TLSInfo | None, SMTPException | None]:
    """Open a connection and close it; say what protected it, and what went wrong."""
    connection, failed = Connection(replace(server, **_NO_LOGIN, **options)), None
    try:
        connection.open(deadline)
    except SMTPException as error:
        failed = error
    finally:
        connection.close()
    return connection.tls, failed
