"""What the tests of the drivers share: a message, a client for a server, and a server of raw octets."""

import asyncio
import dataclasses
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from mailbridge import Client, Pool, Receipt, Security, Server, Timeouts
from mailbridge.asyncio import Client as AsyncClient
from mailbridge.asyncio import Pool as AsyncPool
from mailbridge.asyncio.batch import Batch as AsyncBatch
from mailbridge.testing import ScriptedServer

PATIENCE = 5.0  # seconds: nothing on loopback takes longer, however busy the machine is

HEADER = (
    b"From: ann@example.com\r\nTo: bob@example.org, cyd@example.org\r\n"
    b"Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n"
)
MESSAGE = HEADER + b"Subject: hello\r\n\r\nhello\r\n"
BOTH = ["bob@example.org", "cyd@example.org"]

# Long enough for a loaded machine to say EHLO, short enough to wait for.
QUICK = Timeouts(connect=0.3, reply=0.3, content=0.3, send=5)

Talk = Callable[[socket.socket], None]


def server_of(server: ScriptedServer, user: str | None = None, **options: Any) -> Server:
    """The server as a client sees it."""
    return dataclasses.replace(Server.from_url(server.url_for(user)), **options)


class Awaited:
    """The client for asyncio with the face of the other one: each verb runs in a loop until it is done."""

    def __init__(self, runner: asyncio.Runner, server: Server, **options: Any) -> None:
        self._client = AsyncClient(server, **options)
        self._run = runner.run

    def __enter__(self) -> "Awaited":
        self._run(self._client.__aenter__())
        return self

    def __exit__(self, *what: Any) -> None:
        self._run(self._client.__aexit__(*what))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return (lambda *args, **options: self._run(found(*args, **options))) if iscoroutinefunction(found) else found


class AwaitedPool:
    """The pool for asyncio with the face of the other one."""

    def __init__(self, runner: asyncio.Runner, server: Server, **options: Any) -> None:
        self._pool = AsyncPool(server, **options)
        self._run = runner.run

    def __enter__(self) -> "AwaitedPool":
        return self

    def __exit__(self, *what: Any) -> None:
        self._run(self._pool.close())

    def send(self, *args: Any, **options: Any) -> Any:
        return self._run(self._pool.send(*args, **options))

    def stats(self) -> Any:
        return self._run(self._in_the_loop(self._pool.stats))

    def send_many(self, *args: Any, **options: Any) -> "AwaitedBatch":
        return AwaitedBatch(self._run, self._run(self._in_the_loop(self._pool.send_many, *args, **options)))

    @staticmethod
    async def _in_the_loop(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return function(*args, **options)


class AwaitedBatch(Iterator[Receipt]):
    """The batch for asyncio with the face of the other one."""

    def __init__(self, run: Callable[..., Any], batch: AsyncBatch) -> None:
        self._run, self._batch = run, batch

    def __next__(self) -> Receipt:
        async def following() -> Receipt | None:
            return await anext(self._batch, None)

        receipt: Receipt | None = self._run(following())
        if receipt is None:
            raise StopIteration
        return receipt

    @property
    def left(self) -> tuple[Receipt, ...]:
        return self._batch.left

    def __enter__(self) -> "AwaitedBatch":
        return self

    def __exit__(self, *what: Any) -> None:
        self._run(self._batch.close())


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that is a coroutine runs in a loop of its own, in debug mode."""

    @wraps(test)
    def run(*args: Any, **options: Any) -> None:
        with looping() as runner:
            runner.run(test(*args, **options))

    return run


@contextmanager
def looping() -> Iterator[asyncio.Runner]:
    """A loop that reports what asyncio can find wrong; that the machine is slow is not."""
    with asyncio.Runner(debug=True) as runner:
        runner.get_loop().slow_callback_duration = PATIENCE
        yield runner


# What makes clients and pools; the fixture `driver` puts those for asyncio on top.
CLIENTS: list[Callable[..., Any]] = [Client]
POOLS: list[Callable[..., Any]] = [Pool]


def pool_to(server: Server, **options: Any) -> Pool:
    """A pool of the driver that the test runs with."""
    pool: Pool = POOLS[-1](server, **options)
    return pool


def client_to(server: Server, **options: Any) -> Client:
    """A client that is not connected yet, of the driver that the test runs with."""
    client: Client = CLIENTS[-1](server, **options)
    return client


def client_of(server: ScriptedServer, user: str | None = None, **options: Any) -> Client:
    """The same, for a scripted server."""
    return client_to(server_of(server, user, **options))


def plain(port: int, **options: Any) -> Server:
    """A server without TLS on this machine."""
    return Server("127.0.0.1", port, security=Security.NONE, **options)


@contextmanager
def peer(*talks: Talk) -> Iterator[int]:
    """Serve one connection after the other, each by its own function; gives the port.

    A function that fails makes the test fail. The connection is closed when it returns.
    """
    failures: list[BaseException] = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(PATIENCE)

    def serve() -> None:
        try:
            for talk in talks:
                connection, _ = listener.accept()
                connection.settimeout(PATIENCE)
                with connection:
                    talk(connection)
        except BaseException as failure:  # noqa: BLE001 - raised again in the test
            failures.append(failure)

    thread = threading.Thread(target=serve, name="peer", daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
        thread.join(PATIENCE)
    finally:
        listener.close()
    if failures:
        raise failures[0]
    assert not thread.is_alive(), "the peer did not come to its end"


class Line:
    """A peer's side of a dialogue, line by line."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.file = connection.makefile("rb")

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *what: object) -> None:
        self.file.close()

    def say(self, octets: bytes) -> None:
        self.connection.sendall(octets)

    def hear(self, beginning: bytes) -> bytes:
        """Read a line, which must begin like this."""
        line = self.file.readline()
        assert line.startswith(beginning), f"expected {beginning!r}, got {line!r}"
        return line

    def greet(self, *extensions: bytes) -> None:
        """From the greeting to the reply to EHLO."""
        self.say(b"220 peer.test\r\n")
        self.hear(b"EHLO ")
        lines = [b"peer.test", *extensions]
        self.say(b"".join(b"250-" + line + b"\r\n" for line in lines[:-1]) + b"250 " + lines[-1] + b"\r\n")

    def until_dot(self) -> bytes:
        """Read content behind a 354."""
        return b"".join(iter(self.file.readline, b".\r\n"))

    def drain(self) -> None:
        """Read until the client says goodbye or is gone, however it goes."""
        with suppress(ConnectionError):
            while line := self.file.readline():
                if line == b"QUIT\r\n":
                    self.say(b"221 bye\r\n")
