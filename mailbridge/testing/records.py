"""What a server remembers: messages, lines and connections."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message for which the server has taken responsibility.

    `content` is byte for byte what was sent, after dot-unstuffing. Over LMTP
    `recipients` are those whose final reply was positive (RFC 2033 section 4.2).
    Parameter names are in upper case; a parameter without a value has the value "".
    A message is here also when its reply was cut off or never written.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    mail_parameters: Mapping[str, str]
    rcpt_parameters: Mapping[str, Mapping[str, str]]
    connection: int
    authenticated_as: str | None
    tls: bool


@dataclass(slots=True)
class Connection:
    """One client's connection, as the server saw it.

    `read` and `written` count octets above TLS. `ended` is None while the
    connection is open, then "client closed", "client reset", a `Then` value
    ("closed", "dropped", "reset", "silent") or "tls failed: ...".
    """

    number: int
    tls: bool = False
    tls_resumed: bool = False
    client_certificate: tuple[str, ...] = ()
    authenticated_as: str | None = None
    lines: list[bytes] = field(default_factory=list)
    messages: int = 0
    read: int = 0
    written: int = 0
    ended: str | None = None


@dataclass(slots=True)
class Record:
    """Everything that one server has seen, in order of arrival.

    `surprises` are the places where a client left a transcript (`Script.play`).
    """

    messages: list[Accepted] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)
    _came: int = 0
    _forgotten: int = 0

    @property
    def taken(self) -> int:
        """How many messages there were, with those that are forgotten."""
        return self._forgotten + len(self.messages)

    def connect(self) -> Connection:
        """A new client has come; the first one is number 1."""
        self._came += 1
        self.connections.append(Connection(self._came))
        return self.connections[-1]

    def clear(self) -> list[Accepted]:
        """Forget everything but the connections that are open; give the messages."""
        messages, self.messages, self.lines = self.messages, [], []
        self.connections = [each for each in self.connections if each.ended is None]
        self._forgotten += len(messages)
        return messages
