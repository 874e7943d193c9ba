"""The signals, and who hears what became of a message."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from blinker import NamedSignal, Namespace

from mailbridge import Receipt

if TYPE_CHECKING:
    from flask import Flask

    from .message import Message

logger = logging.getLogger("mailbridge.flask")

_complaining: ContextVar[bool] = ContextVar("mailbridge_flask_complaining", default=False)

signals = Namespace()

email_dispatched = signals.signal(
    "email-dispatched",
    doc="""A message has left, for at least one recipient, or would have if sending were not suppressed.

    Sent with the app, and `message`: as Flask-Mail does. The receipt is `message.mailbridge_receipt`.
    """,
)
recipients_refused = signals.signal(
    "recipients-refused",
    doc="""The server refused recipients, for now or for good.

    Sent with the app, `message`, `receipt` and `refused`: recipient to `RecipientResult`, which has the reply.
    """,
)
message_failed = signals.signal(
    "message-failed",
    doc="""Nobody accepted a message, or somebody did not get it and no reply says why.

    Sent with the app, `message`, `receipt` and `refused`; the error is `receipt.error`.
    """,
)
outcome_unknown = signals.signal(
    "outcome-unknown",
    doc="""The content was on its way and no reply came: it may have arrived. It is never sent again by itself.

    Sent with the app, `message`, `receipt` and `refused`; the recipients in doubt are `receipt.unknown`.
    """,
)


def announce(app: Flask, message: Message, receipt: Receipt) -> None:
    """Tell every receiver what became of a message."""
    if receipt.accepted:
        tell(email_dispatched, app, message=message)
    facts = {"message": message, "receipt": receipt, "refused": receipt.refused}
    if receipt.refused:
        tell(recipients_refused, app, **facts)
    if receipt.unknown:
        tell(outcome_unknown, app, **facts)
    elif not receipt.delivered:
        tell(message_failed, app, **facts)


def tell(signal: NamedSignal, app: Flask, **facts: Any) -> None:
    """Call each receiver on its own: one that fails is logged, and neither the others nor the outcome change."""
    if signal.is_muted or _complaining.get():
        return
    for receiver in signal.receivers_for(app):
        try:
            app.ensure_sync(receiver)(app, **facts)
        except Exception as error:  # noqa: BLE001 - whatever it is, the mail has left
            _complain(signal, error)


def _complain(signal: NamedSignal, error: Exception) -> None:
    # A log handler may send mail. Were that mail announced, the same receiver would fail again, for ever.
    token = _complaining.set(True)
    try:
        logger.error("a receiver of %s failed", signal.name, exc_info=error)
    finally:
        _complaining.reset(token)


@contextmanager
def record_messages() -> Iterator[list[Message]]:
    """Record the messages that leave, or would leave, in any app. For tests.

    Example:
        >>> with mail.record_messages() as outbox:
        ...     client.post("/sign-up", data={"email": "ann@example.org"})
        >>> outbox[0].subject
        'Welcome'
    """
    outbox: list[Message] = []

    def record(app: Flask, message: Message) -> None:
        outbox.append(message)

    with email_dispatched.connected_to(record):
        yield outbox
