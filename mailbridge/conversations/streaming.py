"""Many messages on one connection, several of them unanswered, each with a fate of its own."""

from __future__ import annotations

from collections import deque
from typing import Any

from ..errors import SMTPException
from ..protocol import SMTPProtocol
from .deliver import check_abort, deliver
from .delivery import Delivery
from .needs import Conversation, Need

# Messages without an answer on one connection: the sixteenth part of a round trip for each.
WINDOW = 16
# Octets of them: what is at stake when the connection dies, and what the server must hold.
WINDOW_OCTETS = 1024 * 1024


def stream(flow: Flow) -> Conversation[None]:
    """Send messages as long as there are some; what became of each stands in its delivery.

    Those that the end of a connection left untouched go on over a fresh one.

    Raises:
        SMTPException: No fresh connection could be made; what needed it waits in `Flow.again`.
    """
    while True:
        try:
            yield from flow.run()
        except SMTPException as error:
            yield from flow.hear_out()
            flow.lost(error)
            if flow.connecting:
                raise
        else:
            return


class Flow:
    """The messages under way on one connection, the oldest first.

    Attributes:
        smtp: The connection; None while a fresh one is needed.
        again: Messages that wait for another attempt, before those that `Need.MESSAGE` gives.
        under_way: Each message that was begun, with the rest of its conversation.
        finished: Those that came to their end; whoever looks takes them out.
        connecting: A fresh connection is being made.
    """

    def __init__(self, smtp: SMTPProtocol | None, again: deque[Delivery], *, max_recipients: int) -> None:
        """Begin with nothing under way.

        Args:
            smtp: The connection that was there before, or None where there is none.
            again: May be shared with other connections of the same batch.
            max_recipients: More go in several transactions.
        """
        self.smtp = smtp
        self.again = again
        self.finished: list[Delivery] = []
        self.under_way: deque[tuple[Delivery, Conversation[None]]] = deque()
        self.connecting = False
        self._max_recipients = max_recipients
        # The first one on a connection that was made for it: what it meets is no stale connection.
        self._first: Delivery | None = None
        # Those that wait for a connection.
        self._wanting: list[Delivery] = []
        self._octets = 0
        self._heard = smtp.replies_read if smtp else 0

    def run(self) -> Conversation[None]:
        """Begin messages while there is room, and bring the oldest one to its end where there is none."""
        while True:
            delivery = None
            if self._room:
                delivery = self._waiting() or (yield Need.MESSAGE)
            if delivery is not None:
                # All of it is said, as far as that may be before its replies.
                yield from self._go_on(delivery, self._begun(delivery), until=Need.SAID)
            elif self.under_way:
                delivery, sending = self.under_way[0]
                yield from self._go_on(delivery, sending)
            else:
                return

    def _waiting(self) -> Delivery | None:
        """One that was tried before, if there is any."""
        if not self.again:
            return None
        delivery = self.again.popleft()
        # A connection that spoke since this began is alive.
        delivery.hot = self.smtp is None or self.smtp.replies_read > self._heard
        return delivery

    @property
    def _room(self) -> bool:
        return not self.under_way or (len(self.under_way) < WINDOW and self._octets < WINDOW_OCTETS)

    def _begun(self, delivery: Delivery) -> Conversation[None]:
        """The conversation of a message that is under way from now on."""
        sending = self._conversation(delivery)
        self.under_way.append((delivery, sending))
        self._octets += delivery.mail.content.size
        return sending

    def _conversation(self, delivery: Delivery) -> Conversation[None]:
        check_abort(delivery, self._max_recipients)
        smtp = self.smtp or (yield Need.CONNECTION)
        yield from deliver(smtp, delivery, max_recipients=self._max_recipients, hot=delivery.hot, in_flight=True)

    def _connect(self, wanted_by: Delivery) -> Conversation[SMTPProtocol]:
        """Make a fresh connection once the present one has nothing unanswered."""
        old = self.smtp
        self._wanting.append(wanted_by)
        for delivery, sending in list(self.under_way):
            if not delivery.done and delivery not in self._wanting:
                yield from self._go_on(delivery, sending)
        self._wanting.remove(wanted_by)
        if self.smtp is not None and self.smtp is not old and self.smtp.reusable and not self.smtp.full:
            return self.smtp  # one of them wanted a connection too, and is done with it
        self.connecting = True
        smtp: SMTPProtocol = yield Need.CONNECTION
        self.connecting, self.smtp, self._first, self._heard = False, smtp, wanted_by, 0
        return smtp

    def _go_on(self, delivery: Delivery, sending: Conversation[None], until: Need | None = None) -> Conversation[None]:
        """Continue a message's conversation, to its end or to a certain need."""
        answer: Any = None
        while True:
            try:
                # An end without an exception costs nothing, and few needs have an answer.
                need = next(sending, None) if answer is None else sending.send(answer)
            except StopIteration:
                break
            except SMTPException as error:
                if delivery.transactions:
                    raise
                # Nothing was said: it concerns this message alone.
                self._end(delivery, error)
                return
            if need is None:
                break
            if need is until:
                return
            if need is Need.CONNECTION:
                answer = yield from self._connect(delivery)
            else:
                answer = None if need is Need.SAID else (yield need)
        if self.smtp is not None and self.smtp.dismissal and delivery.found_dead(None):
            raise self.smtp.ending()
        self._end(delivery, None)

    def _end(self, delivery: Delivery, error: SMTPException | None) -> None:
        delivery.end(error)
        self.finished.append(delivery)
        self._octets -= delivery.mail.content.size
        if self.under_way[0][0] is delivery:
            self.under_way.popleft()
        else:
            self.under_way = deque(pair for pair in self.under_way if pair[0] is not delivery)

    def hear_out(self) -> Conversation[None]:
        """Behind a 421 read on: whether what is at stake was taken up shows in how the stream ends."""
        try:
            while self.smtp is not None and self.smtp.dismissal and not self.smtp.over:
                yield Need.DATA
        except SMTPException:
            return  # it ends badly, which says nothing

    def lost(self, error: SMTPException) -> None:
        """The connection is over: give up what it left in doubt, and keep what can go on over a fresh one."""
        kept = []
        for delivery, _ in self.under_way:
            if self._may_go_again(delivery, error):
                delivery.reset()
                kept.append(delivery)
            else:
                delivery.end(error)
                self.finished.append(delivery)
        self.again.extendleft(reversed(kept))
        self.under_way.clear()
        self._wanting.clear()
        self._octets = 0
        if self.smtp is not None and not self.smtp.over:
            self.smtp.connection_lost()
        self.smtp = None

    def _may_go_again(self, delivery: Delivery, error: SMTPException) -> bool:
        if not delivery.transactions:
            return True
        if delivery is self._first:
            return False
        if self.smtp is not None and self.smtp.dismissal and delivery.unheard:
            return True  # it stood behind a 421 and was never taken up
        again = not delivery.retried and delivery.found_dead(error)
        delivery.retried |= again
        return again
