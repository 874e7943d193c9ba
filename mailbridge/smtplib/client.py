"""`SMTP` and `SMTP_SSL`: how a connection comes about, and how it ends."""

from __future__ import annotations

import socket
import ssl
import sys
from typing import Any, Self

from ..errors import (
    SMTPConnectError,
    SMTPNotSupportedError,
    SMTPResponseException,
    SMTPSecurityError,
    SMTPServerDisconnected,
)
from ..server import Server
from ..tls import context_for
from .base import CodeAndText
from .names import names
from .reading import left_over
from .sending import Sending

SMTP_PORT = 25
SMTP_SSL_PORT = 465

# What "no timeout given" is called by everybody who hands one on to the socket module.
_DEFAULT: Any = socket._GLOBAL_DEFAULT_TIMEOUT  # type: ignore[attr-defined]  # noqa: SLF001 - the default of the signature


def verifying_context(keyfile: str | None, certfile: str | None, context: Any) -> Any:
    """The context of the caller, or one that verifies the server's certificate and name.

    Args:
        keyfile: The client's key (PEM).
        certfile: The client's certificate (PEM).
        context: An `ssl.SSLContext` instead of both.

    Raises:
        ValueError: Both ways at once, or a file that cannot be used.
    """
    if context is not None:
        for name, value in (("keyfile", keyfile), ("certfile", certfile)):
            if value is not None:
                raise ValueError(f"context and {name} arguments are mutually exclusive")
        return context
    if names["ssl"] is not ssl:
        # A program's test, or a library such as eventlet, has put its own module there.
        context = names["ssl"].create_default_context()
        if certfile is not None:
            context.load_cert_chain(certfile, keyfile)
        return context
    return context_for(Server("localhost", client_cert=certfile, client_key=keyfile))


class SMTP(Sending):
    """A connection to an SMTP server, with the methods, defaults and results of the standard module.

    Args:
        host: The server, perhaps with `:port`; where it is empty, call `connect` later.
        port: Its port; 0 is `default_port`.
        local_hostname: The name to say in EHLO; by default this machine's, as the resolver knows it.
        timeout: Seconds for connecting, and for each reply as a whole.
        source_address: The local address and port to connect from.

    Raises:
        SMTPConnectError: The greeting was not 220.
        OSError: No connection could be made: `ConnectionRefusedError`, `socket.gaierror`, ...
    """

    default_port = SMTP_PORT
    _dialled = ""

    def __init__(
        self,
        host: str = "",
        port: int = 0,
        local_hostname: str | None = None,
        timeout: Any = _DEFAULT,
        source_address: tuple[str, int] | None = None,
    ) -> None:
        self._host = self._dialled = host
        self.timeout = timeout
        self.esmtp_features = {}
        self.command_encoding = "ascii"
        self.source_address = source_address
        self._auth_challenge_count = 0
        if host:
            code, msg = self.connect(host, port)
            if code != 220:
                self.close()
                raise SMTPConnectError(code, msg)
        self.local_hostname = _own_name() if local_hostname is None else local_hostname

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        try:
            code, message = self.docmd("QUIT")
            if code != 221:
                raise SMTPResponseException(code, message)
        except SMTPServerDisconnected:
            pass
        finally:
            self.close()

    def _get_socket(self, host: str, port: int, timeout: Any) -> Any:
        """Connect. Programs replace this to go through a proxy."""
        _refuse_non_blocking(timeout)
        if self.debuglevel > 0:
            self._print_debug("connect: to", (host, port), self.source_address)
        return names["socket"].create_connection((host, port), timeout, self.source_address)

    def connect(
        self, host: str = "localhost", port: int = 0, source_address: tuple[str, int] | None = None
    ) -> CodeAndText:
        """Connect, and read the greeting.

        Args:
            host: The server; a suffix `:port` counts where `port` is 0.
            port: Its port; 0 is `default_port`.
            source_address: The local address and port to connect from.

        Returns:
            The greeting's code and text, whatever it is.
        """
        if source_address:
            self.source_address = source_address
        if not port and host.count(":") == 1:
            host, _, suffix = host.partition(":")
            try:
                port = int(suffix)
            except ValueError:
                raise OSError("nonnumeric port") from None
        port = port or self.default_port
        sys.audit("smtplib.connect", self, host, port)
        self._begin_anew(host)
        self.sock = self._get_socket(host, port, self.timeout)
        return self._greeting()

    def _begin_anew(self, host: str) -> None:
        """What an earlier connection taught is void for this one."""
        if self.sock or self.file:
            # Only then: a subclass's close() may need what its constructor has yet to set.
            self.close()
        self._await_nothing()
        self._forget()
        if self._host == self._dialled:
            # Otherwise a program has put a name there itself, to verify the certificate by.
            self._host = host
        self._dialled = host

    def _greeting(self) -> CodeAndText:
        self.file = None
        code, msg = self.getreply()
        if self.debuglevel > 0:
            self._print_debug("connect:", repr(msg))
        return code, msg

    def starttls(self, keyfile: str | None = None, certfile: str | None = None, context: Any = None) -> CodeAndText:
        """Begin TLS, after EHLO if needed; then say EHLO again. Without a context the server is verified.

        Args:
            keyfile: The client's key (PEM).
            certfile: The client's certificate (PEM).
            context: An `ssl.SSLContext` instead of both.

        Returns:
            The reply: 220.

        Raises:
            SMTPNotSupportedError: STARTTLS is not offered.
            SMTPResponseException: STARTTLS was refused.
            SMTPSecurityError: The server, or somebody in between, said more in clear behind its 220.
            ssl.SSLError: The handshake failed. As after the error above, the connection is closed.
        """
        context = verifying_context(keyfile, certfile, context)
        self.ehlo_or_helo_if_needed()
        if not self.has_extn("starttls"):
            raise SMTPNotSupportedError("STARTTLS extension not supported by server.")
        if not names["_have_ssl"]:
            raise RuntimeError("No SSL support included in this Python")
        resp, reply = self.docmd("STARTTLS")
        if resp != 220:
            raise SMTPResponseException(resp, reply)
        if left_over(self.file, self.sock):
            # CVE-2011-0411 and its family: it would be taken for what is said under TLS.
            self.close()
            raise SMTPSecurityError("the server sent more behind its reply to STARTTLS: somebody injects commands")
        try:
            self.sock = context.wrap_socket(self.sock, server_hostname=self._host)
        except BaseException:
            self.close()
            raise
        self.file = None
        # RFC 3207 section 4.2: forget all that was learned in plain text.
        self._forget()
        return resp, reply

    def quit(self) -> CodeAndText:
        """Say QUIT and close. A later `connect` begins anew."""
        res = self.docmd("quit")
        self._forget()
        self.close()
        return res


class SMTP_SSL(SMTP):  # noqa: N801 - the classic name
    """The same under TLS from the first octet (RFC 8314 section 3.3), on port 465.

    Args:
        host: As for `SMTP`.
        port: As for `SMTP`.
        local_hostname: As for `SMTP`.
        keyfile: The client's key (PEM).
        certfile: The client's certificate (PEM).
        timeout: As for `SMTP`.
        source_address: As for `SMTP`.
        context: An `ssl.SSLContext` instead of both files. Without one the server is verified.

    Raises:
        SMTPConnectError: The greeting was not 220.
        OSError: No connection could be made; `ssl.SSLError` is one too.
    """

    default_port = SMTP_SSL_PORT

    def __init__(
        self,
        host: str = "",
        port: int = 0,
        local_hostname: str | None = None,
        keyfile: str | None = None,
        certfile: str | None = None,
        timeout: Any = _DEFAULT,
        source_address: tuple[str, int] | None = None,
        context: Any = None,
    ) -> None:
        self.keyfile = keyfile
        self.certfile = certfile
        self.context = verifying_context(keyfile, certfile, context)
        super().__init__(host, port, local_hostname, timeout, source_address)

    def _get_socket(self, host: str, port: int, timeout: Any) -> Any:
        if self.debuglevel > 0:
            self._print_debug("connect:", (host, port))
        plain = super()._get_socket(host, port, timeout)
        try:
            return self.context.wrap_socket(plain, server_hostname=self._host)
        except BaseException:
            plain.close()
            raise


def _refuse_non_blocking(timeout: Any) -> None:
    if timeout is not None and not timeout:
        raise ValueError("Non-blocking socket (timeout=0) is not supported")


def _own_name() -> str:
    """RFC 5321 section 4.1.4: the machine's full name, or an address literal where it has none."""
    fqdn: str = names["socket"].getfqdn()
    if "." in fqdn:
        return fqdn
    try:
        return f"[{names['socket'].gethostbyname(names['socket'].gethostname())}]"
    except OSError:
        return "[127.0.0.1]"
