"""A connection that is opened like any other one, and watched."""

from __future__ import annotations

import socket

from .. import commands
from ..auth import Secret
from ..capabilities import Capabilities
from ..commands import Command
from ..conversations import Need
from ..facts import Phase, printable
from ..replies import Reply
from ..server import Server
from ..sync.connection import Connection
from ..sync.dialler import look_up
from ..tls import TLSInfo
from ..transcript import Transcript
from . import findings
from .attempts import dial_each, spelled
from .record import Facts, Record


class Listener(Transcript):
    """A transcript that keeps the last command and the last reply as such, and knows what must not be shown.

    Attributes:
        command: The last command.
        reply: The last reply.
    """

    command: Command | None = None
    reply: Reply | None = None

    def __init__(self, password: Secret | None) -> None:
        super().__init__()
        self._secrets = [password] if password else []

    def sent(self, command: Command, octets: bytes) -> None:
        """The client said something."""
        super().sent(command, octets)
        self.command = command
        match command:
            case commands.Auth(initial=bytes(said)) | commands.AuthResponse(response=said):
                self._secrets.append(Secret(said))

    def received(self, reply: Reply, *, secret: bool = False) -> None:
        """The server answered."""
        super().received(reply, secret=secret)
        self.reply = reply

    @property
    def repeats_secrets(self) -> bool:
        """The last reply holds what the client said: "syntax error in", and then the whole line."""
        said = self.reply.raw if self.reply else b""
        # One octet is no secret: "=" is an empty response.
        return any(secret.reveal() in said for secret in self._secrets if len(secret.reveal()) > 1)


class WatchedConnection(Connection):
    """A connection of which each step is recorded. It does what every one does, but that it dials all addresses.

    Attributes:
        record: The steps.
    """

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.record = Record(self.learned)
        password = server.password if isinstance(server.password, Secret) else None
        self.protocol.transcript = self.listener = Listener(password)

    def serve(self, need: Need) -> Secret | None:
        """Serve a need; the time belongs to the step that is waited for."""
        if need in {Need.TOKEN, Need.FRESH_TOKEN}:
            self.record.enter(Phase.AUTH)
        elif need is not Need.TLS and self.protocol.phase:
            self.record.enter(self.protocol.phase)
            self.record.note(_subject(self.protocol.phase, self.listener.command))
        return super().serve(need)

    def _secure(self) -> None:
        self.record.enter(Phase.TLS)
        super()._secure()

    def _dial(self, deadline: float) -> socket.socket:
        """Resolve the name, dial every address, keep the first one that answers."""
        if self.server.host:
            self.record.enter(Phase.RESOLVE)
        addresses = look_up(self.server, deadline)
        self.record.note({"addresses": [spelled(address) for address in addresses]})
        self.record.leave()
        attempts = dial_each(self.server, addresses, deadline)
        answered = [attempt.sock for attempt in attempts if attempt.sock]
        self.record.steps += [attempt.step(others_answer=bool(answered)) for attempt in attempts]
        for sock in answered[1:]:
            sock.close()
        if not answered:
            raise next(attempt.error for attempt in attempts if attempt.error)
        return answered[0]

    def learned(self, phase: Phase) -> tuple[Facts, str]:
        """What a step that went well has shown, and what is wrong all the same."""
        reply, offered = self.listener.reply, self.protocol.capabilities
        match phase:
            case Phase.RESOLVE:
                return {}, ""
            case Phase.AUTH if self.listener.repeats_secrets:
                return {}, ""
            case Phase.HELLO:
                return _offer(offered), "" if self.tls else findings.about_plain_text(offered, self.server)
            case Phase.TLS if self.tls:
                return _protection(self.tls), findings.about_tls(self.tls, self.server)
            case Phase.STARTTLS if reply and reply.refused:
                return {"reply": printable(str(reply))}, findings.STARTTLS_REFUSED
        return {"reply": printable(str(reply or ""))}, ""


def _subject(phase: Phase, command: Command | None) -> Facts:
    """What a step is about, by the command under way."""
    match phase, command:
        case Phase.AUTH, commands.Auth(mechanism=mechanism):
            return {"mechanism": mechanism}
        case Phase.MAIL, commands.Mail(sender=sender):
            return {"sender": str(sender or "<>")}
        case Phase.RCPT, commands.Rcpt(recipient=recipient):
            return {"recipient": str(recipient)}
    return {}


def _offer(offered: Capabilities) -> Facts:
    """The server's name, its extensions, and its mechanisms for AUTH."""
    extensions = [printable(f"{name} {value}".strip()) for name, value in offered.extensions.items() if name != "AUTH"]
    mechanisms = [printable(name) for name in offered.mechanisms]
    return {"name": printable(offered.name), "extensions": extensions, "auth": mechanisms}


def _protection(tls: TLSInfo) -> Facts:
    """Version and cipher; of a verified certificate its names and its end."""
    facts: Facts = {"version": tls.version, "cipher": tls.cipher}
    days = findings.days_left(tls)
    if tls.expires is None or days is None:
        return facts
    names = [printable(name) for name in tls.names]
    return facts | {"names": names, "expires": tls.expires.date().isoformat(), "days": days}
