"""A batch and the server, in a loop that lives on: `sending` with awaits. Messages are rendered in a thread."""

from __future__ import annotations

import asyncio

from mailbridge import Receipt
from mailbridge.asyncio import Pool

from .batches import Item, Rules
from .sending import Flight, is_over, receipt_of, rendered


async def deliver(pool: Pool, items: list[Item], rules: Rules) -> None:
    """Send what has no receipt yet."""
    groups = rendered(items, rules)
    while group := await asyncio.to_thread(next, groups, None):
        await _send(pool, group, rules)
        if is_over(group, items):
            return


async def _send(pool: Pool, items: list[Item], rules: Rules) -> None:
    if len(items) > 1:
        await _send_together(pool, items, rules)
    else:
        items[0].settle(await _sent(pool, items[0], rules))


async def _send_together(pool: Pool, items: list[Item], rules: Rules) -> None:
    """Send several messages, each without waiting for the reply to the one before it."""
    flight, waiting = Flight(items, rules), iter(items)
    batch = pool.send_many(flight, on_partial=flight.on_partial)
    try:
        async with batch:
            async for receipt in batch:
                flight.settle(next(waiting), receipt)
    finally:
        flight.settle_rest(batch.left)


async def _sent(pool: Pool, item: Item, rules: Rules) -> Receipt:
    assert item.mail is not None  # noqa: S101 - rendered, or it would have a receipt
    try:
        return await pool.send(item.mail, on_partial=rules.on_partial)
    except BaseException as error:  # noqa: BLE001 - what is no error of SMTP is raised there again
        return receipt_of(item, error)
