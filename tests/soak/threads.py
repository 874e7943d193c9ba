"""Threads that share a `Pool`: most send one message at a time, the others batches, which they sometimes leave."""

import threading
import time

from mailbridge import Pool, SMTPException
from tests.soak.desk import PAUSE, Desk, Letter

# One thread in so many sends batches.
BATCHES = 4


def work(pool: Pool, desk: Desk, count: int) -> list[threading.Thread]:
    """Set so many threads to work."""
    kinds = [_batches if number % BATCHES == 0 else _singles for number in range(count)]
    threads = [
        threading.Thread(target=kind, args=(pool, desk, f"thread{number}"), name=f"thread{number}")
        for number, kind in enumerate(kinds)
    ]
    for thread in threads:
        thread.start()
    return threads


def _singles(pool: Pool, desk: Desk, who: str) -> None:
    dice = desk.dice(who)
    while not desk.over:
        letter, begun, error = desk.letter(who, dice), time.monotonic(), None
        try:
            receipt = pool.send(letter.mail)
        except SMTPException as raised:
            error, receipt = raised, raised.receipt
        except BaseException as raised:
            desk.complain(raised)
            raise
        desk.file(letter, receipt, time.monotonic() - begun, error)
        if receipt is not None and receipt.not_sent:
            time.sleep(PAUSE)


def _batches(pool: Pool, desk: Desk, who: str) -> None:
    dice = desk.dice(who)
    while not desk.over:
        handed: list[Letter] = []
        begun, stop, receipts = time.monotonic(), dice.randrange(100), []
        try:
            with pool.send_many(desk.letters(who, dice, handed)) as batch:
                for receipt in batch:
                    receipts.append(receipt)
                    if len(receipts) == stop:
                        break
        except BaseException as raised:
            desk.complain(raised)
            raise
        receipts += batch.left
        desk.file_all(handed, receipts, time.monotonic() - begun)
        if receipts and receipts[-1].not_sent:
            time.sleep(PAUSE)
