"""From a receipt to its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from django.core.mail import EmailMessage
from django.db import router, transaction
from django.utils import timezone

from mailbridge import AddressStyle, Receipt, RecipientResult, SMTPInputError, parse_address, printable, spell_address

from .. import conf, signals

_RESULTS = (signals.message_sent, signals.recipients_refused, signals.outcome_unknown, signals.message_failed)


def connect() -> None:
    """Write down what becomes of each message from now on."""
    for signal in _RESULTS:
        signal.connect(record)


def disconnect() -> None:
    """Write down nothing more."""
    for signal in _RESULTS:
        signal.disconnect(record)


def record(message: EmailMessage, receipt: Receipt, alias: str | None, **_: Any) -> None:
    """Write the rows of a message: once, whether one signal tells of it or three.

    The savepoint keeps a failure from breaking the transaction of whoever sends, and the rows share its end.
    """
    if getattr(message, "mailbridge_recorded", None) is receipt:
        return
    # Before the attempt: a database that is down is tried once for each message, not for each signal.
    message.mailbridge_recorded = receipt  # type: ignore[attr-defined]  # ours to add
    from .models import Delivery  # noqa: PLC0415  # models cannot be imported before the app is

    rows = [Delivery(**row) for row in _rows(receipt, alias, _style(message, alias))]
    with transaction.atomic(using=router.db_for_write(Delivery)):
        Delivery.objects.bulk_create(rows, batch_size=500)


def _style(message: EmailMessage, alias: str | None) -> AddressStyle:
    """As the backend that sent it says, which a program may have told otherwise than the settings do."""
    style: AddressStyle | None = getattr(message, "mailbridge_log_addresses", None)
    return style or conf.address_style(alias)


def _rows(receipt: Receipt, alias: str | None, style: AddressStyle) -> Iterator[dict[str, Any]]:
    now = timezone.now()
    for result in receipt.results.values():
        yield {
            "when": now,
            "state": str(result.state),
            "recipient": _short(spell_address(result.recipient, style), 320),
            "domain": "" if style == "none" else _short(_domain(result), 255),
            "code": result.code,
            "enhanced": _short(str(result.enhanced or ""), 16),
            # Words of a server often repeat the address.
            "text": _short(result.text, 500) if style == "full" else "",
            # With LMTP each recipient has a reply, and perhaps a name in the queue, of its own.
            "queue_id": _short(replace(receipt, reply=result.reply).queue_id or "", 100),
            "message_id": _short(receipt.message_id or "", 255),
            "alias": _short(alias or "", 100),
        }


def _domain(result: RecipientResult) -> str:
    try:
        return parse_address(result.recipient).domain.lower()
    except SMTPInputError:
        return ""  # it is no address, and that is why it was not sent


def _short(text: str, length: int) -> str:
    """The text as a column of this length takes it; a cut is marked by one character more."""
    return printable(text, length - 1)
