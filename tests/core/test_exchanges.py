"""Exchanges: a command and what came back."""

import pytest

from mailbridge.commands import Noop
from mailbridge.exchanges import Exchange
from mailbridge.replies import Reply


def test_a_new_exchange_is_neither_accepted_nor_refused() -> None:
    """Without a reply nothing is known, and one reply is due."""
    exchange = Exchange(Noop())

    assert (exchange.reply, exchange.done, exchange.positive, exchange.refused) == (None, False, False, False)


@pytest.mark.parametrize(("code", "positive"), [(250, True), (354, True), (450, False), (550, False)])
def test_the_last_reply_decides(code: int, positive: bool) -> None:
    """What came last says whether the command was accepted."""
    exchange = Exchange(Noop())
    exchange.replies += [Reply(250 if not positive else 550), Reply(code)]

    assert exchange.reply == Reply(code)
    assert (exchange.positive, exchange.refused) == (positive, not positive)


def test_it_is_done_when_no_reply_is_due() -> None:
    """`due` counts down to the end."""
    exchange = Exchange(Noop())
    exchange.due -= 1

    assert exchange.done
