"""What a site can hear about its mail.

`message_sending` comes first, with `message` and `alias`: its receivers may change the message, or raise
`CancelSend`. Each of the others is sent after the whole batch was. A receiver that fails is logged by Django and
changes nothing. `sender` is the backend's class, and the arguments of the others are always

- `message`: the `django.core.mail.EmailMessage`;
- `receipt`: its `mailbridge.Receipt`, also at `message.mailbridge_receipt`;
- `refused`: `receipt.refused`, the deferred and rejected recipients, each with its reply;
- `alias`: the mailer's name in MAILERS; None where EMAIL_BACKEND is used.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from django.core.mail import EmailMessage
from django.dispatch import Signal

from mailbridge import Receipt


class CancelSend(Exception):  # noqa: N818 - it is no error: a receiver says what is to be done
    """Raised by a receiver of `message_sending`: do not send this message."""


_complaining: ContextVar[bool] = ContextVar("mailbridge_complaining", default=False)


class MailSignal(Signal):
    """A signal that knows when it complains about a receiver.

    Django logs the failure of a receiver, and by default mails ERROR records to the admins. Were that
    mail announced as well, the same receiver would fail again, and so on for ever.
    """

    def _log_robust_failure(self, receiver: Callable[..., Any], err: Exception) -> None:
        if isinstance(err, CancelSend) and self is message_sending:
            return
        token = _complaining.set(True)
        try:
            super()._log_robust_failure(receiver, err)  # type: ignore[misc]  # the stubs leave Django's hook out
        finally:
            _complaining.reset(token)


message_sending = MailSignal()
"""The message is about to be sent: it may still be changed, or cancelled."""

message_sent = MailSignal()
"""The server took responsibility for the message, for at least one recipient."""

recipients_refused = MailSignal()
"""A reply refused recipients, for now or for good; others may have got the message."""

message_failed = MailSignal()
"""Nobody accepted the message, or some recipients were not reached at all: safe to send to those again."""

outcome_unknown = MailSignal()
"""The connection was lost when the content was on its way: sending again may deliver twice."""


def cancelled(sender: type, message: EmailMessage, alias: str | None) -> CancelSend | None:
    """Ask the receivers of `message_sending`. All of them are asked, whatever the first one says.

    Args:
        sender: The backend's class.
        message: The message; receivers may change it.
        alias: The mailer's name in MAILERS, if it has one.

    Returns:
        The wish of the first one that wants nothing to be sent.
    """
    if _complaining.get():
        return None
    answers = message_sending.send_robust(sender, message=message, alias=alias)
    return next((answer for _, answer in answers if isinstance(answer, CancelSend)), None)


def announce(sender: type, message: EmailMessage, receipt: Receipt, alias: str | None) -> None:
    """Send the signals that an outcome deserves, unless it is of a mail about a receiver that failed.

    Args:
        sender: The backend's class.
        message: The message, with its receipt.
        receipt: What became of it.
        alias: The mailer's name in MAILERS, if it has one.
    """
    if _complaining.get():
        return
    failed = not receipt.unknown and (receipt.not_sent or not receipt.accepted)
    for signal, due in (
        (message_sent, receipt.accepted),
        (recipients_refused, receipt.refused),
        (outcome_unknown, receipt.unknown),
        (message_failed, failed),
    ):
        if due:
            signal.send_robust(sender, message=message, receipt=receipt, refused=receipt.refused, alias=alias)
