"""The client's process: threads and tasks that send as fast as they can, and a look at the process each second.

`python -m tests.soak.load ORDER`, where the order is JSON: `port`, `seconds`, `threads`, `tasks`, `pool`, `seed`, and
`book` and `samples`, the files to write. The last line of the samples says how it ended.
"""

import asyncio
import gc
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import mailbridge.asyncio
from mailbridge import Pool, Security, Server, Timeouts
from tests.soak import tasks, threads
from tests.soak.desk import Desk

PAGE = os.sysconf("SC_PAGE_SIZE")
# A server that falls silent costs its caller three seconds.
TIMEOUTS = Timeouts(connect=5, reply=3, content=3, send=30)
CLAIM = 30.0
# Seconds between two counts of what lives: each stops everybody for a moment.
CENSUS = 20.0
# Seconds beyond which a send has hung: a claim, a send, and what a busy machine adds.
TOO_LONG = CLAIM + 30 + 10


def _descriptors() -> int:
    """Those that are open, less the one for looking."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1


def look(desk: Desk, begun: float) -> dict[str, Any]:
    """The process as it is now."""
    return {
        "at": time.monotonic() - begun,
        "cpu": time.process_time(),
        "memory": int(Path("/proc/self/statm").read_text().split()[1]) * PAGE,
        "descriptors": _descriptors(),
        "threads": threading.active_count(),
        "filed": desk.filed,
        "accepted": desk.accepted,
    }


def _watch(desk: Desk, path: Path, done: threading.Event) -> None:
    begun = counted = time.monotonic()
    objects = 0
    with path.open("w") as file:
        while not done.wait(1.0):
            if not objects or time.monotonic() - counted >= CENSUS:
                objects, counted = _living(), time.monotonic()
            file.write(json.dumps(look(desk, begun) | {"objects": objects}) + "\n")
            file.flush()


def _living() -> int:
    """Objects that somebody can still reach."""
    gc.collect()
    return len(gc.get_objects())


def main(order: dict[str, Any]) -> None:
    """Send, watch, and say how it ended."""
    server = Server("127.0.0.1", order["port"], security=Security.NONE, timeouts=TIMEOUTS, local_hostname="soak.test")
    options: dict[str, Any] = {"max_connections": order["pool"], "claim_timeout": CLAIM, "log_receipts": False}
    before, done = _descriptors(), threading.Event()
    with Desk(Path(order["book"]), order["seconds"], order["seed"]) as desk:
        watcher = threading.Thread(target=_watch, args=(desk, Path(order["samples"]), done))
        watcher.start()
        with Pool(server, **options) as pool:
            working = threads.work(pool, desk, order["threads"])
            if order["tasks"]:
                asyncio.run(tasks.work(mailbridge.asyncio.Pool(server, **options), desk, order["tasks"]))
            for thread in working:
                thread.join()
        done.set()
        watcher.join()
        gc.collect()
        after = _descriptors() - 1  # the book is still open
    end = {"begun": desk.begun, "filed": desk.filed, "longest": desk.longest, "left_open": after - before}
    end |= {"strange": desk.strange[:20], "errors": dict(desk.errors), "threads": threading.active_count()}
    with Path(order["samples"]).open("a") as file:
        file.write(json.dumps(end) + "\n")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
