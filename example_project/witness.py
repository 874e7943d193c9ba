"""What the demo hears: the signals that fire and the log lines that are written."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import mailbridge_django.signals
import mailbridge_flask
from mailbridge import Receipt

DJANGO = ("message_sent", "recipients_refused", "message_failed", "outcome_unknown")
FLASK = ("email_dispatched", "recipients_refused", "message_failed", "outcome_unknown")


@dataclass(frozen=True, slots=True)
class Heard:
    """A signal, and of whom it told."""

    app: str
    signal: str
    recipients: tuple[str, ...]


@dataclass(slots=True)
class Witness:
    """Everything that was heard, in order."""

    signals: list[Heard] = field(default_factory=list)
    records: list[logging.LogRecord] = field(default_factory=list)

    def receiver(self, app: str, signal: str) -> Callable[..., None]:
        """A receiver that notes one signal of one app."""

        def hear(sender: Any, message: Any, **values: Any) -> None:
            receipt: Receipt = message.mailbridge_receipt
            told = receipt.refused if signal == "recipients_refused" else receipt.accepted
            self.signals.append(Heard(app, signal, tuple(told)))

        return hear


class _Listener(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__(logging.INFO)
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)


@contextmanager
def listening() -> Iterator[Witness]:
    """Listen to both sites."""
    witness = Witness()
    django = [(getattr(mailbridge_django.signals, name), witness.receiver("Django", name)) for name in DJANGO]
    flask = [(getattr(mailbridge_flask, name), witness.receiver("Flask", name)) for name in FLASK]
    listener = _Listener(witness.records)
    loggers = [logging.getLogger(name) for name in ("mailbridge", "example_project")]
    for signal, receiver in (*django, *flask):
        signal.connect(receiver)
    for logger in loggers:
        logger.setLevel(logging.INFO)
        logger.addHandler(listener)
    try:
        yield witness
    finally:
        for signal, receiver in (*django, *flask):
            signal.disconnect(receiver)
        for logger in loggers:
            logger.removeHandler(listener)
