"""How a send ended: the error that sums it up, if it deserves one."""

from __future__ import annotations

from ..errors import (
    SMTPDataError,
    SMTPException,
    SMTPOutcomeUnknown,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
)
from ..facts import Endpoint, Phase
from ..receipts import Receipt, State
from .delivery import Delivery


def outcome(
    delivery: Delivery,
    error: SMTPException | None,
    *,
    server: Endpoint | None = None,
    duration: float = 0.0,
    reused: bool = False,
) -> tuple[Receipt, SMTPException | None]:
    """What became of a message, and what to raise for it.

    Args:
        delivery: What is known of each recipient.
        error: What ended the conversation, if it did not end by itself.
        server: Where it went to.
        duration: Seconds that it took.
        reused: The connection had carried a message before.

    Returns:
        The receipt, and its error; None where somebody has the message and nobody's fate is open.
    """
    receipt = delivery.receipt(error, server=server, duration=duration, reused=reused)
    failed = _failure(delivery, receipt, error)
    if failed is not error:
        receipt = delivery.receipt(failed, server=server, duration=duration, reused=reused)
    return receipt, failed


def _failure(delivery: Delivery, receipt: Receipt, error: SMTPException | None) -> SMTPException | None:
    if receipt.complete:
        return None
    states = receipt.states
    if State.UNKNOWN in states:
        reason = f" ({error.what()})" if error else ""
        unknown = SMTPOutcomeUnknown(
            f"the content was sent and no reply to it came{reason}: it may or may not have been accepted",
            phase=Phase.CONTENT,
            advice="Nothing was sent again; look for the Message-ID in the server's log before you do",
        )
        unknown.__cause__ = error
        return unknown
    if State.NOT_SENT not in states:
        return None if State.ACCEPTED in states else refusal(delivery, receipt)
    return error or next(iter(delivery.unfit.values()), None) or refusal(delivery, receipt)


def refusal(delivery: Delivery, receipt: Receipt) -> SMTPException:
    """The classic error for refused recipients: one for the sender, the recipients or the content."""
    first = next(iter(receipt.refused.values()))
    phases = {result.phase for result in receipt.refused.values()}
    replies = {result.reply for result in receipt.refused.values()}
    if first.reply is not None and first.phase and len(replies) == 1 and not receipt.accepted:
        if phases == {Phase.MAIL}:
            error = SMTPSenderRefused(first.reply.code, first.reply.raw, delivery.mail.sender_name, phase=Phase.MAIL)
            error.reply = first.reply
            return error
        if phases <= {Phase.DATA, Phase.CONTENT}:
            return SMTPDataError.of(first.reply, first.phase)
    answers = {key: (r.reply.code, r.reply.raw) for key, r in receipt.refused.items() if r.reply}
    return SMTPRecipientsRefused(answers, phase=first.phase)
