"""A connection that is opened like any other one, and remembers each step with its time and what was learned."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from .. import commands
from ..auth import Secret
from ..commands import Command
from ..conversations import Need
from ..dialling import AddressInfo
from ..errors import SMTPException
from ..facts import Phase, printable
from ..replies import Reply
from ..server import Server
from ..sockets.racing import NO_WAY
from ..sync.connection import Connection
from ..sync.dialler import connect, look_up
from ..transcript import Transcript
from . import findings
from .diagnosis import Fact, Step

# Addresses that are dialled at the same time; no mail server has more.
AT_ONCE = 16


class Listener(Transcript):
    """A transcript that keeps the last command and the last reply as such."""

    command: Command | None = None
    reply: Reply | None = None

    def sent(self, command: Command, octets: bytes) -> None:
        """The client said something; the rest of an AUTH exchange says nothing about the mechanism."""
        super().sent(command, octets)
        if not isinstance(command, commands.AuthResponse):
            self.command = command

    def received(self, reply: Reply, *, secret: bool = False) -> None:
        """The server answered."""
        super().received(reply, secret=secret)
        self.reply = reply


class WatchedConnection(Connection):
    """A connection that remembers its steps.

    It says and does what every connection does, but that all addresses are dialled.

    Attributes:
        steps: What happened so far. A step ends when the next one begins, or when it failed.
    """

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.steps: list[Step] = []
        self.protocol.transcript = self._listener = Listener()
        self._name: Phase | None = None
        self._begun = 0.0
        self._said: dict[str, Fact] = {}

    def enter(self, phase: Phase) -> None:
        """A step begins, unless it is the present one that goes on."""
        if phase is not self._name:
            self.leave()
            self._name, self._begun = phase, time.monotonic()

    def leave(self) -> None:
        """The present step, if there is one, ended well."""
        if self._name:
            self._end(True, self._answered(), self._warning())

    def warn(self, finding: str) -> None:
        """The present step ended in a way that is worth a word."""
        self._end(True, {}, finding)

    def fail(self, error: SMTPException, finding: str) -> None:
        """The check ends with this error."""
        if self._name and error.phase in {self._name, None}:
            self._end(False, {}, finding)
            return
        self.leave()
        # Where no address answered, each has said so for itself.
        if not any(step.name == Phase.CONNECT and not step.ok for step in self.steps):
            self.steps.append(Step(error.phase or Phase.COMMAND, 0.0, False, {}, finding))

    def _end(self, ok: bool, facts: dict[str, Fact], finding: str) -> None:
        assert self._name is not None  # noqa: S101 - who ends a step has begun one
        self.steps.append(Step(self._name, time.monotonic() - self._begun, ok, self._said | facts, finding))
        self._name, self._said = None, {}

    # What a connection does, with an eye on it.

    def serve(self, need: Need) -> Secret | None:
        """Serve a need; the time belongs to the step that is waited for."""
        if need in {Need.TOKEN, Need.FRESH_TOKEN}:
            self.enter(Phase.AUTH)
        elif need is not Need.TLS and self.protocol.phase:
            self.enter(self.protocol.phase)
        self._said |= self._named()
        return super().serve(need)

    def _secure(self) -> None:
        self.enter(Phase.TLS)
        super()._secure()

    def _dial(self, deadline: float) -> socket.socket:
        """Resolve the name, try every address, keep the first one that answers."""
        if self.server.host:
            self.enter(Phase.RESOLVE)
        self._addresses = look_up(self.server, deadline)
        self.leave()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            attempts = list(pool.map(lambda address: _attempt(self.server, address, deadline), self._addresses))
        answered = [attempt.sock for attempt in attempts if attempt.sock]
        self.steps += [attempt.step(bool(answered)) for attempt in attempts]
        for sock in answered[1:]:
            sock.close()
        if not answered:
            raise next(attempt.error for attempt in attempts if attempt.error)
        return answered[0]

    # What is learned.

    def _named(self) -> dict[str, Fact]:
        """What the command under way is about."""
        match self._name, self._listener.command:
            case Phase.AUTH, commands.Auth(mechanism=mechanism):
                return {"mechanism": mechanism}
            case Phase.MAIL, commands.Mail(sender=sender):
                return {"sender": str(sender or "<>")}
            case Phase.RCPT, commands.Rcpt(recipient=recipient):
                return {"recipient": str(recipient)}
        return {}

    def _answered(self) -> dict[str, Fact]:
        """What a step that went well has shown."""
        match self._name:
            case Phase.RESOLVE:
                return {"addresses": [_spelled(address) for address in self._addresses]}
            case Phase.HELLO:
                return self._capabilities()
            case Phase.TLS:
                return self._protection()
        return {"reply": printable(str(self._listener.reply or ""))}

    def _capabilities(self) -> dict[str, Fact]:
        offered = self.protocol.capabilities
        extensions = [printable(" ".join(item).strip()) for item in offered.extensions.items() if item[0] != "AUTH"]
        mechanisms = [printable(name) for name in offered.mechanisms]
        return {"name": printable(offered.name), "extensions": extensions, "auth": mechanisms}

    def _protection(self) -> dict[str, Fact]:
        assert self.tls is not None  # noqa: S101 - the handshake is done
        facts: dict[str, Fact] = {"version": self.tls.version, "cipher": self.tls.cipher}
        days = findings.days_left(self.tls)
        if self.tls.expires is None or days is None:
            return facts
        names = [printable(name) for name in self.tls.names]
        return facts | {"names": names, "expires": self.tls.expires.isoformat(), "days": days}

    def _warning(self) -> str:
        match self._name:
            case Phase.TLS if self.tls:
                return findings.about_tls(self.tls, self.server)
            case Phase.HELLO if not self.tls:
                return findings.about_plain_text(self.protocol.capabilities, self.server)
            case Phase.STARTTLS if self._listener.reply and self._listener.reply.refused:
                return findings.STARTTLS_REFUSED
        return ""


class _Attempt(NamedTuple):
    """One address that was dialled."""

    address: str
    seconds: float
    sock: socket.socket | None
    error: SMTPException | None

    def step(self, others_answer: bool) -> Step:
        """What became of it. No way to a whole family of addresses is worth no word where the other one leads there."""
        facts: dict[str, Fact] = {"address": self.address}
        if self.error is None:
            return Step(Phase.CONNECT, self.seconds, True, facts)
        if others_answer and self.error.errno in NO_WAY:
            return Step(Phase.CONNECT, self.seconds, True, facts | {"error": self.error.what()})
        said = findings.one_address(self.error) if others_answer else findings.complaint(self.error)
        return Step(Phase.CONNECT, self.seconds, others_answer, facts, said)


def _attempt(server: Server, address: AddressInfo, deadline: float) -> _Attempt:
    begun, sock, failed = time.monotonic(), None, None
    try:
        sock = connect(server, [address], deadline)
    except SMTPException as error:
        failed = error
    return _Attempt(_spelled(address), time.monotonic() - begun, sock, failed)


def _spelled(address: AddressInfo) -> str:
    """An internet address without its port, or the path of a unix socket."""
    return str(address[4][0]) if isinstance(address[4], tuple) else str(address[4])
