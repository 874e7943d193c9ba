"""The roll of a batch: which messages are under way, what became of each, in the order in which they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from ..conversations import Delivery, outcome
from ..errors import SMTPException
from ..message import MailObject, MessageSource
from ..preparing import prepare
from ..receipts import Receipt, RecipientResult, State
from .keeper import Keeper

# Messages that are pulled and not handed out yet: what a slow one may hold up, and the memory of a batch of any size.
AHEAD = 64


class Item:
    """One message of a batch.

    Attributes:
        delivery: What is known of it; None where it could not be prepared.
        receipt: What became of it, once that is known.
        begun: When it went to a connection, on the monotonic clock.
    """

    def __init__(self) -> None:
        self.delivery: Delivery | None = None
        self.receipt: Receipt | None = None
        self.begun = 0.0


class Roll:
    """Messages of a batch in their order.

    Attributes:
        again: Those that wait for another attempt, over whatever connection.
        exhausted: The caller has no more.
    """

    def __init__(self, *, abort: bool) -> None:
        self.again: deque[Delivery] = deque()
        self.exhausted = False
        self._abort = abort
        self._items: deque[Item] = deque()
        self._by_delivery: dict[Delivery, Item] = {}

    @property
    def crowded(self) -> bool:
        """Enough messages wait to be handed out."""
        return len(self._items) >= AHEAD

    @property
    def told(self) -> bool:
        """What became of the oldest message is known."""
        return bool(self._items) and self._items[0].receipt is not None

    def enter(self, message: MessageSource | MailObject) -> Delivery | None:
        """Add a message; one that cannot be sent has its receipt at once, and is no delivery."""
        mail = message if isinstance(message, MailObject) else MailObject(message)
        item = Item()
        self._items.append(item)
        try:
            item.delivery = Delivery(prepare(mail), abort=self._abort)
        except Exception as error:  # noqa: BLE001 - a file or a subclass of the caller's; one message stops no other
            item.receipt = unprepared(mail, error)
            if isinstance(error, SMTPException):
                error.receipt = item.receipt
            return None
        self._by_delivery[item.delivery] = item
        return item.delivery

    def begin(self, delivery: Delivery, now: float, *, hot: bool) -> Delivery:
        """A message goes to a connection."""
        delivery.hot = hot
        self._by_delivery[delivery].begun = now
        return delivery

    def begun(self, delivery: Delivery) -> float:
        """When that was."""
        return self._by_delivery[delivery].begun

    def tell(self, delivery: Delivery, keeper: Keeper[Any]) -> None:
        """Write what became of a message that is done."""
        item = self._by_delivery.pop(delivery)
        item.receipt = keeper.told(delivery, delivery.ended, item.begun)[0]

    def give_up(self, error: SMTPException) -> None:
        """No connection is to be had: what waits for one is not sent."""
        while self.again:
            delivery = self.again.popleft()
            delivery.end(error)
            receipt, failed = outcome(delivery, error, server=error.server)
            if failed is not None and failed.receipt is None:
                failed.receipt = receipt
            self._by_delivery.pop(delivery).receipt = receipt

    def hand_out(self) -> Receipt | None:
        """Take the oldest message off the roll, if it is known what became of it."""
        return self._items.popleft().receipt if self.told else None

    def rest(self) -> Iterator[Receipt]:
        """Take off all that are known, and drop the others."""
        while self._items:
            receipt = self._items.popleft().receipt
            if receipt is not None:
                yield receipt


def unprepared(mail: MailObject, error: Exception) -> Receipt:
    """The receipt of a message that could not be prepared: nobody got it, as far as it says who should have."""
    given = mail.recipients if isinstance(mail.recipients, list | tuple) else ()
    names = [name for name in given if isinstance(name, str)]
    phase = getattr(error, "phase", None)
    results = {name: RecipientResult(name, State.NOT_SENT, None, phase, error) for name in names}
    return Receipt(mail.sender if isinstance(mail.sender, str) else "", results, error=error)
