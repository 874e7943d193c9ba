"""One SSLContext per configuration. Making one costs 15 ms of CPU, most of it the system's certificates."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from .auth import Secret
from .errors import SMTPInputError
from .facts import Phase, printable
from .logs import emit
from .server import Security, Server


def context_for(server: Server, *, any_name: bool = False) -> ssl.SSLContext:
    """The context for a server: the caller's own, or the one that its options describe.

    Args:
        server: The server.
        any_name: Take a certificate that is for another name: to look at it, never for mail.

    Raises:
        SMTPInputError: A file of certificates or keys cannot be used.
    """
    if server.ssl_context is not None:
        return server.ssl_context
    key_password = server.client_key_password
    files = tuple(_stamped(name) for name in (server.ca_file, server.ca_path, server.client_cert, server.client_key))
    return _context(
        files,
        key_password if isinstance(key_password, Secret) else None,
        server.minimum_tls,
        not server.danger_accept_any_certificate,
        any_name,
    )


def _stamped(name: str | None) -> tuple[str | None, int]:
    """A file and when it was written last: a certificate that was renewed makes another context."""
    try:
        return name, Path(name).stat().st_mtime_ns if name else 0
    except OSError:
        return name, 0  # the context's making says what is wrong with it


@lru_cache(maxsize=32)
def _context(
    files: tuple[tuple[str | None, int], ...], key_password: Secret | None, minimum: str, verify: bool, any_name: bool
) -> ssl.SSLContext:
    ca_file, ca_path, client_cert, client_key = (name for name, _ in files)
    with _naming(ca_path=ca_path):
        if ca_path:
            next(Path(ca_path).iterdir(), None)  # OpenSSL says nothing about a directory that is not there
    with _naming(ca_file=ca_file):
        # With a CA of the caller's own the system's are not trusted beside it.
        context = ssl.create_default_context(cafile=ca_file, capath=ca_path)
    if client_cert:
        _load_client(context, client_cert, client_key, key_password)
    # RFC 8996: TLS 1.0 and 1.1 are no more. RFC 8314 section 4: verify.
    context.minimum_version = ssl.TLSVersion[minimum.replace(".", "_")]
    if any_name:
        context.check_hostname = False
    if not verify:
        emit(logging.WARNING, "TLS certificates are not verified: anybody on the way can read mail and password")
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


@contextmanager
def _naming(**files: str | None) -> Iterator[None]:
    """Say which file it is that cannot be used."""
    try:
        yield
    except (OSError, ValueError) as error:
        named = " with ".join(f"{option} ({printable(name)})" for option, name in files.items() if name)
        complaint = f"{named or 'the CA certificates of the system'} cannot be used: {error}"
        raise SMTPInputError(complaint, phase=Phase.TLS) from error


def _load_client(context: ssl.SSLContext, cert: str, key: str | None, password: Secret | None) -> None:
    with _naming(client_cert=cert):
        Path(cert).open("rb").close()
    with _naming(client_key=key):
        Path(key or cert).open("rb").close()
    with _naming(client_cert=cert, client_key=key):
        context.load_cert_chain(cert, key, password.reveal if password else None)


@dataclass(frozen=True, slots=True)
class TLSInfo:
    """What protects a connection.

    Attributes:
        version: Such as "TLSv1.3".
        cipher: Such as "TLS_AES_256_GCM_SHA384".
        expires: When the server's certificate expires; None where it was not verified.
        names: The names that the certificate is for.
        resumed: An earlier session was taken up again.
    """

    version: str
    cipher: str
    expires: datetime | None
    names: tuple[str, ...]
    resumed: bool


def describe(connection: ssl.SSLSocket | ssl.SSLObject) -> TLSInfo:
    """Say what protects an established connection."""
    certificate: dict[str, Any] = connection.getpeercert() or {}
    not_after = certificate.get("notAfter")
    cipher = connection.cipher()
    return TLSInfo(
        version=connection.version() or "",
        cipher=cipher[0] if cipher else "",
        expires=datetime.fromtimestamp(ssl.cert_time_to_seconds(not_after), UTC) if not_after else None,
        names=tuple(value for _, value in certificate.get("subjectAltName", ())),
        resumed=bool(connection.session_reused),
    )


# X509_V_ERR_*: what OpenSSL says of a certificate, and what to do about it.
_VERIFY_ADVICE = {
    9: "Check the clock of this machine",
    10: "It must be renewed on the server",
    **dict.fromkeys((18, 19, 20, 21), "Trust the CA that signed it by ca_file, if it is yours"),
}
# X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH.
_WRONG_NAME = {62, 64}


def is_for_another_name(error: ssl.SSLError) -> bool:
    """The certificate is good, but the server was called by a name that it does not hold."""
    return isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _WRONG_NAME


def speaks_plain_text(error: ssl.SSLError) -> bool:
    """What came in place of a handshake looks like anything but TLS."""
    return error.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST"}


def advice(error: ssl.SSLError, server: Server) -> str:
    """What to try after a handshake that failed, in one sentence."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if is_for_another_name(error):
            return f"Use a name that the certificate is for instead of {printable(server.name)}"
        return _VERIFY_ADVICE.get(error.verify_code, "The certificate must be replaced on the server")
    if speaks_plain_text(error) and server.security is Security.IMPLICIT:
        return "Use STARTTLS (smtp+starttls), or port 465"
    return f"The server may know only TLS versions older than {server.minimum_tls}, or want a client certificate"
