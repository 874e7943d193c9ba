"""`make faults`: every session of issue 5, cut at every octet, and what came of it."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import random
import sys
import time
from functools import cache

from tests.faults.network import Network
from tests.faults.report import Tally
from tests.faults.running import Stage
from tests.faults.sessions import PROTECTIONS, Combination, combinations, impossible
from tests.faults.tls import Contexts, full, swift

# Sessions of one process before it looks for garbage: what an error leaves lies in circles.
BETWEEN_COLLECTIONS = 20_000


def cut_everywhere(combination: Combination) -> Tally:
    """All cuts of one combination, on a network of its own."""
    network = Network()
    stage = Stage(network, *both_contexts())
    with network.installed():
        tally = stage.cut_everywhere(combination)
    stage.close()
    return tally


@cache
def both_contexts() -> tuple[Contexts, Contexts]:
    """TLS as it comes, and swift TLS: one of each for all sessions."""
    return full(), swift()


def main() -> int:
    """Run all of it on every core; 1 where something does not agree."""
    silence_the_log()
    gc.set_threshold(BETWEEN_COLLECTIONS, 50, 1000)
    begun, total = time.monotonic(), Tally()
    for line in impossible():
        print(f"cannot exist: {line}")
    todo = list(combinations(*PROTECTIONS))
    random.Random(0).shuffle(todo)  # the long ones do not come last together
    cores = len(os.sched_getaffinity(0))
    with multiprocessing.get_context("fork").Pool(cores) as pool:
        for tally in pool.imap_unordered(cut_everywhere, todo):
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
