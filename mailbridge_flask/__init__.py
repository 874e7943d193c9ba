"""Mail for Flask on which a refusal is never lost; Flask-Mail's keys, classes and behaviour."""

from mailbridge import Receipt, RecipientResult

from .content import Attachment
from .extension import Mail
from .headers import BadHeaderError
from .message import Message
from .sanitize import force_text, sanitize_address, sanitize_addresses, sanitize_subject
from .signals import (
    CancelSend,
    email_dispatched,
    message_failed,
    message_sending,
    outcome_unknown,
    recipients_refused,
    signals,
)
from .state import Connection

__all__ = [
    "Attachment",
    "BadHeaderError",
    "CancelSend",
    "Connection",
    "Mail",
    "Message",
    "Receipt",
    "RecipientResult",
    "email_dispatched",
    "force_text",
    "message_failed",
    "message_sending",
    "outcome_unknown",
    "recipients_refused",
    "sanitize_address",
    "sanitize_addresses",
    "sanitize_subject",
    "signals",
]
