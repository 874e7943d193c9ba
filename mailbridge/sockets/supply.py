"""Where the connections of a batch get their messages from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar

from ..conversations import Delivery
from ..conversations.streaming import WINDOW
from ..message import MailObject, MessageSource
from .keeper import Keeper
from .lending import Lending
from .roll import Roll


class Hand(Protocol):
    """One that sends a share of a batch.

    Attributes:
        leaving: It takes no more messages: somebody waits for its connection.
        finished: How many messages came to their end on it.
    """

    leaving: bool
    finished: int

    @property
    def channel(self) -> Keeper[Any]:
        """What it sends over."""


H = TypeVar("H", bound=Hand)


class Supply(Generic[H]):
    """The caller's messages, and those who send them.

    Attributes:
        roll: The messages that were pulled.
        lanes: Those that are at work.
        turned_away: A further connection was not to be had; this batch asks for no more.
    """

    def __init__(self, source: Iterator[MessageSource | MailObject], roll: Roll, lender: Lending[Any]) -> None:
        self.roll = roll
        self.lanes: list[H] = []
        self.turned_away = False
        self._source, self._lender = source, lender
        self._raised: Exception | None = None

    def pull(self) -> Delivery | None:
        """The caller's next message that can be sent."""
        while not self.roll.exhausted and not self.roll.crowded:
            try:
                message = next(self._source)
            except StopIteration:
                self.roll.exhausted = True
            except Exception as error:  # noqa: BLE001 - the caller's own; it comes out where it stood in the order
                self._raised, self.roll.exhausted = error, True
            else:
                if delivery := self.roll.enter(message):
                    return delivery
        return None

    def take_error(self) -> Exception | None:
        """What the caller's iterable raised; once."""
        raised, self._raised = self._raised, None
        return raised

    @property
    def wants_another(self) -> bool:
        """Those at work have shown that there is work for one more, and nobody else waits for a connection."""
        if self.turned_away or self.roll.exhausted or self.roll.crowded or self._lender.waiting:
            return False
        return all(lane.finished >= WINDOW and not lane.leaving for lane in self.lanes)

    def next_for(self, lane: H) -> Delivery | None:
        """The next message for a lane; none where somebody waits for its connection."""
        waiting = self._lender.waiting
        if lane.leaving or (waiting and waiting > sum(each.leaving for each in self.lanes)):
            lane.leaving = True
            return None
        delivery = self.pull()
        return delivery and self.roll.begin(delivery, time.monotonic(), hot=lane.channel.hot)
