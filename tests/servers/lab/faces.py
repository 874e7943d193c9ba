"""The faces that each server is asked through. A new one is a class here and a name in `FACES`."""

import asyncio
from types import TracebackType
from typing import Any, Self

import mailbridge
import mailbridge.asyncio
from mailbridge import Receipt, Server


class Sync:
    """`mailbridge.Client`."""

    def __init__(self, server: Server) -> None:
        self.client = mailbridge.Client(server)

    def __enter__(self) -> Self:
        self.client.connect()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.client.close()

    def send(self, message: Any, **options: Any) -> Receipt:
        return self.client.send(message, **options)


class Asyncio:
    """`mailbridge.asyncio.Client`, in a loop of its own."""

    def __init__(self, server: Server) -> None:
        self.client = mailbridge.asyncio.Client(server)
        self.runner = asyncio.Runner()

    def __enter__(self) -> Self:
        try:
            self.runner.run(self.client.connect())
        except BaseException:
            self.runner.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.runner.run(self.client.close())
        self.runner.close()

    def send(self, message: Any, **options: Any) -> Receipt:
        return self.runner.run(self.client.send(message, **options))


FACES = (Sync, Asyncio)
Face = Sync | Asyncio
