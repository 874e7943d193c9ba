"""The servers that are soaked: each runs beside the clients, and keeps a book of what it took."""

import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from tests.servers.lab import Postfix
from tests.servers.lab.machine import eventually
from tests.soak.ledger import recorded_line

ROOT = Path(__file__).parents[2]
# Seconds from one restart to the next.
RESTART = 20.0
# Seconds for Postfix to deliver what it still has.
PATIENCE = 60.0
QUEUE_ID = re.compile(rb"with E?SMTP\w* id (\w+)")
RECIPIENT = re.compile(rb"^Delivered-To: (\S+)", re.MULTILINE)


class Ground(Protocol):
    """A server under way.

    Attributes:
        name: What to call it.
        port: Where it listens.
        taken: Its book, complete when it has ended.
    """

    name: str
    port: int
    taken: Path

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None: ...

    def story(self) -> str:
        """What befell it."""


class Scripted:
    """`storm.py` in a process of its own."""

    name = "scripted server"

    def __init__(self, folder: Path, seed: int) -> None:
        self.taken = folder / "scripted.taken"
        self._seed, self.port = seed, 0

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.soak.storm", str(self._seed), str(self.taken)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT)
        assert self._process.stdout
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        # Its standard input ends, and so does it; its own words about a failure are on standard error.
        self._process.communicate(timeout=60)
        assert error or self._process.returncode == 0, "the scripted server failed"

    def story(self) -> str:
        return f"cuts, resets, 4yz, 5yz and 421 at random, seed {self._seed}"


class Restarted:
    """Postfix, stopped and started every 20 s; its mailboxes are its book.

    Raises:
        MissingError: It is not installed.
    """

    name = "Postfix"

    def __init__(self, folder: Path, every: float = RESTART) -> None:
        self.taken = folder / "postfix.taken"
        self._lab, self._every = Postfix(), every
        self.port = self._lab.ports["smtp"]
        self.restarts = 0
        self._over = threading.Event()
        self._failures: list[BaseException] = []

    def __enter__(self) -> Self:
        self._lab.start()
        self._file = self.taken.open("w")
        self._helpers = [threading.Thread(target=self._try, args=(job,)) for job in (self._restart, self._collect)]
        for helper in self._helpers:
            helper.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._over.set()
        for helper in self._helpers:
            helper.join()
        try:
            if error is None:
                assert not self._failures, self._failures
                eventually(f"the queue is empty: {self._lab.output()}", self._delivered, PATIENCE)
        finally:
            self._file.close()
            self._lab.close()

    def story(self) -> str:
        return f"stopped and started {self.restarts} times"

    def _try(self, job: object) -> None:
        assert callable(job)
        try:
            job()
        except BaseException as error:
            self._failures.append(error)
            raise

    def _restart(self) -> None:
        while not self._over.wait(self._every):
            self._lab.stop()
            self._lab.start()
            self.restarts += 1

    def _collect(self) -> None:
        while not self._over.wait(1.0):
            self._empty_boxes()

    def _empty_boxes(self) -> int:
        """Write down what was delivered, and make room."""
        count = 0
        for path in self._lab.mail.glob("new/*"):
            stored, count = path.read_bytes(), count + 1
            queue_id, recipient = QUEUE_ID.search(stored), RECIPIENT.search(stored)
            assert queue_id, stored[:1000]
            assert recipient, stored[:1000]
            content = stored[stored.index(b"\nFrom: <ann@lab.test>") + 1 :].replace(b"\n", b"\r\n")
            self._file.write(recorded_line(content, [recipient[1].decode()], queue_id[1].decode()))
            path.unlink()
        return count

    def _delivered(self) -> bool:
        """Nothing is on its way to the mailboxes."""
        idle = self._lab.idle()
        time.sleep(0.2)
        return not self._empty_boxes() and idle
