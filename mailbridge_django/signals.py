"""What a site can hear about its mail.

Each signal is sent after the message was, by `send_robust`: a receiver that fails is logged by
Django and changes nothing. `sender` is the backend's class, and the arguments are always

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

_complaining: ContextVar[bool] = ContextVar("mailbridge_complaining", default=False)


class MailSignal(Signal):
    """A signal that knows when it complains about a receiver.

    Django logs the failure of a receiver, and by default mails ERROR records to the admins. Were that
    mail announced as well, the same receiver would fail again, and so on for ever.
    """

    def _log_robust_failure(self, receiver: Callable[..., Any], err: Exception) -> None:
        token = _complaining.set(True)
        try:
            super()._log_robust_failure(receiver, err)  # type: ignore[misc]  # the stubs leave Django's hook out
        finally:
            _complaining.reset(token)


message_sent = MailSignal()
"""The server took responsibility for the message, for at least one recipient."""

recipients_refused = MailSignal()
"""A reply refused recipients, for now or for good; others may have got the message."""

message_failed = MailSignal()
"""Nobody accepted the message, or some recipients were not reached at all: safe to send to those again."""

outcome_unknown = MailSignal()
"""The connection was lost when the content was on its way: sending again may deliver twice."""


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
