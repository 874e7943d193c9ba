"""A driver in memory: it runs a conversation against a server that follows a transcript."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from enum import Enum, auto
from typing import Any, TypeVar

from mailbridge.addresses import parse
from mailbridge.auth import Secret
from mailbridge.commands import Mail, Rset
from mailbridge.conversations import Conversation, Delivery, Need, outcome, send
from mailbridge.conversations.deliver import LONGEST_BDAT
from mailbridge.conversations.session import greet, hello
from mailbridge.errors import SMTPConnectionReset, SMTPException, SMTPTimeoutError
from mailbridge.message import MailObject
from mailbridge.preparing import Prepared, prepare
from mailbridge.protocol import SMTPProtocol
from mailbridge.receipts import Receipt
from mailbridge.sync.connection import drive

T = TypeVar("T")

HEADER = b"Message-ID: <1@x>\r\nDate: Sat, 1 Aug 2026 10:00:00 +0000\r\n"
CONTENT = HEADER + b"\r\nhello\r\n"
# Content of more than one BDAT holds: its chunks are FIRST and LAST.
FIRST, LAST = (HEADER + b"\r\n").ljust(LONGEST_BDAT, b"x"), b"x\r\n"
LARGE = FIRST + LAST
MAIL, DATA, DOT, RSET, QUIT = b"MAIL FROM:<a@x>\r\n", b"DATA\r\n", b".\r\n", b"RSET\r\n", b"QUIT\r\n"
OK, NO, LATER, GO, BYE = b"250 ok\r\n", b"550 no\r\n", b"450 later\r\n", b"354 go\r\n", b"421 bye\r\n"


class Cut(Enum):
    """How a connection ends."""

    CLOSED = auto()
    RESET = auto()
    SILENT = auto()


CLOSED, RESET, SILENT = Cut.CLOSED, Cut.RESET, Cut.SILENT

# What the client writes, and one segment or end after the other that comes back.
Turn = Sequence[bytes | Cut]


def rcpt(*names: str) -> bytes:
    """RCPT for some recipients."""
    return b"".join(f"RCPT TO:<{name}>\r\n".encode() for name in names)


def bdat(content: bytes = CONTENT, last: bytes = b" LAST") -> bytes:
    """BDAT with its chunk."""
    return b"BDAT %d%b\r\n%b" % (len(content), last, content)


def ehlo(*extensions: str) -> bytes:
    """A reply to EHLO."""
    lines = ["x", *extensions]
    return "".join(f"250{' ' if line is lines[-1] else '-'}{line}\r\n" for line in lines).encode()


class Server:
    """The other end of one protocol's connection. It answers what it expects, and nothing else."""

    def __init__(self, smtp: SMTPProtocol, turns: Iterable[Turn], tokens: Iterable[str] = ()) -> None:
        self.smtp = smtp
        self.turns = deque(turns)
        self.tokens = deque(tokens)
        self.needs: list[Need] = []
        self.said = b""
        self._events: deque[bytes | Cut] = deque()

    def serve(self, need: Need) -> Any:
        """Serve one need as a driver would."""
        self.needs.append(need)
        self._transmit()
        if need is Need.TLS:
            self.smtp.tls_established()
        elif need in {Need.TOKEN, Need.FRESH_TOKEN}:
            return Secret(self.tokens.popleft())
        elif self._events:
            self._happen(self._events.popleft())
        else:
            assert need is Need.ROOM, (
                f"the client waits in vain; it said {self.said!r}, {list(self.turns)[:1]} was expected"
            )
        return None

    def done(self) -> bool:
        """Everything in the transcript happened, and nothing else was said."""
        self._transmit()
        return not self.turns and not self._events and not self.said

    def _transmit(self) -> None:
        while data := self.smtp.data_to_send():
            self.said += data
            self.smtp.sent(len(data))
        if self.turns and self.said == self.turns[0][0]:
            self._events += self.turns.popleft()[1:]
            self.said = b""

    def _happen(self, event: bytes | Cut) -> None:
        if isinstance(event, bytes):
            self.smtp.receive_data(event)
        elif event is Cut.CLOSED:
            self.smtp.receive_data(b"")
        else:
            phase = self.smtp.phase
            self.smtp.connection_lost()
            raise (SMTPConnectionReset if event is Cut.RESET else SMTPTimeoutError)("cut", phase=phase)


def talk(conversation: Conversation[T], smtp: SMTPProtocol, *turns: Turn, tokens: Iterable[str] = ()) -> T:
    """Run a conversation against a transcript, to its last line."""
    server = Server(smtp, turns, tokens)
    try:
        return drive(conversation, server.serve)
    finally:
        assert server.done(), f"left over: {list(server.turns)}; said besides: {server.said!r}"


def ready(*extensions: str, lmtp: bool = False, **options: Any) -> SMTPProtocol:
    """A connection on which mail can be sent."""
    smtp = SMTPProtocol(lmtp=lmtp, **options)
    talk(greet(smtp), smtp, (b"", b"220 x\r\n"))
    talk(hello(smtp, "me"), smtp, (b"LHLO me\r\n" if lmtp else b"EHLO me\r\n", ehlo(*extensions)))
    return smtp


def warm(*extensions: str, lmtp: bool = False) -> SMTPProtocol:
    """A connection that took the sender a@x before."""
    smtp = ready(*extensions, lmtp=lmtp)
    for command in (Mail(parse("a@x")), Rset()):
        smtp.send(command)
        smtp.sent(smtp.pending)
        smtp.receive_data(OK)
    return smtp


def letter(*recipients: str, content: bytes = CONTENT, **options: Any) -> Prepared:
    """A message from a@x."""
    return prepare(MailObject(content, "a@x", recipients or ("b@y",), **options))


class Sent:
    """A send that ended.

    Attributes:
        delivery: What is known.
        error: What is raised, if anything.
        receipt: What the caller gets.
        needs: What the conversation asked of its driver.
    """

    def __init__(self, delivery: Delivery, ended: SMTPException | None, needs: list[Need]) -> None:
        self.delivery = delivery
        self.receipt: Receipt
        self.receipt, self.error = outcome(delivery, ended)
        self.needs = needs

    @property
    def states(self) -> dict[str, str]:
        """The state of each recipient."""
        return {name: str(result.state) for name, result in self.receipt.results.items()}

    @property
    def replies(self) -> dict[str, int | None]:
        """The reply code that decided each recipient's state."""
        return {name: result.code for name, result in self.receipt.results.items()}


def sent(
    smtp: SMTPProtocol,
    mail: Prepared,
    *turns: Turn,
    abort: bool = False,
    max_recipients: int = 50,
    hot: bool = False,
    reused: bool = True,
    again: tuple[SMTPProtocol, Sequence[Turn]] | None = None,
) -> Sent:
    """Send a message on a connection; `again` is the fresh one that may be asked for, with its transcript."""
    server = Server(smtp, turns)
    servers = [server]

    def serve(need: Need) -> Any:
        if need is not Need.CONNECTION:
            return servers[-1].serve(need)
        servers[0].needs.append(need)
        if reused:
            assert again, "a fresh connection was asked for"
            servers.append(Server(*again))
        return servers[-1].smtp

    delivery = Delivery(mail, abort=abort)
    ended = drive(send(smtp if reused else None, delivery, max_recipients=max_recipients, hot=hot), serve)
    for each in servers:
        assert each.done(), f"left over: {list(each.turns)}; said besides: {each.said!r}"
    return Sent(delivery, ended, server.needs)
