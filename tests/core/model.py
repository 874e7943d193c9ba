"""The scripted server of `mailbridge.testing` as the other end of a conversation, in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from mailbridge.auth import Secret
from mailbridge.conversations import Need, open_session
from mailbridge.errors import SMTPConnectionReset, SMTPTimeoutError
from mailbridge.protocol import SMTPProtocol
from mailbridge.server import Security, Server
from mailbridge.sync.connection import drive
from mailbridge.testing import Action, End, Record, Script, Session, Then, Write

PLAIN = Server("mail.example.com", security=Security.NONE)


class Model:
    """A client's driver whose every connection ends at a `Session` of one script.

    Attributes:
        record: What the server remembers.
        waited: How often the client waited for a server that had nothing more to say, and had not been cut.
    """

    def __init__(self, script: Script, server: Server = PLAIN, *, octets: int = 1 << 20) -> None:
        """Serve by a script.

        Args:
            script: What the server does.
            server: What the client asks for.
            octets: How much leaves in the first write of a flight; each further one takes twice as much.
        """
        self.record = Record()
        self.waited = 0
        self.smtp: SMTPProtocol | None = None
        self._script, self._server, self._octets = script, server, octets

    def connect(self) -> SMTPProtocol:
        """A fresh connection, greeted and opened."""
        self.smtp = SMTPProtocol(lmtp=self._server.lmtp)
        self._session = Session(self._script, self.record)
        self._events: deque[bytes | Then] = deque()
        self._collect(self._session.open())
        drive(open_session(self.smtp, self._server, "me"), self.serve)
        return self.smtp

    def serve(self, need: Need) -> Any:
        """Serve one need as a driver would."""
        if need is Need.CONNECTION:
            return self.connect()
        self._transmit()
        if need is Need.TLS:
            self.smtp.tls_established()
            self._collect(self._session.tls_established())
        elif need in {Need.TOKEN, Need.FRESH_TOKEN}:
            assert self._server.token_provider
            return Secret(self._server.token_provider())
        elif need is Need.DATA:
            self._happen()
        return None

    def _collect(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Write):
                self._events.append(action.data)
            elif isinstance(action, End):
                self._events.append(action.then)

    def _transmit(self) -> None:
        size = self._octets
        while data := bytes(self.smtp.data_to_send()[:size]):
            size *= 2
            if Then.RESET in self._events:
                # A write meets the reset, but what the server said before it can still be read (SERVERS.md R4).
                while not self.smtp.over:
                    self._happen()
            self.smtp.sent(len(data))
            self._collect(self._session.receive(data))

    def _happen(self) -> None:
        self.waited += not self._events
        event = self._events.popleft() if self._events else Then.SILENCE
        if isinstance(event, bytes):
            self.smtp.receive_data(event)
        elif event in {Then.CLOSE, Then.DROP}:
            self.smtp.receive_data(b"")
        else:
            phase, dismissed = self.smtp.phase, self.smtp.dismissal
            self.smtp.connection_lost()
            if dismissed:
                raise self.smtp.ending()
            raise (SMTPConnectionReset if event is Then.RESET else SMTPTimeoutError)("cut", phase=phase)
