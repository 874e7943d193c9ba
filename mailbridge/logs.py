"""Log records: one for each event, with fields that a machine can read and no secret ever."""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

from .facts import printable
from .receipts import Receipt, RecipientResult

logger = logging.getLogger("mailbridge")

AddressStyle = Literal["full", "masked", "none"]

# A handler may send mail (Django's AdminEmailHandler). What that send logs must not come
# back to the same handler, so it goes out at DEBUG.
_emitting: ContextVar[bool] = ContextVar("mailbridge_emitting", default=False)


@contextmanager
def _marked() -> Iterator[None]:
    token = _emitting.set(True)
    try:
        yield
    finally:
        _emitting.reset(token)


def emit(level: int, message: str, *, to: logging.Logger = logger, extra: Mapping[str, object] | None = None) -> None:
    """Write one record, its text made fit to print; at DEBUG inside the emission of another one of ours."""
    level = logging.DEBUG if _emitting.get() else level
    if to.isEnabledFor(level):
        try:
            with _marked():
                to.log(level, "%s", printable(message, 2_000), extra=extra)
        except Exception:  # noqa: BLE001 - a handler that fails must not make an error of delivered mail (WIRE.md S19)
            if logging.raiseExceptions:
                traceback.print_exc()


def spelled(address: str, style: AddressStyle) -> str:
    """Write an address as the configuration allows it: in full, masked ("a***@example.org"), or not at all."""
    if style == "full":
        return printable(address)
    if style == "none":
        return "[address]"
    local, at, domain = printable(address).rpartition("@")
    return f"{local[:1]}***@{domain}" if at else f"{domain[:1]}***"


def level_of(receipt: Receipt) -> int:
    """INFO where all were accepted, WARNING where some were refused, ERROR for the rest."""
    if receipt.complete:
        return logging.INFO
    return logging.WARNING if receipt.delivered else logging.ERROR


def _result(result: RecipientResult, style: AddressStyle) -> dict[str, Any]:
    return {
        "recipient": spelled(result.recipient, style),
        "state": str(result.state),
        "code": result.code,
        "enhanced": str(result.enhanced) if result.enhanced else None,
        "text": printable(result.text) if style == "full" else None,
        "phase": str(result.phase) if result.phase else None,
    }


def fields(receipt: Receipt, style: AddressStyle = "full") -> dict[str, Any]:
    """The `extra` fields of a message's record. The names are stable.

    Words of a server often repeat the address, so they are left out where addresses are not written in full.
    """
    server = receipt.server
    return {
        "host": server.host if server else None,
        "port": server.port if server else None,
        "tls": server.tls if server else None,
        "message_id": printable(receipt.message_id) if receipt.message_id else None,
        "queue_id": receipt.queue_id,
        "mail_from": spelled(receipt.sender, style),
        "accepted": [spelled(key, style) for key in receipt.accepted],
        "refused": [_result(result, style) for result in receipt.refused.values()],
        "unknown": [spelled(key, style) for key in receipt.unknown],
        "not_sent": [spelled(key, style) for key in receipt.not_sent],
        "duration": round(receipt.duration, 6),
        "reused": receipt.reused,
    }


def _sentence(receipt: Receipt, style: AddressStyle) -> str:
    states = (f"{count} {state}" for state, count in Counter(r.state for r in receipt.results.values()).items())
    parts = [f"message {receipt.message_id or '(no Message-ID)'}: {', '.join(states) or 'no recipients'}"]
    for result in (*receipt.refused.values(), *receipt.unknown.values(), *receipt.not_sent.values()):
        words = str(result.reply or "") if style == "full" else str(result.code or "")
        parts.append(f"{spelled(result.recipient, style)} {result.state} {words}".rstrip())
    if receipt.error is not None:
        parts.append(spelled_error(receipt.error, style))
    return "; ".join(parts)


def spelled_error(error: Exception, style: AddressStyle) -> str:
    """An error as this style writes it: in full, or its kind and the step alone, since its words may hold addresses."""
    if style == "full":
        return str(error)
    phase = getattr(error, "phase", None)
    return f"{type(error).__name__} at {phase}" if phase else type(error).__name__


def is_logged(receipt: Receipt, to: logging.Logger = logger) -> bool:
    """Whether anybody sees the record of a message: where nobody does, none is made."""
    return to.isEnabledFor(level_of(receipt))


def log_receipt(
    receipt: Receipt,
    *,
    to: logging.Logger = logger,
    addresses: AddressStyle = "full",
    extra: Mapping[str, object] | None = None,
    level: int | None = None,
) -> None:
    """Write the one record of a message.

    Args:
        receipt: What became of the message.
        to: The logger.
        addresses: How addresses are written: "full", "masked" or "none".
        extra: Further fields, such as a framework's alias.
        level: The level; None for the one that the outcome deserves.
    """
    level = level_of(receipt) if level is None else level
    if to.isEnabledFor(level):
        emit(level, _sentence(receipt, addresses), to=to, extra={**fields(receipt, addresses), **(extra or {})})
