"""What the faces are asked to send, and what became of it, in words that fit all of them."""

from dataclasses import dataclass, field
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

from mailbridge import Receipt

ANN, BOB = "ann@example.com", "bob@example.org"


@dataclass(frozen=True)
class Letter:
    """A mail, as hostile as a test likes.

    Attributes:
        to: The recipients, in the header field To.
        recipients: For a face that takes an envelope of its own: these in place of those of the header.
        reverse_path: The same for the sender.
        files: Names and texts.
        envid: The ESMTP parameter of that name, which names the envelope (RFC 3461).
        as_octets: For a face that takes octets for a message: the body to the letter, behind a header.
    """

    subject: str = "hello"
    sender: str = ANN
    to: tuple[str, ...] = (BOB,)
    bcc: tuple[str, ...] = ()
    body: str = "hello\n"
    headers: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    recipients: tuple[str, ...] | None = None
    reverse_path: str | None = None
    envid: str | None = None
    as_octets: bool = False

    def octets(self) -> bytes:
        """For the faces that take a message as octets: the text as it is."""
        header = f"From: {self.sender}\r\nTo: {', '.join(self.to)}\r\nSubject: {self.subject}\r\n\r\n"
        return f"{header}{self.body}".encode()

    def rendered(self) -> Message:
        """For the faces that take a message of the standard library: of the kind that lets everything pass."""
        text = MIMEText(self.body, "plain", "us-ascii" if self.body.isascii() else "utf-8")
        message = MIMEMultipart() if self.files else text
        if self.files:
            message.attach(text)
        for name, content in self.files:
            part = MIMEText(content)
            part.add_header("Content-Disposition", "attachment", filename=name)
            message.attach(part)
        fields = [("Subject", self.subject), ("From", self.sender), ("To", ", ".join(self.to)), *self.headers]
        for name, value in [*fields, *(("Bcc", each) for each in self.bcc)]:
            message[name] = value
        return message


def addressed(address: str, part: str) -> Letter:
    """A letter with this address as its "recipient" or "sender", in the envelope where a face has one of its own."""
    if part == "recipient":
        return Letter(to=(address,), recipients=(address,))
    return Letter(sender=address, reverse_path=address)


@dataclass
class Outcome:
    """What a face told of one letter.

    Attributes:
        error: What it raised.
        receipt: What became of each recipient, where the face has receipts.
        accepted: Whom the face says that somebody accepted it for.
    """

    error: Exception | None = None
    receipt: Receipt | None = None
    accepted: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, receipt: Receipt | None, error: Exception | None = None) -> "Outcome":
        """By a receipt; where there is none the one that hangs on the error."""
        receipt = receipt or getattr(error, "receipt", None)
        return cls(error, receipt, tuple(receipt.accepted) if receipt else ())

    @property
    def delivered(self) -> bool:
        """Somebody accepted it, and nothing was raised."""
        return self.error is None and bool(self.accepted)

    @property
    def states(self) -> dict[str, Any]:
        """The state of each recipient."""
        return {key: result.state for key, result in self.receipt.results.items()} if self.receipt else {}
