"""The server of a session: what it offers, whom it refuses, where it is cut; and the client's idea of it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from functools import cache

from mailbridge import MailObject, Receipt, Security, Server, Timeouts
from mailbridge.testing import Record, Script, Session, Settings, Wire
from mailbridge.testing.answers import Answer
from mailbridge.testing.script import ANY
from mailbridge.testing.settings import TLSMode
from tests.faults.cuts import Cut
from tests.faults.line import Line
from tests.faults.sessions import MOST, Combination, Extensions, Protection
from tests.faults.tls import Contexts

OFFERS: dict[Extensions, tuple[str, ...]] = {
    "none": (),
    "PIPELINING": ("PIPELINING",),
    "PIPELINING+CHUNKING": ("PIPELINING", "CHUNKING"),
}
_SECURITY = {"plain": Security.NONE, "STARTTLS": Security.STARTTLS, "TLS": Security.IMPLICIT}
TLS: dict[Protection, TLSMode | None] = {"plain": None, "STARTTLS": "starttls", "TLS": "implicit"}
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

    def went_well(self, receipt: Receipt) -> bool:
        """All whom the server does not refuse have it."""
        return tuple(receipt.accepted) == self.good


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


def groups(combination: Combination) -> list[list[Mail]]:
    """What is sent at a time: the session's messages, then the next ones."""
    everything, count = mails(combination.recipients), combination.messages
    if combination.in_a_row:
        return [[mail] for mail in everything[: count + 2]]
    return [everything[:count], [everything[count]], [everything[count + 1]]]


def be_brief(script: Script) -> None:
    """Refuse whom it must, and say little: each octet that a server says is a cut."""
    script.senders[ANY] = script.recipients[ANY] = Answer(250, text="")
    script.contents[ANY] = Answer(250, text=TAKEN)
    for number in range(MOST):
        script.recipients[f"n{number}@b"] = Answer(550, text="")
    for event, reply in (("GREETING", b"220 t"), ("STARTTLS", b"220 "), ("AUTH", b"235 "), ("DATA", b"354 ")):
        script.answer(event, reply + b"\r\n")


def accounts(combination: Combination) -> dict[str, str]:
    """Who may log in."""
    return {"u": "p"} if combination.auth else {}


def known(combination: Combination, port: int, contexts: Contexts | None, timeouts: Timeouts | None = None) -> Server:
    """What a client knows of a server on this machine."""
    return Server(
        "127.0.0.1",
        port,
        security=_SECURITY[combination.protection],
        username="u" if combination.auth else "",
        password="p" if combination.auth else None,
        lmtp=combination.dialect == "LMTP",
        ssl_context=contexts.client if contexts else None,
        local_hostname="m",
        overlap=combination.overlap,
        timeouts=timeouts or Timeouts(),
    )


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
        settings = Settings(
            lmtp=kind.dialect == "LMTP", tls=TLS[kind.protection], name="t", accounts=accounts(kind), auth=("PLAIN",)
        )
        self.script = Script(settings, OFFERS[kind.extensions])
        be_brief(self.script)
        self.server = known(kind, 25, self.contexts)

    @property
    def mails(self) -> list[Mail]:
        """What is sent to it, in order."""
        return mails(self.combination.recipients)

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
