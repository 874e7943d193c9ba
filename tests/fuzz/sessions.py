"""A client in memory: the core on one side, a model of a server on the other, and fate in between.

A `Session` sends messages over one link after the other, each of which has an `Ear` that knows what a client may say,
and compares what the receipts say with what the servers kept.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any
from unittest.mock import patch

from mailbridge.conversations import Delivery, Flow, Need, farewell, open_session, outcome, send, stream
from mailbridge.errors import SMTPException
from mailbridge.protocol import SMTPProtocol
from mailbridge.receipts import Receipt
from mailbridge.replies import Reply
from mailbridge.server import Security, Server
from mailbridge.sync.connection import drive
from tests.fuzz.fate import Fate
from tests.fuzz.hostile import HostileServer
from tests.fuzz.legal import LegalServer
from tests.fuzz.letters import KINDS, letter
from tests.fuzz.links import Host, Link, World
from tests.fuzz.sayings import Transaction

SERVERS = (
    Server("mail.example.com", security=Security.NONE),
    Server("mail.example.com", security=Security.NONE, lmtp=True),
    Server("mail.example.com", security=Security.NONE, chunking=False, overlap=True),
    Server("mail.example.com", security=Security.NONE, pipelining=False, lmtp=True),
    Server("mail.example.com", security=Security.OPPORTUNISTIC),
    Server("mail.example.com", security=Security.STARTTLS, username="joe", password="secret"),
    Server("mail.example.com", security=Security.IMPLICIT, username="joe", password="secret"),
)
# How many links there were, messages, and recipients in each state: the run says so at its end.
TALLY: Counter[str] = Counter()

CHUNKING = import_module("mailbridge.conversations.deliver")


class Session:
    """A client that sends over one link after the other."""

    def __init__(self, server: Server, host: Host = LegalServer) -> None:
        """Nothing is connected yet."""
        self.world = World(server, host, Fate(b""), [], [])
        self.links: list[Link] = []
        self.link: Link | None = None
        self.messages = 0

    def reconnect(self) -> SMTPProtocol:
        """A fresh link in place of the present one."""
        self.hang_up()
        server = self.world.server
        self.link = Link(self.world, _protocol(server))
        self.links.append(self.link)
        TALLY["sessions"] += 1
        if server.security is Security.IMPLICIT:
            self.link.smtp.tls_established()
        smtp = self.link.smtp
        try:
            drive(open_session(smtp, server, "me"), self.link.serve)
        except SMTPException:
            # What could not be protected or logged in never carries mail.
            self.hang_up()
            raise
        return smtp

    def hang_up(self) -> None:
        """Close without a word."""
        if self.link is not None:
            self.link.close()
        self.link = None

    def quit(self, fate: Fate) -> None:
        """Say goodbye."""
        self.world.fate = fate
        if self.link is not None:
            self._attempt(lambda link: drive(farewell(link.smtp), link.serve), self.link)
        self.hang_up()

    @staticmethod
    def _attempt(act: Callable[[Link], object], link: Link) -> None:
        try:
            act(link)
        except SMTPException:
            link.smtp.connection_lost()

    def idle(self, fate: Fate) -> None:
        """The server may leave in the meantime."""
        self.world.fate = fate
        if self.link is not None and fate.number(2):
            self.link.host.leave()

    def serve(self, need: Need) -> Any:
        """Serve a need of a conversation about messages."""
        if need is Need.CONNECTION:
            return self.reconnect()
        assert self.link is not None
        return self.link.serve(need)

    def send(self, fate: Fate, kind: int) -> None:
        """Send one message, and compare."""
        self.world.fate = fate
        delivery, number = self._delivery(kind, abort=fate.seldom(4))
        smtp = self.link.smtp if self.link is not None else None
        limit, hot = fate.one_of([50, 50, 2, 1]), bool(fate.number(4))
        with self._chunks():
            ended = drive(send(smtp, delivery, max_recipients=limit, hot=hot), self.serve)
        self._settle()
        self.compare(delivery, number, ended)

    def batch(self, fate: Fate, kinds: list[int]) -> None:
        """Send several messages, and compare."""
        self.world.fate = fate
        made = [self._delivery(kind) for kind in kinds]
        waiting, again = deque(delivery for delivery, _ in made), deque[Delivery]()
        limit = fate.one_of([50, 50, 2, 1])

        def serve(need: Need) -> Any:
            if need is not Need.MESSAGE:
                return self.serve(need)
            if waiting:
                waiting[0].hot = bool(fate.number(4))
            return waiting.popleft() if waiting else None

        flow = Flow(self.link.smtp if self.link is not None else None, again, max_recipients=limit)
        try:
            with self._chunks():
                drive(stream(flow), serve)
        except SMTPException as error:
            for delivery in (*again, *waiting):
                delivery.end(error)
        self._settle()
        for delivery, number in made:
            assert delivery.done
            self.compare(delivery, number, delivery.ended)

    def _chunks(self) -> AbstractContextManager[object]:
        """Chunks so short that small messages have several, or as long as they are."""
        return patch.object(CHUNKING, "LONGEST_BDAT", 1000) if self.world.fate.number(2) else nullcontext()

    def _delivery(self, kind: int, *, abort: bool = False) -> tuple[Delivery, int]:
        self.messages += 1
        return Delivery(letter(kind, self.messages), abort=abort), self.messages

    def _settle(self) -> None:
        if self.link is not None and not self.link.smtp.reusable:
            self.hang_up()

    def compare(self, delivery: Delivery, number: int, ended: SMTPException | None) -> None:
        """What the receipt says is true."""
        receipt, error = outcome(delivery, ended)
        TALLY["messages"] += 1
        TALLY.update(str(result.state) for result in receipt.results.values())
        assert (error is None) == receipt.delivered
        assert set(receipt.results) == {name for recipient in delivery.mail.recipients for name in recipient.names}
        self.judge(receipt, delivery, number)

    def judge(self, receipt: Receipt, delivery: Delivery, number: int) -> None:
        """Accepted is what a server kept, all else but unknown is not, and nothing was sent twice."""
        kept = Counter(copy.recipient for copy in self.world.kept if copy.number == number)
        assert not [name for name, times in kept.items() if times > 1], "kept twice"
        assert all(copy.number for copy in self.world.kept), "a message of nobody's"
        about = self._about(number)
        for recipient in delivery.mail.recipients:
            path, result = str(recipient.address), receipt.results[recipient.names[0]]
            state = str(result.state)
            assert {receipt.results[name].state for name in recipient.names} == {result.state}
            assert state != "accepted" or path in kept, f"{path} was accepted, and nobody has it"
            assert path not in kept or state in {"accepted", "unknown"}, f"{path} is {state}, and a server has it"
            assert state != "unknown" or any(_in_doubt(link, t, path) for link, t in about), f"{path} is in no doubt"
            if state in {"accepted", "deferred", "rejected"}:
                self._check_words(result.reply, path, state)
        sender = f"FROM:<{delivery.mail.sender or ''}>"
        assert all(copy.sender.startswith(sender) for copy in self.world.kept if copy.number == number)

    def _check_words(self, reply: Reply | None, path: str, state: str) -> None:
        """The reply that decided it was given to this recipient or to all, not to another command (WIRE.md S15)."""
        assert reply is not None
        if found := re.search("#([0-9]+)", reply.text):
            verb, to = self.world.spoken[int(found[1])]
            assert to in {"", path}, f"{path} got the reply to {to}"
            assert verb == "CONTENT" if state == "accepted" else verb in {"MAIL", "RCPT", "DATA", "BDAT", "CONTENT"}

    def _about(self, number: int) -> list[tuple[Link, Transaction]]:
        head = f"Subject: {number}\r\n".encode()
        return [(link, t) for link in self.links for t in link.ear.transactions if t.content.startswith(head)]


def _protocol(server: Server) -> SMTPProtocol:
    """A protocol as drivers make one, for a few messages."""
    wanted = {name: getattr(server, name) for name in ("lmtp", "pipelining", "chunking", "overlap")}
    return SMTPProtocol(**wanted, max_mails=5)


def play(session: Session, octets: bytes) -> None:
    """A session that octets alone decide: an act, the length of its fate, its fate, and so on."""
    while octets:
        act, size, octets = octets[0], (octets[1:2] or b"\0")[0], octets[2:]
        fate, octets = Fate(octets[:size]), octets[size:]
        match act % 4:
            case 0:
                session.send(fate, act // 4 % len(KINDS))
            case 1:
                session.batch(fate, [fate.number(len(KINDS)) for _ in range(act // 4 % 24)])
            case 2:
                session.idle(fate)
            case _:
                session.quit(fate)
    session.hang_up()


class HostileSession(Session):
    """A client among servers that keep one thing and say another: only what was said can be true."""

    def __init__(self, server: Server) -> None:
        """Nothing is connected yet."""
        super().__init__(server, HostileServer)

    def judge(self, receipt: Receipt, delivery: Delivery, number: int) -> None:
        """Each state is what was heard, and no content was offered twice."""
        for recipient in delivery.mail.recipients:
            path, state = str(recipient.address), str(receipt.results[recipient.names[0]].state)
            offered = [(link, t) for link, t in self._about(number) if path in _wanted(t) and _complete(t)]
            # What stood behind a 421 was never taken up, if the server means what it says.
            serious = [(link, t) for link, t in offered if not link.ear.dismissed]
            assert len(serious) <= 1, f"{path} was offered the content twice"
            assert state != "not_sent" or not serious, f"{path} may have it"
            assert state != "unknown" or any(_in_doubt(link, t, path) for link, t in offered), f"{path} is in no doubt"
            assert state != "accepted" or any(_heard_yes(link, t, path) for link, t in offered), (
                f"nobody said so: {path}"
            )


def _wanted(transaction: Transaction) -> list[str]:
    """The recipients who were not refused."""
    return [rcpt.argument.partition("<")[2].rpartition(">")[0] for rcpt in transaction.rcpts if not rcpt.refused]


def _complete(transaction: Transaction) -> bool:
    return transaction.commit is not None and not transaction.commit.missing


def _in_doubt(link: Link, transaction: Transaction, path: str) -> bool:
    """All of the content was offered, and the reply to this recipient's copy did not come."""
    wanted = _wanted(transaction)
    if transaction.commit is None or transaction.commit.missing or path not in wanted:
        return False
    return link.offended or len(transaction.commit.replies) <= (wanted.index(path) if link.ear.lmtp else 0)


def _heard_yes(link: Link, transaction: Transaction, path: str) -> bool:
    assert transaction.commit is not None
    place = _wanted(transaction).index(path) if link.ear.lmtp else 0
    return len(transaction.commit.replies) > place and transaction.commit.replies[place] < 300
