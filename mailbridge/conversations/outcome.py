"""How a send ended: the error that sums it up, if it deserves one."""

from __future__ import annotations

from ..errors import (
    SMTPDataError,
    SMTPException,
    SMTPOutcomeUnknown,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
)
from ..facts import Phase
from ..receipts import Receipt
from .delivery import Delivery


def failure(delivery: Delivery, error: SMTPException | None) -> SMTPException | None:
    """The error of a message, or None where somebody has it and nobody's fate is open.

    Args:
        delivery: What is known of each recipient.
        error: What ended the conversation, if it did not end by itself.
    """
    if error is None and delivery.complete:
        return None  # as most end; it takes no receipt to know that
    receipt = delivery.receipt(error)
    if receipt.unknown:
        reason = f" ({error.what()})" if error else ""
        unknown = SMTPOutcomeUnknown(
            f"the content was sent and no reply to it came{reason}: it may or may not have been accepted",
            phase=Phase.CONTENT,
            advice="Nothing was sent again; look for the Message-ID in the server's log before you do",
        )
        unknown.__cause__ = error
        return unknown
    if receipt.delivered:
        return None
    if receipt.not_sent and (why := error or next(iter(delivery.unfit.values()), None)):
        return why
    return refusal(delivery, receipt)


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
