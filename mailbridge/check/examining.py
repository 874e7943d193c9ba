"""A check: a connection that is opened as for mail, watched, and the envelope asked about on it."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from dataclasses import dataclass
from email.message import EmailMessage

from .. import commands
from ..addresses import Address, parse
from ..conversations import ask
from ..errors import SMTPException, SMTPInputError, SMTPResponseException
from ..facts import Phase
from ..receipts import Receipt
from ..server import Server
from ..sync.client import Client
from . import findings
from .diagnosis import Diagnosis, Fact, Step
from .second_look import explain
from .watching import WatchedConnection

# RFC 5321 section 4.5.1: the mailbox that every server has, without a domain too.
POSTMASTER = Address("postmaster")


def diagnose(server: Server, *, to: str | None = None, sender: str | None = None) -> Diagnosis:
    """Find out what works between here and a server, step by step, up to the first that fails.

    The name is resolved and every address dialled; then one connection is opened as for mail: greeting, EHLO, TLS,
    login. MAIL and RCPT are asked about and taken back with RSET. All of that ends within `server.timeouts.send`;
    a test message has as long again.

    Args:
        server: The server.
        to: Who gets a small test message. Nothing is sent where it is None.
        sender: The reverse-path; by default the user's name where that is an address, or else `to`, or else the null
            sender. A refused address that nobody named is only a warning.

    Returns:
        The steps, each with its time, facts and perhaps a finding.

    Raises:
        SMTPInputError: `to` or `sender` is no address. Nobody was called.
    """
    envelope = _Envelope.of(server, to, sender)
    deadline = time.monotonic() + server.timeouts.send
    with closing(WatchedConnection(server)) as connection:
        try:
            connection.open(deadline)
            _ask_about(envelope, connection, deadline)
            connection.record.leave()
        except SMTPException as error:
            connection.record.fail(error, _finding(error, connection, deadline))
        steps = tuple(connection.record.steps)
    diagnosis = Diagnosis(connection.endpoint.place, str(server.security), steps)
    if to is None or not diagnosis.ok:
        return diagnosis
    step, receipt = _send(server, envelope)
    return Diagnosis(diagnosis.server, diagnosis.security, (*steps, step), receipt)


def _finding(error: SMTPException, connection: WatchedConnection, deadline: float) -> str:
    if error.phase is Phase.AUTH and error.reply and connection.listener.repeats_secrets:
        return findings.repeated(error.reply, error.advice)
    return explain(error, connection.server, deadline)


@dataclass(frozen=True, slots=True)
class _Envelope:
    """Whom a check asks about, None for the null sender, and whether somebody named them."""

    sender: Address | None
    recipient: Address
    sender_named: bool
    recipient_named: bool

    @classmethod
    def of(cls, server: Server, to: str | None, sender: str | None) -> _Envelope:
        recipient = parse(to) if to is not None else None
        path = _path(sender) if sender is not None else _user(server) or recipient
        return cls(path, recipient or path or POSTMASTER, sender is not None or to is not None, to is not None)

    @property
    def needs_utf8(self) -> bool:
        """RFC 6531 section 3.4: MAIL says so for both."""
        return self.recipient.needs_utf8 or bool(self.sender and self.sender.needs_utf8)


def _path(sender: str) -> Address | None:
    return parse(sender) if sender else None


def _user(server: Server) -> Address | None:
    """The user's name, where it is an address."""
    with suppress(SMTPInputError):
        return parse(server.username) if "@" in server.username else None
    return None


def _ask_about(envelope: _Envelope, connection: WatchedConnection, deadline: float) -> None:
    mail = commands.Mail(envelope.sender, utf8=envelope.needs_utf8)
    if _accepted(connection, mail, deadline, named=envelope.sender_named):
        _accepted(connection, commands.Rcpt(envelope.recipient), deadline, named=envelope.recipient_named)
        connection.converse(ask(connection.protocol, commands.Rset()), deadline)


def _accepted(connection: WatchedConnection, command: commands.Command, deadline: float, *, named: bool) -> bool:
    """Ask about an address. Where nobody named it, a refusal is worth a warning: mail is about others."""
    try:
        connection.converse(ask(connection.protocol, command), deadline)
    except SMTPResponseException as error:
        if named or not findings.is_about_the_address(error):
            raise
        connection.record.warn(findings.complaint(error, connection.server))
        return False
    return True


def _send(server: Server, envelope: _Envelope) -> tuple[Step, Receipt | None]:
    """Send the test message as every message is sent: by a client, on a connection of its own."""
    sender, recipient = str(envelope.sender or ""), str(envelope.recipient)
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender or recipient, recipient, "mailbridge check"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5: no holiday note answers it
    message.set_content(f"A check of the mail server {server.name} sent this message.\n")
    receipt, facts, finding = None, dict[str, Fact](), ""
    begun = time.monotonic()
    with closing(Client(server, log_receipts=False)) as client:
        try:
            receipt = client.send(message, sender=sender, recipients=[recipient])
            facts = {"queue_id": receipt.queue_id or "not told", "message_id": receipt.message_id or ""}
        except SMTPException as error:
            receipt, finding = error.receipt, findings.complaint(error, server)
        return Step("SEND", time.monotonic() - begun, not finding, facts, finding), receipt
