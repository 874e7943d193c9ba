"""Django's message as the core takes it, and the receipt of one that was never sent."""

from __future__ import annotations

import copy
import email.policy
from email.message import Message
from typing import Any

import django
from django.core.mail import EmailMessage
from django.utils.encoding import force_str

from mailbridge import MailObject, Receipt, RecipientResult, SMTPInputError, State, with_a_labels

# The attributes that Django writes addresses from.
_ADDRESSES = ("from_email", "to", "cc", "reply_to")


def envelope(message: EmailMessage) -> tuple[str, list[str]]:
    """Who sends and who receives: `from_email` and `recipients()`, never the headers. Values may be lazy."""
    return force_str(message.from_email), [force_str(recipient) for recipient in message.recipients()]


def mail_object(message: EmailMessage) -> MailObject | None:
    """Render a message for the core; None where it has no recipients.

    Raises:
        SMTPInputError: It has no sender.
        Exception: Whatever Django or the message's own code raises while the message is built.
    """
    sender, recipients = envelope(message)
    if not recipients:
        return None
    if not sender.strip():
        raise SMTPInputError('from_email is empty; "<>" is the null sender')
    return MailObject(_rendered(message), sender, recipients)


def _rendered(message: EmailMessage) -> Message:
    """The message with domains beyond ASCII as they are or in A-labels of IDNA 2008.

    On its own Django would write IDNA 2003, which names another domain for "faß.de".
    """
    if django.VERSION >= (6, 0):
        # A policy that permits UTF-8 leaves the domains to the core.
        return message.message(policy=email.policy.SMTPUTF8)
    if not all(force_str(value).isascii() for name in _ADDRESSES for value in _as_list(getattr(message, name))):
        message = copy.copy(message)
        for name in _ADDRESSES:
            value = getattr(message, name)
            spelled = [with_a_labels(force_str(each)) for each in _as_list(value)]
            setattr(message, name, spelled if isinstance(value, list | tuple) else spelled[0])
    return message.message()


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def unsent(message: EmailMessage, why: Exception | None) -> Receipt:
    """The receipt of a message that never reached a server."""
    try:
        sender, recipients = envelope(message)
    except Exception as error:  # noqa: BLE001 - addresses that nobody can read, such as a `to` that is a string
        return Receipt("", {}, error=why or error)
    return Receipt(
        sender,
        {recipient: RecipientResult(recipient, State.NOT_SENT, error=why) for recipient in recipients},
        error=why if recipients else None,
    )
