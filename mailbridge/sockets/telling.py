"""What a batch tells: each receipt once, in the order of the messages, to the caller or to the log."""

from __future__ import annotations

import logging
import traceback
import warnings
from collections.abc import Callable

from ..errors import SMTPInputError
from ..logs import emit, log_receipt
from ..message import OnPartial, check_partial
from ..receipts import Receipt
from .roll import Roll

Progress = Callable[[int, Receipt], object]


class Telling:
    """Hands out what stands on a roll.

    Attributes:
        left: What was not handed out any more, in the order of the messages.
    """

    def __init__(self, roll: Roll, *, log_receipts: bool, progress: Progress | None) -> None:
        self._roll, self._log_receipts, self._progress = roll, log_receipts, progress
        self._count = 0
        self.left: tuple[Receipt, ...] = ()

    def handed_out(self) -> Receipt:
        """The oldest receipt, which is known; it is logged, and the progress callable hears of it."""
        receipt = self._roll.hand_out()
        assert receipt is not None  # noqa: S101 - it is told
        self._count += 1
        self._write_down(receipt)
        if self._progress is not None:
            try:
                self._progress(self._count, receipt)
            except Exception:  # noqa: BLE001 - what counts the messages must not decide what becomes of them
                emit(logging.ERROR, f"the progress callable failed: {traceback.format_exc(limit=-1)}")
        return receipt

    def leave_behind(self) -> None:
        """Keep and log each receipt that nobody asks for any more."""
        rest = tuple(self._roll.rest())
        self.left += rest
        for receipt in rest:
            self._write_down(receipt)

    def _write_down(self, receipt: Receipt) -> None:
        if self._log_receipts:
            log_receipt(receipt)


def never_iterated() -> None:
    """Say that a batch was made and forgotten."""
    words = "a batch was never iterated: none of its messages was sent"
    emit(logging.ERROR, words)
    warnings.warn(words, ResourceWarning, stacklevel=3)


def wants_abort(on_partial: OnPartial) -> bool:
    """Whether a message is all or nothing.

    Raises:
        SMTPInputError: It is no word for a batch.
    """
    check_partial(on_partial)
    if on_partial == "raise":
        raise SMTPInputError("a batch raises for no message: on_partial is deliver or abort")
    return on_partial == "abort"
