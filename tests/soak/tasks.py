"""Tasks that share a `Pool` of `mailbridge.asyncio`: as the threads do, and some lose their patience in the middle."""

import asyncio
import time

from mailbridge import Receipt, SMTPException
from mailbridge.asyncio import Pool
from tests.soak.desk import PAUSE, Desk, Letter

# Of so many tasks one sends batches, and one is cancelled now and then.
KINDS = 10


async def work(pool: Pool, desk: Desk, count: int) -> None:
    """Let so many tasks send until there are no more letters."""
    async with pool, asyncio.TaskGroup() as group:
        for number in range(count):
            kind = {0: _batches, 1: _impatient}.get(number % KINDS, _singles)
            group.create_task(kind(pool, desk, f"task{number}"))


async def _send(pool: Pool, letter: Letter) -> tuple[Receipt | None, BaseException | None]:
    try:
        return await pool.send(letter.mail), None
    except SMTPException as error:
        return error.receipt, error


async def _singles(pool: Pool, desk: Desk, who: str) -> None:
    dice = desk.dice(who)
    while not desk.over:
        letter, begun = desk.letter(who, dice), time.monotonic()
        try:
            receipt, error = await _send(pool, letter)
        except BaseException as raised:
            desk.complain(raised)
            raise
        desk.file(letter, receipt, time.monotonic() - begun, error)
        if receipt is not None and receipt.not_sent:
            await asyncio.sleep(PAUSE)


async def _impatient(pool: Pool, desk: Desk, who: str) -> None:
    dice = desk.dice(who)
    while not desk.over:
        letter, begun = desk.letter(who, dice), time.monotonic()
        try:
            # About as long as a send takes, so that some of them are cut off anywhere.
            async with asyncio.timeout(dice.expovariate(1 / 0.3)):
                try:
                    receipt, error = await _send(pool, letter)
                except asyncio.CancelledError as interruption:
                    receipt, error = getattr(interruption, "receipt", None), interruption
                    raise
        except TimeoutError:
            pass
        except BaseException as raised:
            desk.complain(raised)
            raise
        desk.file(letter, receipt, time.monotonic() - begun, error)
        if receipt is not None and receipt.not_sent:
            await asyncio.sleep(PAUSE)


async def _batches(pool: Pool, desk: Desk, who: str) -> None:
    dice = desk.dice(who)
    while not desk.over:
        handed: list[Letter] = []
        begun, stop, receipts = time.monotonic(), dice.randrange(100), []
        try:
            async with pool.send_many(desk.letters(who, dice, handed)) as batch:
                async for receipt in batch:
                    receipts.append(receipt)
                    if len(receipts) == stop:
                        break
        except BaseException as raised:
            desk.complain(raised)
            raise
        receipts += batch.left
        desk.file_all(handed, receipts, time.monotonic() - begun)
        if receipts and receipts[-1].not_sent:
            await asyncio.sleep(PAUSE)
