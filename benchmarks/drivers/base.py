"""What a driver does."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..workloads import Mail


@dataclass(frozen=True)
class Target:
    """Where to send.

    Attributes:
        port: On 127.0.0.1.
        tls: STARTTLS and a login come first.
        ca_file: Who vouches for the server then.
        file: A message on disk, for a driver that sends files.
    """

    port: int
    tls: bool = False
    ca_file: str = ""
    file: str = ""
    host: str = "localhost"
    user: str = "user"
    password: str = "secret"


class Driver(ABC):
    """Opens, sends, closes. What stands in `__init__` and `open` is not measured.

    Attributes:
        octets: It sends finished octets, so the server must see exactly these.
        uvloop: It runs on that event loop.
    """

    octets: ClassVar[bool] = True
    uvloop: ClassVar[bool] = False

    def __init__(self, target: Target) -> None:
        self.target = target
        self.waits: list[float] = []

    def open(self) -> None:  # noqa: B027 - some keep nothing open
        """Connect, where the connection is kept."""

    def close(self) -> None:  # noqa: B027 - some keep nothing open
        """Say goodbye."""

    def run(self, mails: Sequence[Mail]) -> None:
        """Send them all, one after the other where the driver does nothing better."""
        for mail in mails:
            self.send(mail)

    @abstractmethod
    def send(self, mail: Mail) -> None:
        """Send one."""


class AsyncDriver(Driver):
    """The same on an event loop of its own."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        if self.uvloop:
            import uvloop  # noqa: PLC0415 - only some have it

            self.loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        else:
            self.loop = asyncio.new_event_loop()

    def wait(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run one coroutine to its end."""
        self.loop.run_until_complete(work)

    def send(self, mail: Mail) -> None:
        self.wait(self.asend(mail))

    def run(self, mails: Sequence[Mail]) -> None:
        self.wait(self.arun(mails))

    async def arun(self, mails: Sequence[Mail]) -> None:
        """Send them all."""
        for mail in mails:
            await self.asend(mail)

    @abstractmethod
    async def asend(self, mail: Mail) -> None:
        """Send one."""
