"""`ScriptedServer`: a server on a real socket that does what a test says."""

import selectors
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from mailbridge.testing.actions import Then
from mailbridge.testing.awaiting import PATIENCE, Awaited
from mailbridge.testing.certificates import Authority, CertificateKind
from mailbridge.testing.extensions import DEFAULT_EXTENSIONS
from mailbridge.testing.records import Accepted, Connection, Record
from mailbridge.testing.script import Script
from mailbridge.testing.serving import Served
from mailbridge.testing.session import Session
from mailbridge.testing.settings import Settings, TLSMode
from mailbridge.testing.wire import Wire


class ScriptedServer(Script, Awaited):
    """An SMTP or LMTP server on loopback that misbehaves on demand; for `with` and for `async with`.

    Every method of `Script` may be called at any time.

    Args:
        lmtp: Speak LMTP (RFC 2033).
        extensions: Announced in EHLO, each "NAME" or "NAME parameters"; STARTTLS and AUTH
            are added by `tls` and `accounts`.
        tls: None, "starttls" or "implicit".
        certificate: "good", "self-signed", "expired" or "wrong-name".
        accounts: User to password or token; with "starttls", AUTH is announced under TLS only.
        auth: The SASL mechanisms announced.
        require_auth: Answer 530 to MAIL before a login.
        max_recipients: Answer 452 4.5.3 to RCPT beyond so many.
        lax_newlines: Take a bare LF for a line end, as the servers behind SMTP smuggling do.
        strict_pipelining: Answer 554 and close when a client sends ahead without PIPELINING,
            or behind a command that must end its group (RFC 2920 section 3.1).
        name: The server's name in its greeting.
        host: The address to listen on, 127.0.0.1 or ::1.
        unix: Listen on a unix socket in a temporary folder instead.
    """

    def __init__(
        self,
        *,
        lmtp: bool = False,
        extensions: Iterable[str] = DEFAULT_EXTENSIONS,
        tls: TLSMode | None = None,
        certificate: CertificateKind = "good",
        accounts: Mapping[str, str] | None = None,
        auth: tuple[str, ...] = ("PLAIN", "LOGIN"),
        require_auth: bool = False,
        max_recipients: int | None = None,
        lax_newlines: bool = False,
        strict_pipelining: bool = True,
        name: str = "scripted.test",
        host: str = "127.0.0.1",
        unix: bool = False,
    ) -> None:
        settings = Settings(
            lmtp=lmtp,
            tls=tls,
            name=name,
            accounts=accounts if accounts is not None else {},
            auth=auth,
            require_auth=require_auth,
            max_recipients=max_recipients,
            lax_newlines=lax_newlines,
            strict_pipelining=strict_pipelining,
        )
        super().__init__(settings, extensions)
        self.host = host
        self.port = 0
        self._unix = unix
        self._certificate: CertificateKind = certificate
        self._record = Record()
        self._changed = threading.Condition(threading.RLock())
        self._stopping = threading.Event()
        self._failures: list[BaseException] = []
        self._served: list[Served] = []

    # What a test asks afterwards.

    @property
    def messages(self) -> list[Accepted]:
        """The messages that the server took responsibility for, so far."""
        with self._changed:
            return list(self._record.messages)

    @property
    def lines(self) -> list[bytes]:
        """Every line outside content, without its CRLF, from all connections."""
        with self._changed:
            return list(self._record.lines)

    @property
    def connections(self) -> list[Connection]:
        """All connections there were, in order."""
        with self._changed:
            return list(self._record.connections)

    def clear(self) -> list[Accepted]:
        """Forget the messages, the lines and the connections that have ended: for what runs long, or in phases.

        Returns:
            The messages since it was called last.
        """
        with self._changed:
            return self._record.clear()

    def wait_for(self, condition: Callable[[], object], timeout: float = PATIENCE) -> None:
        """Wait until `condition()` is true; it is asked again whenever something happened.

        Args:
            condition: Asked under the server's lock, so it must not wait for anything itself.
            timeout: Seconds.

        Raises:
            TimeoutError: it did not become true in time.
        """
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                raise TimeoutError(f"still not true after {timeout} s")

    # Where a client finds it.

    @cached_property
    def _folder(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="scripted-")

    @property
    def path(self) -> str:
        """The path of the unix socket."""
        return str(Path(self._folder.name, "socket"))

    @property
    def authority(self) -> Authority:
        """Who signed the server's certificate."""
        # The first handshake and the test may both be the first to ask.
        with self._changed:
            return self._authority

    @cached_property
    def _authority(self) -> Authority:
        return Authority(self._certificate)

    @property
    def tls_context(self) -> ssl.SSLContext:
        """The server's own context; change it before the first handshake."""
        with self._changed:
            return self._tls_context

    @cached_property
    def _tls_context(self) -> ssl.SSLContext:
        return self.authority.server_context()

    @property
    def ca_pem(self) -> bytes:
        """The certificate that a client must trust."""
        return self.authority.ca_pem

    @cached_property
    def ca_file(self) -> str:
        """A file that holds `ca_pem`; it lives as long as the server."""
        path = Path(self._folder.name, "ca.pem")
        path.write_bytes(self.ca_pem)
        return str(path)

    def client_certificate(self, name: str) -> str:
        """A file with a certificate for `name` and its key, which this server will recognise."""
        return str(self.authority.client_certificate(name, Path(self._folder.name)))

    @property
    def url(self) -> str:
        """The server as a mailbridge URL, without credentials."""
        return self.url_for()

    def url_for(self, user: str | None = None) -> str:
        """The server as a mailbridge URL, with the credentials of one of its accounts."""
        login = ""
        if user is not None:
            login = f"{quote(user, safe='')}:{quote(self.settings.accounts[user], safe='')}@"
        if self._unix:
            if not self.settings.lmtp:
                raise ValueError("no URL names SMTP on a unix socket: use mailbridge.Server(path=server.path)")
            return f"lmtp://{login}{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.settings.tls is None:
            scheme = "lmtp" if self.settings.lmtp else "smtp"
            return f"{scheme}://{login}{host}:{self.port}?security=none"
        if self.settings.lmtp:
            security = f"security={self.settings.tls}&ca_file={quote(self.ca_file)}"
            return f"lmtp://{login}localhost:{self.port}?{security}"
        scheme = "smtps" if self.settings.tls == "implicit" else "smtp+starttls"
        return f"{scheme}://{login}localhost:{self.port}?ca_file={quote(self.ca_file)}"

    # Its life.

    def __enter__(self) -> Self:
        self._listener = self._listen()
        self._bell, self._rope = socket.socketpair()
        self._acceptor = threading.Thread(target=self._accept_all, name="scripted", daemon=True)
        self._acceptor.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        # The test's own failure comes first.
        if error is None:
            self._complain()

    def hang_up(self, then: Then = Then.DROP, saying: bytes = b"") -> None:
        """End all open connections now, perhaps with last words; returns when it is done."""
        with self._changed:
            served = [thread for thread in self._served if thread.is_alive()]
        for thread in served:
            thread.interrupt(saying, then)
            if then in (Then.DROP, Then.RESET):
                thread.join(PATIENCE)

    def close(self) -> None:
        """Stop listening, end all connections and threads. Waits `PATIENCE` seconds at most for each."""
        self._stopping.set()
        self._rope.close()
        self._acceptor.join(PATIENCE)
        for thread in self._served:
            thread.stop()
        for thread in self._served:
            thread.join(PATIENCE)
        self._listener.close()
        self._bell.close()
        self._folder.cleanup()

    def _complain(self) -> None:
        alive = [thread.name for thread in self._served if thread.is_alive()]
        if self._failures:
            raise self._failures[0]
        if alive:
            raise RuntimeError(f"threads that did not end: {alive}")
        if self._record.surprises:
            raise AssertionError("; ".join(self._record.surprises))

    def _listen(self) -> socket.socket:
        if self._unix:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(self.path)
            listener.listen()
            return listener
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.create_server((self.host, 0), family=family, backlog=128)
        self.port = listener.getsockname()[1]
        return listener

    def _accept_all(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._bell, selectors.EVENT_READ)
            while True:
                selector.select()
                if self._stopping.is_set():
                    return
                try:
                    self._accept(self._listener.accept()[0])
                except BaseException as error:  # noqa: BLE001  # raised in the test by __exit__
                    self._failures.append(error)

    def _accept(self, client: socket.socket) -> None:
        if not self._unix:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._changed:
            served = Served(
                client,
                Wire(Session(self, self._record), lambda: self.tls_context),
                implicit=self.settings.tls == "implicit",
                changed=self._changed,
                stopping=self._stopping,
                failed=self._failures.append,
            )
            # The threads of connections that have ended are not kept.
            self._served = [each for each in self._served if each.is_alive()] + [served]
            self._changed.notify_all()
        served.start()
