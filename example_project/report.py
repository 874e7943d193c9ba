"""What happened, as a person reads it, and whether it is what should have happened."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from example_project.mailroom import FULL, GONE
from example_project.witness import Witness
from mailbridge import Receipt, printable
from mailbridge.testing import Inbox

# What the embedded server was told to answer, and what the rest gets.
EXPECTED = {GONE: ("rejected", "550 5.1.1"), FULL: ("deferred", "451 4.2.0")}
ACCEPTED = ("accepted", "250")
# Each app sends three mails, and of two of them somebody is refused.
SIGNALS = {
    ("Django", "message_sent"): 3,
    ("Django", "recipients_refused"): 2,
    ("Flask", "email_dispatched"): 3,
    ("Flask", "recipients_refused"): 2,
}
RECORDS = {
    ("mailbridge.django", "INFO"): 1,
    ("mailbridge.django", "WARNING"): 2,
    ("mailbridge.flask", "INFO"): 1,
    ("mailbridge.flask", "WARNING"): 2,
}


@dataclass(frozen=True, slots=True)
class Row:
    """What happened to one recipient of one mail."""

    app: str
    mail: str
    recipient: str
    state: str
    reply: str


def rows_of(app: str, messages: Sequence[Any]) -> Iterator[Row]:
    """A row for each recipient of these messages, Django's or Flask's."""
    for message in messages:
        receipt: Receipt = message.mailbridge_receipt
        for result in receipt.results.values():
            yield Row(app, str(message.subject), result.recipient, result.state, printable(str(result.reply)))


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines in columns, under a heading."""
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    lines = [heading, ["-" * width for width in widths], *rows]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def written(rows: Sequence[Row], witness: Witness) -> str:
    """The whole report."""
    signals = [(heard.app, heard.signal, ", ".join(heard.recipients)) for heard in witness.signals]
    lines = [(record.levelname, record.name, record.getMessage()) for record in witness.records]
    return "\n\n".join(
        (
            "What happened to every recipient",
            table(("app", "mail", "recipient", "state", "reply"), [astuple(row) for row in rows]),
            "The signals that fired",
            table(("app", "signal", "recipients"), signals),
            "The log",
            table(("level", "logger", "line"), lines),
        )
    )


def complaints(rows: Sequence[Row], witness: Witness, inbox: Inbox) -> Iterator[str]:
    """What is not as it should be, a sentence each."""
    for row in rows:
        state, reply = EXPECTED.get(row.recipient, ACCEPTED)
        if row.state != state or not row.reply.startswith(reply):
            yield f"{row.app}: {row.recipient} should be {state} with {reply}, not {row.state} with {row.reply}"
    heard = Counter((one.app, one.signal) for one in witness.signals)
    if heard != SIGNALS:
        yield f"the signals should be {SIGNALS}, not {dict(heard)}"
    lines = Counter((one.name, one.levelname) for one in witness.records if one.name.startswith("mailbridge."))
    if lines != RECORDS:
        yield f"the log should have {RECORDS}, not {dict(lines)}"
    arrived = sum(len(message.recipients) for message in inbox.messages)
    accepted = sum(row.state == "accepted" for row in rows)
    if not arrived == accepted == 8:
        yield f"8 recipients should have got their mail: {accepted} were told so, {arrived} did"
    if not all(message.tls and message.authenticated_as for message in inbox.messages):
        yield "a mail came without TLS or without a login"
