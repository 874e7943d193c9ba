"""`Wire`: a session with the TLS around it. Octets of the wire in, actions of the wire out.

TLS happens in memory (`ssl.MemoryBIO`), so whoever drives this sees every octet
that travels, records of the handshake included, and still needs no clock.
"""

import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress

from mailbridge.testing.actions import Action, End, StartTLS, Then, Write
from mailbridge.testing.session import Session

CHUNK = 65_536


class Wire:
    """Feeds a session from the wire, through TLS once there is TLS.

    Args:
        session: The server's side.
        context: Called when a handshake begins, for the server's certificate.
    """

    def __init__(self, session: Session, context: Callable[[], ssl.SSLContext]) -> None:
        self.session = session
        self._context = context
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._shaken: Callable[[], list[Action]] | None = None
        self._awaiting_hello = False

    def open(self, *, implicit: bool = False) -> list[Action]:
        """The client is there."""
        if not implicit:
            return self._send(self.session.open())
        self._begin_tls(lambda: self.session.open(tls=True))
        return []

    def receive(self, data: bytes) -> list[Action]:
        """Octets have arrived."""
        if self.session.ended:
            return []
        if self._tls is None:
            return self._send(self.session.receive(data))
        if self._awaiting_hello:
            self._awaiting_hello = False
            if refusal := self.session.refuse_tls():
                return refusal
        self._incoming.write(data)
        try:
            return list(self._through_tls(self._tls))
        except ssl.SSLError as error:
            self.session.gone(f"tls failed: {error.reason or error}")
            # The alert that tells the client why is waiting to leave.
            return [*self._ciphertext(), End(Then.CLOSE)]

    def say(self, data: bytes, then: Then) -> list[Action]:
        """Say something that nobody asked for, and `then`."""
        return [] if self._shaken else self._send(self.session.say(data, then))

    def impatient(self) -> list[Action]:
        """Nothing has arrived for too long."""
        return [] if self._shaken else self._send(self.session.impatient())

    def _begin_tls(self, shaken: Callable[[], list[Action]]) -> None:
        self._tls = self._context().wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._shaken = shaken
        self._awaiting_hello = True

    def _through_tls(self, tls: ssl.SSLObject) -> Iterator[Action]:
        if self._shaken is not None:
            finished = self._shake(tls)
            yield from self._ciphertext()
            if not finished:
                return
            shaken, self._shaken = self._shaken, None
            yield from self._send(shaken())
        for plaintext in self._plaintext(tls):
            yield from self._send(self.session.receive(plaintext))

    def _shake(self, tls: ssl.SSLObject) -> bool:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        connection = self.session.connection
        connection.tls_resumed = bool(tls.session_reused)
        names = (tls.getpeercert() or {}).get("subjectAltName", ())
        connection.client_certificate = tuple(str(name[1]) for name in names if isinstance(name, tuple))
        return True

    def _plaintext(self, tls: ssl.SSLObject) -> Iterator[bytes]:
        try:
            # b"" is the client's close_notify; its FIN follows and is the driver's to see.
            while not self.session.ended and (data := tls.read(CHUNK)):
                yield data
        except ssl.SSLWantReadError:
            return

    def _send(self, actions: list[Action]) -> list[Action]:
        return [sent for action in actions for sent in self._wrap(action)]

    def _wrap(self, action: Action) -> Iterator[Action]:
        match action:
            case StartTLS():
                self._begin_tls(self.session.tls_established)
            case Write() if self._shaken:
                pass  # last words that come before the handshake is over: nothing can be said in it
            case Write(data, pause) if self._tls is not None:
                self._tls.write(data)
                yield from self._ciphertext(pause)
            case End(Then.CLOSE) if self._tls is not None:
                yield from self._close_notify(self._tls)
                yield action
            case _:
                yield action

    def _close_notify(self, tls: ssl.SSLObject) -> Iterator[Action]:
        # The client's own close_notify is not waited for: some never send it.
        with suppress(ssl.SSLError):
            tls.unwrap()
        yield from self._ciphertext()

    def _ciphertext(self, pause: float = 0.0) -> Iterator[Action]:
        if self._outgoing.pending:
            yield Write(self._outgoing.read(), pause)
