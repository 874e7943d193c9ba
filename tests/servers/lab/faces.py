"""The faces that each server is asked through. A new one is a class here and a name in `FACES` or `POOLS`."""

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
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


def _receipt(outcome: Any) -> Receipt:
    """What a send returned, or what hangs on its error."""
    return outcome if isinstance(outcome, Receipt) else outcome.receipt


class Threads:
    """`mailbridge.Pool`, and threads that share it."""

    def __init__(self, server: Server, connections: int = 4) -> None:
        self.pool = mailbridge.Pool(server, max_connections=connections)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.pool.close()

    def send(self, message: Any) -> Receipt:
        return self.pool.send(message)

    def send_at_once(self, messages: Iterable[Any], hands: int = 8) -> list[Receipt]:
        """Each by a `send` of its own, from several threads."""
        with ThreadPoolExecutor(hands) as threads:
            return list(threads.map(self.pool.send, messages))

    def outcomes_at_once(self, messages: Iterable[Any]) -> list[Receipt]:
        """The same where some may fail: what became of each."""
        with ThreadPoolExecutor(8) as threads:
            sent = [threads.submit(self.pool.send, message) for message in messages]
        return [_receipt(each.exception() or each.result()) for each in sent]

    def send_many(self, messages: Iterable[Any]) -> list[Receipt]:
        """As a batch."""
        return list(self.pool.send_many(messages))


class Tasks:
    """`mailbridge.asyncio.Pool` in a loop of its own, and tasks that share it."""

    def __init__(self, server: Server, connections: int = 4) -> None:
        self.pool = mailbridge.asyncio.Pool(server, max_connections=connections)
        self.runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.runner.run(self.pool.close())
        self.runner.close()

    def send(self, message: Any) -> Receipt:
        return self.runner.run(self.pool.send(message))

    def send_at_once(self, messages: Iterable[Any], hands: int = 0) -> list[Receipt]:
        """Each by a `send` of its own, all at the same time."""

        async def gathered() -> list[Receipt]:
            return await asyncio.gather(*map(self.pool.send, messages))

        return self.runner.run(gathered())

    def outcomes_at_once(self, messages: Iterable[Any]) -> list[Receipt]:
        """The same where some may fail: what became of each."""

        async def gathered() -> list[Receipt]:
            return list(map(_receipt, await asyncio.gather(*map(self.pool.send, messages), return_exceptions=True)))

        return self.runner.run(gathered())

    def send_many(self, messages: Iterable[Any]) -> list[Receipt]:
        """As a batch."""

        async def listed() -> list[Receipt]:
            return [receipt async for receipt in self.pool.send_many(messages)]

        return self.runner.run(listed())


POOLS = (Threads, Tasks)
Pooled = Threads | Tasks
