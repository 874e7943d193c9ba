"""mailbridge on an event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from mailbridge import Server

from ..workloads import SENDER, Mail
from .base import AsyncDriver, Target
from .ours import CONNECTIONS, ENDLESS

TASKS = 100


class Single(AsyncDriver):
    """`mailbridge.asyncio.Client.send` with finished octets."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.library: Any = import_module("mailbridge.asyncio")
        self.server = Server.from_url(f"smtp://127.0.0.1:{target.port}?security=none")

    def open(self) -> None:
        self.client = self.library.Client(self.server)
        self.wait(self.client.connect())

    def close(self) -> None:
        self.wait(self.client.close())

    async def asend(self, mail: Mail) -> None:
        await self.client.send(mail.raw, sender=SENDER, recipients=mail.recipients)


class SingleUvloop(Single):
    """The same on uvloop."""

    uvloop = True


class Tasks(Single):
    """A hundred tasks that share a pool of five connections."""

    def open(self) -> None:
        self.client = self.library.Pool(self.server, max_connections=CONNECTIONS, max_messages=ENDLESS)

    async def arun(self, mails: Sequence[Mail]) -> None:
        left = iter(mails)

        async def work() -> None:
            for mail in left:
                begun = time.perf_counter()
                await self.asend(mail)
                self.waits.append(time.perf_counter() - begun)

        await asyncio.gather(*(work() for _ in range(TASKS)))
