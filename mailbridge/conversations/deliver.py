"""One message, by whatever is fastest and right with this server."""

from __future__ import annotations

from .. import commands
from ..errors import SMTPDataError, SMTPInputError, SMTPProtocolError
from ..facts import Phase
from ..preparing import Prepared, Recipient
from ..protocol import SMTPProtocol
from ..replies import Reply
from ..wire import CHUNK
from .delivery import Delivery, Transaction
from .fitting import fitted, mail_command, unfit_recipients
from .needs import Conversation, Need, answered, say, turn

# Octets in one BDAT. Each costs a reply, and whatever refuses it is heard behind its last octet (RFC 3030 section 2).
LONGEST_BDAT = 2 * 1024 * 1024


def deliver(
    smtp: SMTPProtocol, delivery: Delivery, *, max_recipients: int, hot: bool = False, in_flight: bool = False
) -> Conversation[None]:
    """Send a message; what became of it stands in the delivery, whether this ends well or not.

    Args:
        smtp: A protocol between two transactions.
        delivery: The message and what is known of its fate.
        max_recipients: More go in several transactions.
        hot: A reply was read on this connection a moment ago, so it is probably alive.
        in_flight: Say (`Need.SAID`) when another message may follow before this one has its replies.

    Raises:
        SMTPInputError: The message is too large for this server, or cannot be given all-or-nothing.
        SMTPNotSupportedError: It asks for an extension that the server does not offer.
        SMTPException: The connection ended; see `Delivery.receipt` for who has the message.
    """
    waiting, mail, limit = delivery.mail.recipients, None, 0
    while waiting:
        if smtp.full:
            # RFC 9422 section 3.1: the server takes so many transactions on one connection.
            smtp, mail = (yield Need.CONNECTION), None
        if mail is None:
            # Once for each connection: the next one may lead to a server that offers less.
            mail, waiting, limit = _fit(smtp, delivery, waiting, max_recipients)
            continue
        transaction, waiting = Transaction(smtp, waiting[:limit]), waiting[limit:]
        delivery.transactions.append(transaction)
        last = in_flight and not waiting
        yield from _transact(smtp, mail, transaction, abort=delivery.abort, hot=hot, in_flight=last)
        if transaction.sender_refused and waiting:
            # Whom the server refuses once, it refuses for every other recipient.
            delivery.transactions.append(Transaction(smtp, waiting, transaction.mail))
            return
        if transaction.refused and not delivery.abort:
            # RFC 5321 section 4.5.3.1.10: those beyond the server's limit go in the next transaction.
            transaction.again = _too_many(transaction)
            waiting = (*transaction.again, *waiting)


def _fit(
    smtp: SMTPProtocol, delivery: Delivery, waiting: tuple[Recipient, ...], max_recipients: int
) -> tuple[Prepared, tuple[Recipient, ...], int]:
    """The message as this server takes it, those of its recipients within reach, and how many of them at a time."""
    mail = fitted(smtp, delivery.mail)
    if unfit := unfit_recipients(smtp, mail):
        delivery.unfit.update((recipient, unfit[recipient]) for recipient in waiting if recipient in unfit)
        waiting = tuple(recipient for recipient in waiting if recipient not in unfit)
    limit = min(max_recipients, smtp.capabilities.limit("RCPTMAX") or max_recipients)
    if delivery.abort:
        if unfit:
            raise next(iter(unfit.values()))
        check_abort(delivery, limit)
    return mail, waiting, limit


def check_abort(delivery: Delivery, limit: int) -> None:
    """All or nothing takes one transaction.

    Raises:
        SMTPInputError: More recipients than one transaction holds.
    """
    count = len(delivery.mail.recipients)
    if delivery.abort and count > limit:
        raise SMTPInputError(
            f"{count} recipients do not fit into one transaction of {limit}, so they cannot be sent all-or-nothing"
        )


def _too_many(transaction: Transaction) -> list[Recipient]:
    """Who was refused only because others went before: once one was accepted, nobody waits for ever."""
    if not transaction.accepted:
        return []
    return [recipient for recipient, reply in transaction.refused if _says_too_many(reply)]


def _says_too_many(reply: Reply) -> bool:
    # 452 4.5.3 at Postfix, 452 alone at others, 451 4.5.3 at OpenSMTPD and Dovecot, 431 at Courier
    # (SERVERS.md R1).
    code = str(reply.enhanced or "")
    return (reply.code in {451, 452} and code == "4.5.3") or (reply.code in {431, 452} and not code)


def _transact(
    smtp: SMTPProtocol, mail: Prepared, transaction: Transaction, *, abort: bool, hot: bool, in_flight: bool
) -> Conversation[None]:
    """One transaction from MAIL to the reply to its content."""
    at_once, chunking = smtp.pipelining and not abort, smtp.chunking
    if chunking:
        # Some servers die of BDAT behind a refused MAIL (SERVERS.md B2), and on an idle connection
        # content that left is content in doubt: one flight only where the server was just there
        # and is known to take this sender.
        at_once = at_once and hot and mail.content.size <= CHUNK and smtp.has_accepted(mail.sender)
    yield from _envelope(smtp, mail, transaction)
    if at_once and not transaction.sender_refused:
        transaction.one_flight = chunking
    elif not (yield from _wanted(smtp, transaction, abort=abort)):
        return
    yield from (_chunks if chunking else _data)(smtp, mail, transaction, in_flight=in_flight)


def _envelope(smtp: SMTPProtocol, mail: Prepared, transaction: Transaction) -> Conversation[None]:
    """MAIL and RCPTs: in one flight where PIPELINING is offered, one at a time where it is not."""
    if smtp.owes_reset:
        yield from say(smtp, commands.Rset())
    command = mail_command(smtp, mail, transaction.recipients)
    transaction.mail = smtp.send(command) if smtp.free else (yield from say(smtp, command))
    for recipient in transaction.recipients:
        if not smtp.free:
            yield from turn(smtp)
            if transaction.sender_refused:
                break
        transaction.rcpts.append(smtp.send(commands.Rcpt(recipient.address, recipient.options)))


def _wanted(smtp: SMTPProtocol, transaction: Transaction, *, abort: bool) -> Conversation[bool]:
    """Wait for the replies to the envelope; say whether its content shall follow."""
    for exchange in filter(None, (transaction.mail, *transaction.rcpts)):
        yield from answered(smtp, exchange)
    if abort and transaction.refused:
        transaction.given_up = True
        return False
    return bool(transaction.accepted)


def _data(smtp: SMTPProtocol, mail: Prepared, transaction: Transaction, *, in_flight: bool) -> Conversation[None]:
    """DATA, the content behind a 354 with its dots stuffed, and the dot that ends it."""
    transaction.data = yield from say(smtp, commands.Data())
    reply = yield from answered(smtp, transaction.data)
    if reply.refused:
        return
    if transaction.accepted:
        for piece in mail.content.cut(CHUNK):
            smtp.send_content(piece)
            if smtp.pending >= CHUNK:
                yield Need.ROOM
    elif smtp.lmtp:
        # RFC 2033 section 4.2: one reply for each accepted recipient, which is none, so the dot
        # would get no answer.
        raise SMTPProtocolError("the server wants the content though it refused every recipient")
    transaction.content.append((yield from say(smtp, commands.EndOfData())))
    if in_flight and smtp.overlap:
        yield Need.SAID
    yield from answered(smtp, transaction.content[-1])


def _chunks(smtp: SMTPProtocol, mail: Prepared, transaction: Transaction, *, in_flight: bool) -> Conversation[None]:
    """The content in BDAT chunks, each with its reply."""
    left, room = mail.content.size, 0
    for piece in mail.content.cut(LONGEST_BDAT):
        if not room:
            room = min(left, LONGEST_BDAT)
            command = commands.Bdat(room, last=room == left)
            if not smtp.free:
                yield from turn(smtp)
            _stop_if_refused(transaction)
            transaction.content.append(smtp.send(command))
        smtp.send_content(piece)
        room, left = room - len(piece), left - len(piece)
        if smtp.pending >= CHUNK:
            yield Need.ROOM
    # Where a chunk before the last one may be refused, the connection may have to be closed: nothing follows.
    if in_flight and smtp.pipelining and len(transaction.content) == 1:
        yield Need.SAID
    for exchange in transaction.content:
        yield from answered(smtp, exchange)
        _stop_if_refused(transaction)


def _stop_if_refused(transaction: Transaction) -> None:
    """RFC 3030 section 2: after a refused chunk the others are in vain, whatever would be said to them.

    The connection is left in the middle of a message and will be closed: RSET there crashes
    Exim (SERVERS.md B3), and over LMTP nobody knows how often LAST is answered then.
    """
    if refusal := transaction.refused_chunk:
        raise SMTPDataError.of(refusal, Phase.CONTENT)
