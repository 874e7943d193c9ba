"""A batch and the server: rendered a little ahead, several messages in flight, a receipt for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

from mailbridge import MailObject, Pool, Receipt, SMTPException, SMTPRecipientsRefused

from .batches import Item, Rules
from .messages import octets, unsent

# What is rendered ahead at most, in messages and in octets: a batch of large ones never stands in memory as a whole.
AHEAD = 64
AHEAD_OCTETS = 4 * 1024 * 1024


def deliver(pool: Pool, items: list[Item], rules: Rules) -> None:
    """Send what has no receipt yet.

    Messages are rendered while no connection is held, since anybody's code may run there and send mail itself. A
    failure to connect, to secure the connection or to log in ends the batch: the rest is not even rendered.
    """
    for group in rendered(items, rules):
        _send(pool, group, rules)
        if is_over(group, items):
            return


def is_over(group: list[Item], items: list[Item]) -> bool:
    """No further message can be sent; then each has a receipt that says why."""
    lost = next(filter(None, map(_without_session, group)), None)
    if lost is None:
        return False
    for item in items:
        if item.receipt is None:
            item.settle(unsent(item.message, lost))
    return True


def rendered(items: Iterable[Item], rules: Rules) -> Iterator[list[Item]]:
    """Those that can be sent, in groups that go together."""
    group: list[Item] = []
    size = 0
    for item in items:
        item.render(rules.staging)
        if item.mail is None:
            continue
        group.append(item)
        size += octets(item.mail)
        if len(group) == AHEAD or size >= AHEAD_OCTETS:
            yield group
            group, size = [], 0
    if group:
        yield group


def _send(pool: Pool, items: list[Item], rules: Rules) -> None:
    if len(items) > 1:
        _send_together(pool, items, rules)
    else:
        items[0].settle(_sent(pool, items[0], rules))


def _send_together(pool: Pool, items: list[Item], rules: Rules) -> None:
    """Send several messages, each without waiting for the reply to the one before it."""
    flight = Flight(items, rules)
    batch = pool.send_many(flight, on_partial=flight.on_partial)
    try:
        with batch:
            for item, receipt in zip(items, batch, strict=True):
                flight.settle(item, receipt)
    finally:
        flight.settle_rest(batch.left)


class Flight(Iterator[MailObject]):
    """Messages that a batch pulls, and what becomes of them.

    Attributes:
        on_partial: What the batch is to do where some recipients are refused.
    """

    def __init__(self, items: list[Item], rules: Rules) -> None:
        self._waiting, self._taken = iter(items), list[Item]()
        self._strict = rules.on_partial == "raise"
        self.on_partial: Literal["deliver", "abort"] = "abort" if rules.on_partial == "abort" else "deliver"

    def __next__(self) -> MailObject:
        item = next(self._waiting)
        self._taken.append(item)
        assert item.mail is not None  # noqa: S101 - rendered
        return item.mail

    def settle(self, item: Item, receipt: Receipt) -> None:
        """One message is done."""
        item.settle(_strictly(receipt) if self._strict else receipt)

    def settle_rest(self, left: Sequence[Receipt]) -> None:
        """The batch was interrupted: what had become of the last ones by then."""
        for item, receipt in zip(reversed(self._taken), reversed(left), strict=False):
            item.settle(receipt)


def _strictly(receipt: Receipt) -> Receipt:
    """The same with an error, where it went out and somebody was refused: `send` would raise that."""
    if receipt.error or not receipt.refused:
        return receipt
    refused = receipt.refused.values()
    answers = {each.recipient: (each.reply.code, each.reply.raw) for each in refused if each.reply}
    error = SMTPRecipientsRefused(answers, phase=next(iter(refused)).phase)
    error.server = receipt.server
    return replace(receipt, error=error)


def _sent(pool: Pool, item: Item, rules: Rules) -> Receipt:
    assert item.mail is not None  # noqa: S101 - rendered, or it would have a receipt
    try:
        return pool.send(item.mail, on_partial=rules.on_partial)
    except BaseException as error:  # noqa: BLE001 - what is no error of SMTP is raised there again
        return receipt_of(item, error)


def receipt_of(item: Item, error: BaseException) -> Receipt:
    """What became of a message whose send raised. Called where the error is caught; an interruption passes on.

    Raises:
        BaseException: The interruption.
    """
    known = getattr(error, "receipt", None)
    if not isinstance(error, SMTPException):
        if isinstance(known, Receipt):
            item.settle(known)
        raise error
    receipt = error.receipt or unsent(item.message, error)
    if receipt.error is None:
        # With on_partial="raise" the error is about a message that went out.
        receipt = error.receipt = replace(receipt, error=error)
    return receipt


def _without_session(item: Item) -> SMTPException | None:
    """The error that no message of the batch would escape: no connection, no TLS, no login."""
    error = item.receipt.error if item.receipt else None
    if isinstance(error, SMTPException) and error.phase is not None and error.phase.opens_session:
        return error
    return None
