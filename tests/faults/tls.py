"""TLS over a line: a socket that the `ssl` module's own class is the face of, and that keeps its records in memory."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any, cast

from mailbridge.testing.certificates import Authority
from tests.faults.line import Plug

CHUNK = 65_536


class SecuredPlug(ssl.SSLSocket):
    """What `SSLContext.wrap_socket` makes of a plug, where the context is told to (`sslsocket_class`)."""

    _plug: Plug
    _tls: ssl.SSLObject
    _incoming: ssl.MemoryBIO
    _outgoing: ssl.MemoryBIO
    _pending: bytes
    _retried: int

    @classmethod
    def _create(cls, sock: Any, **options: Any) -> SecuredPlug:
        self = cls.__new__(cls)
        self._plug, self._pending, self._retried = sock, b"", 0
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context: ssl.SSLContext = options["context"]
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=options["server_hostname"], session=options["session"]
        )
        return self

    # What goes out.

    def do_handshake(self, block: bool = False) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                if not self._fill():
                    raise
            except ssl.SSLError:
                self._flush()  # the alert
                raise
            else:
                self._flush()
                return

    def send(self, data: Any, flags: int = 0) -> int:
        if not self._retried:
            self._line.offered += data
            self._pending, self._retried = b"", self._tls.write(data)
        self._flush()
        taken, self._retried = self._retried, 0
        return taken

    def _flush(self) -> None:
        self._pending += self._outgoing.read()
        while self._pending:
            try:
                self._pending = self._pending[self._line.take(self._pending) :]
            except BlockingIOError:
                raise ssl.SSLWantWriteError from None

    # What comes in.

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        while True:
            try:
                data = self._tls.read(buflen)
            except ssl.SSLWantReadError:
                if not self._fill():
                    raise
            else:
                self._line.heard += data
                return data

    def _fill(self) -> bool:
        try:
            data = self._line.give(CHUNK, peek=False)
        except BlockingIOError:
            return False
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        return True

    # The rest.

    @property
    def _line(self) -> Any:
        return self._plug.line

    def unwrap(self) -> Any:
        try:
            self._tls.unwrap()
        finally:
            self._flush()

    def pending(self) -> int:
        return self._tls.pending()

    def version(self) -> str | None:
        return self._tls.version()

    def cipher(self) -> Any:
        return self._tls.cipher()

    def getpeercert(self, binary_form: bool = False) -> Any:
        return self._tls.getpeercert(binary_form)

    @property
    def context(self) -> ssl.SSLContext:  # type: ignore[override]  # typeshed takes these three for attributes
        return self._tls.context

    @property
    def session(self) -> ssl.SSLSession | None:  # type: ignore[override]  # see context
        return self._tls.session

    @property
    def session_reused(self) -> bool | None:
        return self._tls.session_reused

    def fileno(self) -> int:
        return self._plug.fileno()

    def close(self) -> None:
        self._plug.close()


class SwiftPlug(SecuredPlug):
    """The same, taking up the first session that there was. Each context has a class of its own."""

    _kept: ssl.SSLSession | None = None

    @classmethod
    def _create(cls, sock: Any, **options: Any) -> SecuredPlug:
        return super()._create(sock, **options | {"session": cls._kept})

    def do_handshake(self, block: bool = False) -> None:
        super().do_handshake(block)
        type(self)._kept = self._kept or self._tls.session


@dataclass(frozen=True, slots=True)
class Contexts:
    """The server's side and the client's, which makes plugs."""

    server: ssl.SSLContext
    client: ssl.SSLContext


def over_sockets() -> Contexts:
    """TLS as it comes: the newest version, a certificate that is verified."""
    authority = Authority()
    return Contexts(authority.server_context(), ssl.create_default_context(cadata=authority.ca_pem.decode()))


def full() -> Contexts:
    """The same in memory."""
    contexts = over_sockets()
    contexts.client.sslsocket_class = cast("type[ssl.SSLSocket]", SecuredPlug)
    return contexts


def swift() -> Contexts:
    """Records that are as good, behind a handshake that takes a tenth of the time: nobody proves who he is."""
    contexts = Contexts(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    contexts.client.check_hostname = False
    contexts.client.verify_mode = ssl.CERT_NONE
    for context in (contexts.server, contexts.client):
        context.set_ciphers("AECDH-AES128-SHA:@SECLEVEL=0")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    contexts.client.sslsocket_class = cast("type[ssl.SSLSocket]", type("Plug", (SwiftPlug,), {}))
    return contexts
