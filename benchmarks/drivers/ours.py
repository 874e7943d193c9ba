"""mailbridge, with a synchronous client or pool."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import mailbridge
from mailbridge import Client, MailObject, Server

from ..workloads import SENDER, Mail
from .base import Driver

CONNECTIONS, THREADS = 5, 20
# No connection is replaced while it is measured.
ENDLESS = 1_000_000_000


class Single(Driver):
    """`Client.send` with finished octets."""

    canonical = False

    def open(self) -> None:
        self.client = Client(Server.from_url(f"smtp://127.0.0.1:{self.target.port}?security=none"))
        self.client.connect()

    def close(self) -> None:
        self.client.close()

    def send(self, mail: Mail) -> None:
        self.client.send(mail.raw, sender=SENDER, recipients=mail.recipients, canonical=self.canonical)


class Canonical(Single):
    """The same, with line ends that are known to be right."""

    canonical = True


class File(Single):
    """A message that lies in a file."""

    def send(self, mail: Mail) -> None:
        with Path(self.target.file).open("rb") as file:
            self.client.send(file, sender=SENDER, recipients=mail.recipients)


class Many(Driver):
    """`Pool.send_many` on one connection."""

    options = "?security=none"
    connections = 1

    def make_pool(self) -> Any:
        """A pool whose connections last."""
        server = Server.from_url(f"smtp://127.0.0.1:{self.target.port}{self.options}")
        pool: Any = getattr(mailbridge, "Pool")  # noqa: B009 - measured on older versions too
        return pool(server, max_connections=self.connections, max_messages=ENDLESS)

    def open(self) -> None:
        self.pool = self.make_pool()
        self.send_many = self.pool.send_many

    def close(self) -> None:
        self.pool.close()

    def send(self, mail: Mail) -> None:
        self.run([mail])

    def run(self, mails: Sequence[Mail]) -> None:
        objects = (MailObject(mail.raw, sender=SENDER, recipients=mail.recipients) for mail in mails)
        with self.send_many(objects) as batch:
            for receipt in batch:
                if receipt.error:
                    raise receipt.error


class ManyOverlap(Many):
    """The same with a server that is known to take the next group behind a dot."""

    options = "?security=none&overlap=true"


class Threads(Many):
    """Twenty threads that share a pool of five connections."""

    connections = CONNECTIONS

    def open(self) -> None:
        self.pool = self.make_pool()

    def send(self, mail: Mail) -> None:
        begun = time.perf_counter()
        self.pool.send(mail.raw, sender=SENDER, recipients=mail.recipients)
        self.waits.append(time.perf_counter() - begun)

    def run(self, mails: Sequence[Mail]) -> None:
        # Threads and nothing else: an executor's futures cost half as much as a message.
        due = SimpleQueue[Mail]()
        for mail in mails:
            due.put(mail)
        threads = [Thread(target=self._work, args=(due,)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self, due: SimpleQueue[Mail]) -> None:
        with contextlib.suppress(Empty):
            while True:
                self.send(due.get_nowait())
