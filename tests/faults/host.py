"""The server of a session: what it offers, whom it refuses, where it is cut; and the client's idea of it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from functools import cache

from mailbridge import MailObject, Security, Server
from mailbridge.testing import Record, Script, Session, Settings, Wire
from mailbridge.testing.answers import Answer
from mailbridge.testing.script import ANY
from mailbridge.testing.settings import TLSMode
from tests.faults.cuts import Cut
from tests.faults.line import Line
from tests.faults.sessions import MOST, Combination, Extensions, Protection
from tests.faults.tls import Contexts

_EXTENSIONS: dict[Extensions, tuple[str, ...]] = {
    "none": (),
    "PIPELINING": ("PIPELINING",),
    "PIPELINING+CHUNKING": ("PIPELINING", "CHUNKING"),
}
_SECURITY = {"plain": Security.NONE, "STARTTLS": Security.STARTTLS, "TLS": Security.IMPLICIT}
_TLS: dict[Protection, TLSMode | None] = {"plain": None, "STARTTLS": "starttls", "TLS": "implicit"}
SENDER = "a@b"
# What the server says of content that it takes, and says of nothing else.
TAKEN = "m"


@dataclass(frozen=True, slots=True)
class Mail:
    """A message that is unlike every other one, and no longer than it must be."""

    number: int
    recipients: tuple[str, ...]
    content: bytes
    source: MailObject

    @property
    def good(self) -> tuple[str, ...]:
        """Those whom the server does not refuse."""
        return tuple(one for one in self.recipients if not one.startswith("n"))


@cache
def mails(recipients: int) -> list[Mail]:
    """As many messages as anybody sends, to so many recipients each. A body begins with a dot: stuffing shows."""
    names = ("c",) if recipients == 1 else ("c", "n", "d")
    made = []
    for number in range(MOST):
        content = b"Date:\r\nMessage-ID:%d\r\n\r\n.\r\n" % number
        to = tuple(f"{name}{number}@b" for name in names)
        made.append(Mail(number, to, content, MailObject(content, SENDER, to)))
    return made


@dataclass
class Host:
    """A server in memory for all sessions of a combination, each with a record of its own.

    Attributes:
        combination: Whose.
        contexts: Its TLS, where there is some.
        server: What the client knows of it.
        script: What it does.
        record: What it took in the present session.
        lines: The connections of the present session.
        cut: Where the first one ends.
    """

    combination: Combination
    contexts: Contexts | None = None
    record: Record = field(default_factory=Record)
    lines: list[Line] = field(default_factory=list)
    cut: Cut | None = None

    def __post_init__(self) -> None:
        kind = self.combination
        accounts = {"u": "p"} if kind.auth else {}
        settings = Settings(
            lmtp=kind.dialect == "LMTP", tls=_TLS[kind.protection], name="t", accounts=accounts, auth=("PLAIN",)
        )
        self.script = Script(settings, _EXTENSIONS[kind.extensions])
        self._be_brief()
        self.server = Server(
            "127.0.0.1",
            25,
            security=_SECURITY[kind.protection],
            username="u" if kind.auth else "",
            password="p" if kind.auth else None,
            lmtp=settings.lmtp,
            ssl_context=self.contexts.client if self.contexts else None,
            local_hostname="m",
            overlap=kind.overlap,
        )

    def _be_brief(self) -> None:
        """Each octet that the server says is a cut."""
        self.script.senders[ANY] = self.script.recipients[ANY] = Answer(250, text="")
        self.script.contents[ANY] = Answer(250, text=TAKEN)
        for number in range(MOST):
            self.script.recipients[f"n{number}@b"] = Answer(550, text="")
        for event, reply in (("GREETING", b"220 t"), ("STARTTLS", b"220 "), ("AUTH", b"235 "), ("DATA", b"354 ")):
            self.script.answer(event, reply + b"\r\n")

    @property
    def mails(self) -> list[Mail]:
        """What is sent to it, in order."""
        return mails(self.combination.recipients)

    def groups(self) -> list[list[Mail]]:
        """What is sent at a time: the session's messages, then the next ones."""
        if self.combination.in_a_row:
            return [[mail] for mail in self.mails[: self.combination.messages + 2]]
        count = self.combination.messages
        return [self.mails[:count], [self.mails[count]], [self.mails[count + 1]]]

    @property
    def over(self) -> bool:
        """The first connection has ended, as the server sees it."""
        return bool(self.lines) and self.lines[0].ended is not None

    def begin(self, cut: Cut | None) -> None:
        """A new session, with nothing in the record."""
        self.cut = cut
        self.script.cuts = [cut.scripted] if cut and not cut.raw else []
        self.record, self.lines = Record(), []

    def connect(self) -> Line:
        """A client comes."""
        first = self.cut if not self.lines else None
        line = Line(
            Wire(Session(self.script, self.record), self._certificate),
            first,
            implicit=self.implicit,
            lazy=self.cut is not None and self.cut.lazy,
            ragged=self.cut is not None and self.cut.way == "FIN" and self.cut.at % 2 == 1,
        )
        self.lines.append(line)
        return line

    def _certificate(self) -> ssl.SSLContext:
        assert self.contexts is not None, "TLS where there is none"
        return self.contexts.server

    @property
    def implicit(self) -> bool:
        """TLS comes before the greeting."""
        return self.combination.protection == "TLS"
