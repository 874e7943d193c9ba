"""The mail that is sent. Every driver gets the same."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

SENDER = "sender@example.com"
# Different messages that a driver sends in turn; fewer where they are large.
DISTINCT, DISTINCT_LARGE, LARGE = 64, 4, 100_000
HUGE = 10_000_000

_WORDS = ("the quick", "brown fox", "jumps over", "lazy dogs while", "seven small", "mailers wait", "for replies")


@dataclass(frozen=True)
class Mail:
    """One message, as its parts and as octets.

    Attributes:
        raw: The finished message, for those who send octets.
        recipients: The envelope's.
        subject, text, attachment: The parts, for those who build the message.
    """

    raw: bytes = field(repr=False)
    recipients: list[str]
    subject: str
    text: str = field(repr=False)
    attachment: bytes = field(repr=False)


def _text(size: int) -> str:
    """Lines of at most 72 characters; every fortieth begins with a dot, so that dots must be stuffed."""
    chosen = random.Random(1)  # noqa: S311 - the same text in each run
    lines: list[str] = []
    while sum(map(len, lines)) + 2 * len(lines) < size:
        words = " ".join(chosen.choice(_WORDS) for _ in range(6))
        lines.append(("." if len(lines) % 40 == 20 else "") + words)
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Workload:
    """A kind of mail.

    Attributes:
        text: Characters of its text.
        attachment: Octets of its attachment, before base64.
        recipients: How many it has.
    """

    text: int = 1_700
    attachment: int = 0
    recipients: int = 1

    @property
    def names(self) -> list[str]:
        """The recipients."""
        return [f"rcpt{number:03d}@example.net" for number in range(self.recipients)]

    @property
    def huge(self) -> bool:
        """It is there to see how much memory it takes."""
        return self.attachment > HUGE

    def distinct(self) -> list[Mail]:
        """Messages that differ in their Subject and Message-ID."""
        text, attachment = _text(self.text), random.Random(2).randbytes(self.attachment)  # noqa: S311 - the same octets
        body = _body(text, attachment)
        count = DISTINCT_LARGE if self.attachment > LARGE else DISTINCT
        return [_mail(number, self.names, text, attachment, body) for number in range(count)]

    def body(self) -> bytes:
        """What a server sees of it behind the header, where it was sent as octets."""
        return _body(_text(self.text), random.Random(2).randbytes(self.attachment))  # noqa: S311 - the same octets

    def write(self, path: Path) -> None:
        """Write one message to a file, a piece at a time."""
        path.write_bytes(self.distinct()[0].raw)


def _body(text: str, attachment: bytes) -> bytes:
    plain = text.replace("\n", "\r\n").encode()
    if not attachment:
        return plain
    return (
        b"--=-bench\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%b--=-bench\r\n"
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n%b--=-bench--\r\n"
    ) % (plain, base64.encodebytes(attachment).replace(b"\n", b"\r\n"))


def _mail(number: int, names: list[str], text: str, attachment: bytes, body: bytes) -> Mail:
    subject = f"Benchmark message {number}"
    kind = 'multipart/mixed; boundary="=-bench"' if attachment else "text/plain; charset=utf-8"
    header = (
        f"From: Bench Sender <{SENDER}>\r\nTo: {(',' + chr(13) + chr(10) + ' ').join(names)}\r\n"
        f"Date: Sat, 22 Nov 2025 10:00:00 +0000\r\nMessage-ID: <{number}.42@bench.example.com>\r\n"
        f"MIME-Version: 1.0\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: 7bit\r\nSubject: {subject}\r\n\r\n"
    )
    return Mail(header.encode() + body, names, subject, text, attachment)


def turns(mails: list[Mail], count: int) -> Iterator[Mail]:
    """So many messages, the distinct ones in turn."""
    return islice(cycle(mails), count)


WORKLOADS = {
    "2 KB": Workload(),
    "2 KB, 50 recipients": Workload(recipients=50),
    "1 MB": Workload(text=1_000, attachment=768 * 1024),
    "25 MB": Workload(text=1_000, attachment=25 * 1024 * 1024),
}
