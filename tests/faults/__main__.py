"""`make faults`: every session of issue 5, cut at every octet, and what came of it."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Callable
from functools import cache

from tests.faults import real
from tests.faults.report import Tally
from tests.faults.running import Stage
from tests.faults.sessions import PROTECTIONS, Combination, combinations, impossible
from tests.faults.tls import Contexts, full, swift
from tests.faults.tls import over_sockets as real_contexts

# Sessions of one process before it looks for garbage: what an error leaves lies in circles.
BETWEEN_COLLECTIONS = 20_000
# Every so manyth cut: 1 is all of them.
STEP = int(os.environ.get("STEP") or 1)

Task = tuple[Callable[[Combination], Tally], Combination]


def in_memory(combination: Combination) -> Tally:
    """All cuts of one combination, on a network of its own."""
    with Stage(*contexts()[:2]) as stage:
        return stage.cut_everywhere(combination, step=STEP)


def over_sockets(combination: Combination) -> Tally:
    """The same with real sockets, at the borders."""
    with Stage(*contexts()[:2]) as stage:
        measure = stage.measure(combination)
    return real.cut_at_borders(combination, measure, contexts()[2], step=STEP)


@cache
def contexts() -> tuple[Contexts, Contexts, Contexts]:
    """TLS as it comes, swift TLS, and TLS for real sockets: one of each for all sessions."""
    return full(), swift(), real_contexts()


def perform(task: Task) -> Tally:
    """Cut one combination in one way."""
    cut, combination = task
    return cut(combination)


def main() -> int:
    """Run all of it on every core; 1 where something does not agree."""
    silence_the_log()
    gc.set_threshold(BETWEEN_COLLECTIONS, 50, 1000)
    begun, total = time.monotonic(), Tally()
    for line in impossible():
        print(f"cannot exist: {line}")
    print(real.SCOPE)
    everything = list(combinations(*PROTECTIONS))
    tasks: list[Task] = [(in_memory, one) for one in everything]
    tasks += [(over_sockets, one) for one in everything if real.takes(one)]
    random.Random(0).shuffle(tasks)  # those that wait run beside those that do not
    contexts()
    gc.freeze()
    cores = len(os.sched_getaffinity(0))
    with multiprocessing.get_context("fork").Pool(cores) as pool:
        for tally in pool.imap_unordered(perform, tasks):
            total.add(tally)
    print("\n".join(total.lines()))
    print(f"{time.monotonic() - begun:.0f} s on {cores} cores")
    return bool(total.wrongs)


def silence_the_log() -> None:
    """A message that did not arrive is an ERROR in the log; here they are the matter itself."""
    logging.getLogger("mailbridge").addHandler(logging.NullHandler())
    logging.getLogger("mailbridge").propagate = False


if __name__ == "__main__":
    sys.exit(main())
