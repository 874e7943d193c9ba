"""What only the driver for asyncio can get wrong: the loop, other tasks, other loops."""

import asyncio
import functools
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from mailbridge import Phase, Secret, Security, Server, SMTPException, Timeouts, tls
from mailbridge.asyncio import Client
from mailbridge.testing import ScriptedServer, Then
from tests.drivers.helpers import MESSAGE, PATIENCE, in_a_loop, server_of

OAUTH: dict[str, Any] = {"accounts": {"ann": "fresh"}, "auth": ("XOAUTH2",)}


class Meanwhile:
    """Something slow that ends only when the loop does something else meanwhile."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._alive = threading.Event()

    def wait(self) -> None:
        self._loop.call_soon_threadsafe(self._alive.set)
        assert self._alive.wait(PATIENCE), "the loop was blocked"


@in_a_loop
async def test_a_name_is_resolved_beside_the_loop(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that takes its time keeps nobody waiting but this task."""
    meanwhile, real = Meanwhile(), socket.getaddrinfo

    def getaddrinfo(host: str, *args: Any, **options: Any) -> Any:
        meanwhile.wait()
        return real("127.0.0.1", *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    async with Client(Server("mail.example.com", server.port, security=Security.NONE)) as client:
        assert (await client.send(MESSAGE)).complete


@in_a_loop
async def test_a_context_is_made_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading the system's certificates takes 15 ms of CPU, which are not the loop's."""
    meanwhile, real = Meanwhile(), ssl.create_default_context

    def create(**options: Any) -> ssl.SSLContext:
        meanwhile.wait()
        return real(**options)

    with ScriptedServer(tls="starttls") as server:
        described = server_of(server)
        monkeypatch.setattr(ssl, "create_default_context", create)
        tls._context.cache_clear()
        async with Client(described) as client:
            assert client.tls is not None


@in_a_loop
async def test_a_plain_provider_runs_beside_the_loop() -> None:
    """One that asks an identity provider over the network, in the old way."""
    meanwhile = Meanwhile()

    def provider(**options: bool) -> str:
        meanwhile.wait()
        return "fresh"

    with ScriptedServer(**OAUTH) as server:
        async with Client(server_of(server, username="ann", token_provider=provider)):
            assert server.connections[0].authenticated_as == "ann"


async def ask(*, force_refresh: bool = False) -> Secret:
    await asyncio.sleep(0)
    return Secret("fresh" if force_refresh else "stale")


class Asking:
    """A provider with state of its own."""

    async def __call__(self, **options: bool) -> Secret:
        return await ask(**options)


def asking(**options: bool) -> Coroutine[Any, Any, Secret]:
    return ask(**options)


@pytest.mark.parametrize("provider", [ask, functools.partial(ask), Asking(), asking])
@in_a_loop
async def test_a_provider_that_is_awaited(provider: Callable[..., Any]) -> None:
    """A coroutine function, and whatever else gives something to await; a refused token is asked for anew."""
    with ScriptedServer(**OAUTH) as server:
        async with Client(server_of(server, username="ann", token_provider=provider)) as client:
            assert (await client.send(MESSAGE)).complete
        assert server.connections[0].authenticated_as == "ann"


@in_a_loop
async def test_a_provider_that_fails_while_it_is_awaited() -> None:
    """It is an error at AUTH with its cause."""

    async def provider(**options: bool) -> str:
        raise ConnectionResetError("the identity provider hung up")

    with (
        ScriptedServer(**OAUTH) as server,
        pytest.raises(SMTPException, match="the token provider failed: ConnectionResetError") as caught,
    ):
        await Client(server_of(server, username="ann", token_provider=provider)).connect()
    assert caught.value.phase is Phase.AUTH


@in_a_loop
async def test_a_provider_never_answers() -> None:
    """The deadline of the whole send holds for it too."""
    forever = asyncio.Event()

    async def provider(**options: bool) -> str:
        await forever.wait()
        return ""

    with ScriptedServer(**OAUTH) as server:
        described = server_of(server, username="ann", token_provider=provider, timeouts=Timeouts(send=0.2))
        with pytest.raises(SMTPException, match="deadline") as caught:
            await Client(described).send(MESSAGE)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.phase is Phase.AUTH


@in_a_loop
async def test_tasks_that_share_a_client(server: ScriptedServer) -> None:
    """They take turns on its one connection."""
    async with Client(server_of(server)) as client:
        receipts = await asyncio.gather(*(client.send(MESSAGE) for _ in range(10)))
    assert all(receipt.complete for receipt in receipts)
    assert [m.connection for m in server.messages] == [1] * 10


@in_a_loop
async def test_a_silent_server_keeps_nobody_else_waiting(server: ScriptedServer) -> None:
    """A task waits for its own server only."""
    with ScriptedServer() as silent:
        silent.cut_before("GREETING", Then.SILENCE)
        waiting = asyncio.create_task(Client(server_of(silent)).send(MESSAGE))
        async with Client(server_of(server)) as client:
            assert (await client.send(MESSAGE)).complete
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


@pytest.mark.parametrize("mode", [None, "implicit"])
def test_another_loop(mode: Any) -> None:
    """A connection ends with its loop: in the next one the client makes another."""
    with ScriptedServer(tls=mode) as server:
        client = Client(server_of(server))
        for _ in range(2):
            receipt = asyncio.run(client.send(MESSAGE))
            assert not receipt.reused
            assert not client.connected
        server.wait_for(lambda: all(connection.ended for connection in server.connections))
        assert [m.connection for m in server.messages] == [1, 2]


@in_a_loop
async def test_another_loop_while_the_first_one_runs(server: ScriptedServer) -> None:
    """The first loop closes its own connection, and goes on as if nothing had been."""
    client = Client(server_of(server))
    await client.send(MESSAGE)
    assert await asyncio.to_thread(asyncio.run, client.send(MESSAGE))
    await asyncio.to_thread(server.wait_for, lambda: server.connections[0].ended)
    assert (await client.send(MESSAGE)).complete
    await client.close()
    assert [m.connection for m in server.messages] == [1, 2, 3]


@in_a_loop
async def test_a_client_that_is_forgotten(server: ScriptedServer) -> None:
    """It says so, and its descriptor leaves the loop, where the next connection would stumble on it."""
    clients = [Client(server_of(server))]
    await clients[0].send(MESSAGE)
    with pytest.warns(ResourceWarning, match="never closed"):
        clients.clear()
    await asyncio.to_thread(server.wait_for, lambda: server.connections[0].ended)
    async with Client(server_of(server)) as other:
        assert (await other.send(MESSAGE)).complete


@in_a_loop
async def test_news_that_nobody_waits_for(server: ScriptedServer) -> None:
    """A server that hangs up on an idle connection costs the loop one look, not one in each of its rounds."""
    async with Client(server_of(server)) as client:
        await client.send(MESSAGE)
        connection = client._channel.connection
        assert connection is not None
        descriptor = connection._sock.fileno()
        server.hang_up(Then.CLOSE)
        for _ in range(3):
            await asyncio.sleep(0)
        assert not asyncio.get_running_loop().remove_reader(descriptor)
        assert (await client.send(MESSAGE)).complete


@pytest.mark.parametrize("mode", [None, "starttls", "implicit"])
def test_uvloop(mode: Any) -> None:
    """The same on the other loop that people use, also where the kernel takes no more."""
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")
    message = MESSAGE + b"x" * 70 * 100_000 + b"\r\n"

    async def main(server: ScriptedServer) -> None:
        async with Client(server_of(server)) as client:
            for octets in (MESSAGE, message, MESSAGE):
                assert (await client.send(octets)).complete

    with ScriptedServer(tls=mode) as server, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(server))
        assert [m.content for m in server.messages] == [MESSAGE, message, MESSAGE]


@in_a_loop
async def test_a_unix_socket() -> None:
    """LMTP to a socket in the file system."""
    with ScriptedServer(lmtp=True, unix=True) as server:
        async with Client(server_of(server)) as client:
            assert (await client.send(MESSAGE)).complete
