"""The public faces of the core, each with the same few verbs. Those of the frameworks stand in `frameworks`."""

import asyncio
import smtplib as standard
import socket
import ssl
from collections.abc import Callable
from typing import Any, ClassVar, Self

import mailbridge
import mailbridge.asyncio
from mailbridge import Server, Timeouts, smtplib
from mailbridge.testing import ScriptedServer
from tests.security.letters import Letter, Outcome


class Face:
    """One way into mailbridge.

    Attributes:
        name: As the matrix shows it.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self.way: dict[str, Any] = {}

    def to(self, server: ScriptedServer, user: str | None = None, **way: Any) -> Self:
        """Send to this server from now on, logged in as one of its accounts where a user is named."""
        settings = server.settings
        found: dict[str, Any] = {"host": server.host, "port": server.port, "security": "none"}
        if settings.tls is not None:
            found |= {"host": "localhost", "security": settings.tls, "ca_file": server.ca_file}
        if settings.lmtp:
            found["lmtp"] = True
        if user is not None:
            found |= {"username": user, "password": settings.accounts[user]}
        return self.by(**(found | way))

    def by(self, **way: Any) -> Self:
        """Send this way from now on: what `Server` is told, by its own names; `timeout` is seconds for each wait."""
        self.close()
        self.way = {key: value for key, value in way.items() if value is not None}
        return self

    def send(self, letter: Letter) -> Outcome:
        """Send a letter by the face's own verbs; an error of any kind is in the outcome."""
        try:
            return self._sent(letter)
        except Exception as error:  # noqa: BLE001 - whatever comes out of a face is what the test looks at
            return Outcome.of(None, error)

    def prepare(self) -> None:
        """Do what takes time or memory and has nothing to do with a letter."""

    def close(self) -> None:
        """Let go of all connections."""

    def _sent(self, letter: Letter) -> Outcome:
        raise NotImplementedError

    def _server(self) -> Server:
        way = dict(self.way)
        if seconds := way.pop("timeout", None):
            way["timeouts"] = Timeouts(connect=seconds, reply=seconds, content=seconds)
        return Server(**way)


def envelope(letter: Letter) -> dict[str, Any]:
    """The envelope of a letter that has one of its own, and what it asks for."""
    found: dict[str, Any] = {}
    if letter.recipients is not None:
        found["recipients"] = list(letter.recipients)
    if letter.reverse_path is not None:
        found["sender"] = letter.reverse_path
    if letter.envid is not None:
        found["options"] = mailbridge.MailOptions(envid=letter.envid)
    return found


def words(letter: Letter) -> list[str]:
    """What a letter asks for, as words behind MAIL."""
    return [] if letter.envid is None else [f"ENVID={letter.envid}"]


def harmless(letter: Letter) -> Any:
    """The content: where the envelope is the hostile part, the header is not."""
    if letter.as_octets:
        return letter.octets()
    if letter.recipients is None and letter.reverse_path is None:
        return letter.rendered()
    return Letter(letter.subject, body=letter.body).rendered()


class Sync(Face):
    """`mailbridge.Client` and `mailbridge.Pool`."""

    kind: ClassVar[Callable[..., Any]]

    def __init__(self) -> None:
        super().__init__()
        self._sender: Any = None

    def _sent(self, letter: Letter) -> Outcome:
        if self._sender is None:
            self._sender = type(self).kind(self._server())
        return Outcome.of(self._sender.send(harmless(letter), **envelope(letter)))

    def close(self) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()


class Client(Sync):
    name = "Client"
    kind = mailbridge.Client


class Pool(Sync):
    name = "Pool"
    kind = mailbridge.Pool


class Asyncio(Sync):
    """The same for asyncio, in a loop that lives as long as the face."""

    def __init__(self) -> None:
        super().__init__()
        self._runner: asyncio.Runner | None = None

    def _sent(self, letter: Letter) -> Outcome:
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(self._send(letter))

    async def _send(self, letter: Letter) -> Outcome:
        if self._sender is None:
            self._sender = type(self).kind(self._server())
        return Outcome.of(await self._sender.send(harmless(letter), **envelope(letter)))

    def close(self) -> None:
        sender, self._sender = self._sender, None
        runner, self._runner = self._runner, None
        if runner is not None:
            if sender is not None:
                runner.run(sender.close())
            runner.close()


class AsyncClient(Asyncio):
    name = "asyncio.Client"
    kind = mailbridge.asyncio.Client


class AsyncPool(Asyncio):
    name = "asyncio.Pool"
    kind = mailbridge.asyncio.Pool


class Far(socket.socket):
    """A socket whose peer is another machine, as far as it says."""

    def getpeername(self) -> tuple[str, int]:
        return "192.0.2.1", 25


class Classic(Face):
    """`mailbridge.smtplib`, as a program of the standard module's uses it."""

    name = "smtplib"

    def __init__(self) -> None:
        super().__init__()
        self.smtp: smtplib.SMTP | None = None

    def _sent(self, letter: Letter) -> Outcome:
        if self.smtp is None or self.smtp.sock is None:
            self._connect()
        assert self.smtp is not None
        envelope = {"from_addr": letter.reverse_path, "to_addrs": letter.recipients}
        if letter.as_octets:
            self.smtp.sendmail(letter.sender, letter.to, letter.octets())
            return Outcome(None, None, letter.to)
        try:
            refused = self.smtp.send_message(harmless(letter), mail_options=words(letter), **envelope)
        except standard.SMTPRecipientsRefused as error:
            return Outcome(error, getattr(error, "receipt", None))
        return Outcome(None, None, tuple(to for to in letter.recipients or letter.to if to not in refused))

    def _connect(self) -> None:
        way = self.way
        options = {"timeout": way.get("timeout", 5), "local_hostname": way.get("local_hostname", "client.test")}
        context = None
        if "ca_file" in way:
            context = ssl.create_default_context(cafile=way["ca_file"])
        if way.get("danger_accept_any_certificate"):
            context = ssl._create_unverified_context()
        if way["security"] == "implicit":
            self.smtp = smtplib.SMTP_SSL(way["host"], way["port"], context=context, **options)
        else:
            self.smtp = (smtplib.LMTP if way.get("lmtp") else smtplib.SMTP)(way["host"], way["port"], **options)
        self.smtp.allow_plaintext_auth = way.get("allow_plaintext_auth", False)
        if way.get("far"):
            near = self.smtp.sock
            self.smtp.sock, self.smtp.file = Far(fileno=near.detach()), None
            self.smtp.sock.settimeout(5)
        try:
            if way["security"] == "starttls":
                self.smtp.starttls(context=context)
            if "username" in way:
                self.smtp.login(way["username"], way["password"])
        except BaseException:
            self.smtp.close()
            raise

    def close(self) -> None:
        smtp, self.smtp = self.smtp, None
        if smtp is not None:
            smtp.close()


CORE: tuple[type[Face], ...] = (Client, Pool, AsyncClient, AsyncPool, Classic)
