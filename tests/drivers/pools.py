"""What the tests of the pools share: a pool for a server, messages to tell apart, threads."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from mailbridge import Pool
from mailbridge.testing import ScriptedServer
from tests.drivers.helpers import HEADER, PATIENCE, server_of


def pool_of(server: ScriptedServer, user: str | None = None, **options: Any) -> Pool:
    return Pool(server_of(server, user), **options)


def letter(number: int) -> bytes:
    return HEADER + b"Subject: %d\r\n\r\nhello\r\n" % number


@contextlib.contextmanager
def at_once(*jobs: Callable[[], object]) -> Iterator[None]:
    """Run functions in threads of their own, beside the block; their failures are the test's."""
    failures: list[BaseException] = []

    def run(job: Callable[[], object]) -> None:
        try:
            job()
        except BaseException as failure:  # noqa: BLE001 - raised again in the test
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    if failures:
        raise failures[0]


def until(condition: Callable[[], object]) -> None:
    """Wait for something that no server sees."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)
