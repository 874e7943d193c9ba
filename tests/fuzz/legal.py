"""A model of a legal server: any legal reply at any point, in any words; and it may leave whenever it likes."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

from tests.fuzz.fate import Fate
from tests.fuzz.sayings import Said


class End(Enum):
    """How the server's side of a connection ends."""

    CLOSED = auto()
    RESET = auto()
    SILENT = auto()


ENDS = (End.CLOSED, End.CLOSED, End.RESET, End.SILENT)

# Each with the octets, of 256, that offer it.
EXTENSIONS = {
    "PIPELINING": 190,
    "CHUNKING": 128,
    "SIZE": 128,
    "8BITMIME": 190,
    "SMTPUTF8": 128,
    "DSN": 128,
    "REQUIRETLS": 128,
    "MT-PRIORITY": 128,
    "SIZE 600": 16,
    "LIMITS RCPTMAX=2": 50,
    "LIMITS MAILMAX=2": 50,
    "ENHANCEDSTATUSCODES": 128,
    "X-ODD a=b": 128,
}
NO = (550, 450, 451, 452, 501, 503, 530, 551, 552, 553, 554)
REFUSALS = {
    "EHLO": (550, 502, 500, 451, 504),
    "STARTTLS": (454, 501, 502),
    "AUTH": (535, 504, 454, 432, 534),
    "RSET": (),
    "QUIT": (),
}


@dataclass(frozen=True)
class Kept:
    """One recipient's copy of a message for which the server took responsibility."""

    number: int
    recipient: str
    sender: str
    content: bytes
    reply: int


def number_of(content: bytes) -> int:
    """Which message it is, by its Subject; 0 where it has none."""
    found = re.match(rb"Subject: ([0-9]+)\r\n", content)
    return int(found[1]) if found else 0


class LegalServer:
    """The server's side of one connection. It obeys what is complete, in order, when it gets to it.

    Attributes:
        kept: All that was accepted, by every server of this session.
        spoken: The verb and the recipient that each reply was for; a reply's text holds its number.
        end: How it left, if it did.
    """

    patient = True  # it answers whatever arrived

    def __init__(self, fate: Fate, kept: list[Kept], spoken: list[tuple[str, str]], *, lmtp: bool, tls: bool) -> None:
        """Greet."""
        self.fate, self.kept, self.spoken = fate, kept, spoken
        self.lmtp, self._tls = lmtp, tls
        self.end: End | None = None
        self.inbox: deque[Said] = deque()
        self.out = bytearray()
        self._awaits_dot = False
        self._failed = False
        self._octets = b""
        self._forget()
        self._extensions = [each for each, share in EXTENSIONS.items() if fate.number(256) < share]
        # Exim keeps a transaction whose content it refused because nobody is to get it.
        self._keeps = fate.seldom(4)
        self._say("GREETING", 220)

    def _forget(self) -> None:
        self._sender: str | None = None
        self._recipients: list[str] = []
        self._octets, self._failed = b"", False

    def hear(self, said: Said) -> None:
        """Something arrived whole."""
        self.inbox.append(said)

    def step(self) -> bool:
        """Obey the next thing that arrived; say whether there was any."""
        if self.end or not self.inbox:
            return False
        if self.fate.seldom(64):
            self.leave()
        else:
            self._obey(self.inbox.popleft())
        return True

    def leave(self) -> None:
        """Go, perhaps with a 421 (RFC 5321 section 3.8)."""
        if self.fate.number(2):
            self._write(b"421 4.3.2 going down\r\n")
            self.spoken.append(("421", ""))
        self.end = self.end or self.fate.one_of(ENDS)

    def secured(self) -> None:
        """TLS is there: begin anew."""
        self._tls = False
        self._forget()

    def _obey(self, said: Said) -> None:
        match said.verb:
            case "EHLO" | "LHLO" | "HELO":
                self._hello(said)
            case "STARTTLS":
                self._say(said.verb, 220, self._whim(said.verb))
            case "AUTH" | "RESPONSE":
                self._login(said)
            case "MAIL":
                self._mail(said)
            case "RCPT":
                self._rcpt(said)
            case "DATA":
                self._data()
            case "CONTENT":
                self._finish(said.content)
            case "BDAT":
                self._bdat(said)
            case "RSET":
                self._say("RSET", 250, self._whim("RSET"))
                self._forget()
            case "QUIT":
                self._say("QUIT", 221, self._whim("QUIT"))
                self.end = self.end or End.CLOSED

    def _hello(self, said: Said) -> None:
        no = self._whim("EHLO")
        if no:
            self._say(said.verb, 250, no)
            return
        self._forget()
        lines = ["scripted.test", *(self._extensions if said.verb != "HELO" else ())]
        if said.verb != "HELO":
            lines += ["STARTTLS"] if self._tls else [self.fate.one_of(["AUTH PLAIN LOGIN", "AUTH LOGIN", "AUTH=PLAIN"])]
        self._write(
            "".join(
                f"250{'-' * (n < len(lines))}{' ' * (n == len(lines))}{line}\r\n" for n, line in enumerate(lines, 1)
            ).encode()
        )

    def _login(self, said: Said) -> None:
        words = said.argument.split()
        if said.argument == "*":
            self._say("AUTH", 501, 501)
        elif said.verb == "AUTH" and len(words) == 1:
            self._awaits = 1 + (words[0] == "LOGIN")
            self._challenge()
        elif said.verb == "AUTH" and words[0] == "LOGIN":
            self._awaits = 1
            self._challenge()
        elif said.verb == "RESPONSE" and self._awaits > 1:
            self._awaits -= 1
            self._challenge()
        else:
            self._say("AUTH", 235, self._whim("AUTH"))

    def _challenge(self) -> None:
        no = self._whim("AUTH")
        if no:
            self._say("AUTH", 334, no)
        else:
            self._write(b"334 VXNlcm5hbWU6\r\n")

    def _mail(self, said: Said) -> None:
        if self._say("MAIL", 250, 503 if self._sender is not None else self._whim("MAIL")):
            self._forget()
            self._sender = said.argument

    def _rcpt(self, said: Said) -> None:
        recipient = said.argument.partition("<")[2].rpartition(">")[0]
        no = self._whim("RCPT") if self._sender is not None else 503
        if self._say("RCPT", 251 if self.fate.seldom(8) else 250, no, recipient):
            self._recipients.append(recipient)

    def _data(self) -> None:
        # RFC 2920 section 3.1 allows 354 where every recipient was refused.
        no = self._whim("DATA") if self._recipients or self.fate.seldom(2) else 554
        self._say("DATA", 354, 503 if self._sender is None else no)

    def _bdat(self, said: Said) -> None:
        # RFC 3030 section 2: the octets of a chunk are read whatever is said about them.
        if self._failed or not self._recipients:
            self._say("BDAT", 250, 503)
            if said.last and not self._keeps:
                self._forget()
            return
        self._octets += said.content
        if said.last:
            self._finish(self._octets)
        elif not self._say("BDAT", 250, self._whim("BDAT")):
            self._failed = True

    def _finish(self, content: bytes) -> None:
        recipients, sender = self._recipients, self._sender or ""
        if not recipients:
            self._say("CONTENT", 250, 554)
            if not self._keeps:
                self._forget()
            return
        self._forget()
        number = number_of(content)
        verdict = self._whim("CONTENT")
        for place, recipient in enumerate(recipients):
            if self.lmtp and place:
                verdict = self._whim("CONTENT")
            if self.end:
                return
            if not verdict:
                self.kept.append(Kept(number, recipient, sender, content, len(self.spoken)))
            if self.lmtp or place == len(recipients) - 1:
                self._reply_to_content(verdict, recipient if self.lmtp else "")

    def _reply_to_content(self, verdict: int, recipient: str) -> None:
        if self.fate.seldom(48):
            # The content is there, and its reply never leaves whole.
            self._write(b"250 2.0.0 ok\r\n"[: self.fate.number(12)])
            self.end = self.end or self.fate.one_of(ENDS)
            self.spoken.append(("LOST", ""))
        else:
            self._say("CONTENT", 250, verdict, recipient)

    def _whim(self, verb: str) -> int:
        """A refusal, or 0 for none."""
        refusals = REFUSALS.get(verb, NO)
        if self.fate.seldom(64):
            return 421
        return self.fate.one_of(refusals) if refusals and self.fate.seldom(20 if verb in REFUSALS else 8) else 0

    def _say(self, verb: str, yes: int, no: int = 0, recipient: str = "") -> bool:
        """Reply; say whether it was a yes."""
        code = no or yes
        number = len(self.spoken)
        self.spoken.append((verb, recipient))
        enhanced = f"{code // 100}.1.{number % 10} " if self.fate.number(2) == 0 and code != 354 else ""
        lines = [f"{enhanced}reply #{number}"]
        if self.fate.seldom(8):
            lines.insert(0, self.fate.one_of(["", "é", "-", "250 ok", "x" * 600]))
        if no == 452 and verb == "RCPT" and self.fate.number(2):
            lines = [f"4.5.3 too many #{number}"]
        self._write(
            "".join(f"{code}{'-' if n < len(lines) else ' '}{line}\r\n" for n, line in enumerate(lines, 1)).encode()
        )
        if code == 421:
            self.end = self.end or self.fate.one_of(ENDS)
        return no == 0

    def _write(self, reply: bytes) -> None:
        if not self.end:
            self.out += reply
