"""The rows of the table: which work, who does it, what we want to reach."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# Behind the name of a driver of ours: the same driver on a mailbridge of machine code.
COMPILED = " compiled"

PEERS = ("smtplib", "aiosmtplib", "aiosmtplib+uvloop", "Django", "Flask-Mail", "Nodemailer")
_ALONE = ("smtplib", "aiosmtplib", "Django", "Flask-Mail", "Nodemailer")

NO_CHUNKING = ("CHUNKING",)
NO_EXTENSIONS = (
    "CHUNKING",
    "PIPELINING",
    "SIZE",
    "8BITMIME",
    "SMTPUTF8",
    "ENHANCEDSTATUSCODES",
    "DSN",
    "AUTH",
    "STARTTLS",
)


class Kind(StrEnum):
    """What is measured."""

    ROUNDS = "round trips per message"
    LATENCY = "wall time per message in RTTs"
    RATE = "messages per second and CPU per message"
    MEMORY = "memory above the message, MiB"


@dataclass(frozen=True)
class Row:
    """One kind of work.

    Attributes:
        title: What it is.
        kind: What is measured.
        us: Our driver.
        peers: The others.
        goal: What we want: at most that many (rounds, RTTs, MiB), or at least that many times the reference.
        reference: Whom a ratio refers to.
        workload: What is sent.
        without: Extensions that the server does not announce.
        count: Messages of one round, where that is no matter of time.
        rtt: Seconds; 0 is no proxy.
        tls: STARTTLS and a login.
    """

    title: str
    kind: Kind
    us: str = "mailbridge"
    peers: tuple[str, ...] = ()
    goal: float = 0.0
    reference: str = "smtplib"
    workload: str = "2 KB"
    without: tuple[str, ...] = ()
    count: int = 0
    rtt: float = 0.0
    tls: bool = False

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Our driver and its reference; and the same as machine code, where that can change the figure."""
        if self.goal_is_limit:
            return ((self.us, self.reference),)
        like_us = COMPILED if self.reference.startswith("mailbridge") else ""
        return ((self.us, self.reference), (self.us + COMPILED, self.reference + like_us))

    @property
    def drivers(self) -> tuple[str, ...]:
        """All of them, the references among them."""
        wanted = (self.us,) if self.goal_is_limit else (name for pair in self.pairs for name in reversed(pair))
        return tuple(dict.fromkeys((*self.peers, *wanted)))

    @property
    def goal_is_limit(self) -> bool:
        """Less is better."""
        return self.kind is not Kind.RATE


def _rounds(title: str, goal: float, **more: object) -> Row:
    return Row(title, Kind.ROUNDS, goal=goal, rtt=0.004, peers=_ALONE, **more)  # type: ignore[arg-type] # a Row's own


def _batch(title: str, goal: float, us: str, without: tuple[str, ...] = ()) -> Row:
    return Row(title, Kind.ROUNDS, us, (), goal, without=without, count=1000, rtt=0.004)


def _rate(title: str, goal: float, us: str = "mailbridge", **more: object) -> Row:
    return Row(title, Kind.RATE, us, goal=goal, **more)  # type: ignore[arg-type] # a Row's own


_MANY, _FIFTY, _MB = "mailbridge send_many", "2 KB, 50 recipients", "1 MB"

ROWS = (
    _rounds("one message, CHUNKING", 1, count=4),
    _rounds("one message, PIPELINING only", 2, count=4, without=NO_CHUNKING),
    _rounds("one message, neither", 4, count=4, without=NO_EXTENSIONS),
    _rounds("50 recipients, CHUNKING", 1, count=1, workload=_FIFTY),
    _rounds("50 recipients, PIPELINING only", 2, count=1, workload=_FIFTY, without=NO_CHUNKING),
    _rounds("50 recipients, neither", 53, count=1, workload=_FIFTY, without=NO_EXTENSIONS),
    _batch("batch of 1,000, CHUNKING", 0.1, _MANY),
    _batch("batch of 1,000, PIPELINING only", 2.05, _MANY, NO_CHUNKING),
    _batch("the same with `overlap`", 1.05, "mailbridge send_many overlap", NO_CHUNKING),
    Row(
        "Django `send_mail()`, STARTTLS and AUTH, RTT 50 ms",
        Kind.LATENCY,
        "mailbridge Django send_mail",
        ("Django send_mail",),
        goal=1.2,
        count=2,
        rtt=0.05,
        tls=True,
    ),
    _rate(
        "Django `send_mail()`, STARTTLS and AUTH, loopback",
        20,
        "mailbridge Django send_mail",
        reference="Django send_mail",
        tls=True,
    ),
    _rate("2 KB, CHUNKING", 2, peers=PEERS),
    _rate("2 KB, asyncio", 3, "mailbridge asyncio", reference="aiosmtplib"),
    _rate("2 KB, asyncio on uvloop", 3, "mailbridge asyncio+uvloop", reference="aiosmtplib+uvloop"),
    _rate("2 KB, `send_many`", 3, _MANY),
    _rate("2 KB, no extensions at all", 1, without=NO_EXTENSIONS),
    _rate("1 MB, CHUNKING, line ends checked", 6, workload=_MB, peers=("aiosmtplib", "Nodemailer")),
    _rate("1 MB, CHUNKING, known to be canonical", 12, "mailbridge canonical", workload=_MB),
    _rate("1 MB, DATA", 3, workload=_MB, without=NO_CHUNKING),
    Row(
        "25 MB attachment, prepared octets",
        Kind.MEMORY,
        goal=36,
        peers=("smtplib", "aiosmtplib", "Nodemailer"),
        workload="25 MB",
        count=1,
    ),
    Row("the same from a file", Kind.MEMORY, "mailbridge file", goal=5, workload="25 MB", count=1),
    _rate("20 threads on a pool of 5, beside one connection", 1, "mailbridge threads", reference="mailbridge"),
    _rate("100 tasks on a pool of 5, beside one connection", 1, "mailbridge tasks", reference="mailbridge asyncio"),
)
