"""Batches of several threads that share a pool."""

import math
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from mailbridge import Pool, Security, Server, SMTPException, SMTPPoolTimeout

# Batches, until two threads have met in most runs.
MANY = 10_000


@contextmanager
def impatient_interpreter() -> Iterator[None]:
    """Threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def test_batches_are_made_while_others_wait_for_a_connection() -> None:
    """Who waits looks through the batches that could make room; the number of all of them changes meanwhile."""
    pool = Pool(Server("127.0.0.1", 1, security=Security.NONE), max_connections=1, claim_timeout=1e-6)
    held, seen = pool.claim(math.inf), set[type[BaseException]]()
    batches = [pool.send_many([]) for _ in range(MANY // 4)]

    def wait() -> None:
        while len(batches) < MANY:
            try:
                pool.claim(math.inf)
            except (SMTPException, RuntimeError) as late:
                seen.add(type(late))

    waiting = [threading.Thread(target=wait) for _ in range(2)]
    with impatient_interpreter():
        for thread in waiting:
            thread.start()
        while len(batches) < MANY:
            batches.append(pool.send_many([]))
        for thread in waiting:
            thread.join()
    for batch in batches:
        batch.close()
    pool.give_back(held)
    assert seen == {SMTPPoolTimeout}


def test_who_waits_keeps_no_batch_alive() -> None:
    """A batch that is over is gone when its owner drops it, whoever waits: none may live as long as somebody does."""
    pool = Pool(Server("127.0.0.1", 1, security=Security.NONE), max_connections=1)
    held, batch = pool.claim(math.inf), pool.send_many([])
    batch.close()
    remembered = weakref.ref(batch)
    waiting = threading.Thread(target=lambda: pool.give_back(pool.claim(math.inf)))
    waiting.start()
    while not pool.waiting:
        pass
    del batch
    assert remembered() is None
    pool.give_back(held)
    waiting.join()
