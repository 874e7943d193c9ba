"""A send as the caller sees it: on the connection that is there, or once on a fresh one."""

from __future__ import annotations

from ..errors import SMTPException
from ..protocol import SMTPProtocol
from .deliver import check_abort, deliver
from .delivery import Delivery
from .needs import Conversation, Need


def send(
    smtp: SMTPProtocol | None, delivery: Delivery, *, max_recipients: int, hot: bool = False
) -> Conversation[SMTPException | None]:
    """Send a message; give the error that ended it, if it did not end by itself, which the delivery has too.

    Args:
        smtp: The connection that was there before, perhaps for long, or None where there is none.
        delivery: The message.
        max_recipients: More go in several transactions.
        hot: A reply was read on the connection a moment ago.
    """
    error = yield from _attempt(smtp, delivery, max_recipients, hot=hot)
    if smtp is not None and delivery.found_dead(error):
        # The one silent retry: the connection had died while it was idle.
        delivery.reset()
        error = yield from _attempt(None, delivery, max_recipients, hot=False)
    delivery.end(error)
    return error


def _attempt(
    smtp: SMTPProtocol | None, delivery: Delivery, max_recipients: int, *, hot: bool
) -> Conversation[SMTPException | None]:
    try:
        check_abort(delivery, max_recipients)
        if smtp is None:
            smtp = yield Need.CONNECTION
        yield from deliver(smtp, delivery, max_recipients=max_recipients, hot=hot)
    except SMTPException as error:
        return error
    return None
