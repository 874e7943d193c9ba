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


class CancelSend(Exception):  # noqa: N818 - no error: a receiver of `message_sending` decides so
    """Raised by a receiver of `message_sending`: this message is not sent."""


message_sending = signals.signal(
    "message-sending",
    doc="""A message is about to leave. A receiver may change it, or raise `CancelSend`.

    Sent with the app, and `message`, also where sending is suppressed.
    """,
)
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


def allowed(app: Flask, message: Message) -> bool:
    """Tell every receiver that a message is about to leave; False where one of them cancels it."""
    try:
        tell(message_sending, app, message=message)
    except CancelSend:
        logger.info("a receiver of %s cancelled a message", message_sending.name)
        return False
    return True


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
        except CancelSend as error:
            if signal is message_sending:
                raise
            _complain(signal, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it changes nothing about the mail
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
