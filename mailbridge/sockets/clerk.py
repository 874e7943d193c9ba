"""The paperwork of a client and of a pool: the server that they take, the records that they write."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable
from typing import Any

from ..errors import SMTPInputError
from ..logs import emit, is_logged, log_receipt
from ..receipts import Receipt
from ..server import Server
from .keeper import Keeper


class Clerk(ABC):  # noqa: B024 - what it leaves open is a verb that one driver awaits and the other does not
    """Keeps a server, and writes down what became of the messages to it.

    Attributes:
        server: Where to.
        log_receipts: Write one record to the logger "mailbridge" for each message.
    """

    def __init__(self, server: Server, *, log_receipts: bool) -> None:
        if not isinstance(server, Server):
            raise SMTPInputError(f"a {type(self).__name__} takes a Server: Server.from_url(...) makes one of a URL")
        self.server = server
        self.log_receipts = log_receipts

    def _write_down(self, receipt: Receipt | None) -> None:
        if receipt is not None and self.log_receipts and is_logged(receipt):
            self._record(receipt)

    def _record(self, receipt: Receipt) -> None:
        """Write the record, which somebody will see."""
        log_receipt(receipt)

    @staticmethod
    def _say(keeper: Keeper[Any]) -> None:
        """Write what a channel has to say for the log."""
        Clerk._say_all(keeper.take_notes())

    @staticmethod
    def _say_all(notes: Iterable[tuple[int, str]]) -> None:
        for level, text in notes:
            emit(level, text)
