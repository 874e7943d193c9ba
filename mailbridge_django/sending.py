"""A batch and the server: rendered a little ahead, several messages in flight, a receipt for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from mailbridge import MailObject, Pool, Receipt, SMTPException, SMTPRecipientsRefused

from .batches import Item, Rules
from .messages import octets, unsent

# What is rendered ahead at most, in messages and in octets: a batch of large ones never stands in memory as a whole.
AHEAD = 64
AHEAD_OCTETS = 4 * 1024 * 1024


def deliver(pool: Pool, items: Iterable[Item], rules: Rules) -> None:
    """Send what has no receipt yet.

    Messages are rendered while no connection is held, since anybody's code may run there and send mail itself. A
    failure to connect, to secure the connection or to log in ends the batch: the rest is not even rendered.
    """
    items = list(items)
    for group in _rendered(items, rules):
        _send(pool, group, rules)
        if lost := next(filter(None, map(_without_session, group)), None):
            for item in items:
                if item.receipt is None:
                    item.settle(unsent(item.message, lost))
            return


def _rendered(items: Iterable[Item], rules: Rules) -> Iterator[list[Item]]:
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
    taken: list[Item] = []

    def source() -> Iterator[MailObject]:
        for item in items:
            assert item.mail is not None  # noqa: S101 - rendered
            taken.append(item)
            yield item.mail

    strict = rules.on_partial == "raise"
    batch = pool.send_many(source(), on_partial="abort" if rules.on_partial == "abort" else "deliver")
    try:
        with batch:
            for item, receipt in zip(items, batch, strict=True):
                item.settle(_strictly(receipt) if strict else receipt)
    finally:
        # An interruption: what had become of the last ones by then.
        for item, receipt in zip(reversed(taken), reversed(batch.left), strict=False):
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
    except SMTPException as error:
        receipt = error.receipt or unsent(item.message, error)
        if receipt.error is None:
            # With on_partial="raise" the error is about a message that went out.
            receipt = error.receipt = replace(receipt, error=error)
        return receipt
    except BaseException as interruption:
        if isinstance(known := getattr(interruption, "receipt", None), Receipt):
            item.settle(known)
        raise


def _without_session(item: Item) -> SMTPException | None:
    """The error that no message of the batch would escape: no connection, no TLS, no login."""
    error = item.receipt.error if item.receipt else None
    if isinstance(error, SMTPException) and error.phase is not None and error.phase.opens_session:
        return error
    return None
