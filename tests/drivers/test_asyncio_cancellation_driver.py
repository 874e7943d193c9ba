"""A task that is cancelled leaves a connection that can be used or none, and says what became of its message."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from mailbridge import Receipt, State
from mailbridge.asyncio import Client
from mailbridge.testing import ScriptedServer, Then
from tests.drivers.helpers import BOTH, MESSAGE, in_a_loop, server_of

EVENTS = ["GREETING", "EHLO", "STARTTLS", "TLS", "AUTH", "MAIL", "RCPT", "DATA", "CONTENT"]


async def cancelled(task: "asyncio.Task[Receipt]", silent: Callable[[], object], server: ScriptedServer) -> Receipt:
    """Cancel it once the server fell silent; give the receipt that the cancellation brings."""
    await asyncio.to_thread(server.wait_for, silent)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    receipt: Receipt = caught.value.receipt  # type: ignore[attr-defined]  # as our own errors have it
    return receipt


def reached(server: ScriptedServer, event: str) -> Callable[[], object]:
    """The server has seen this."""
    match event:
        case "GREETING":
            return lambda: server.connections
        case "CONTENT":
            return lambda: server.messages
    verb = b"STARTTLS" if event == "TLS" else event.encode()
    return lambda: any(line.startswith(verb) for line in server.lines)


@pytest.mark.parametrize("event", EVENTS)
@in_a_loop
async def test_in_each_phase(event: str, caplog: pytest.LogCaptureFixture) -> None:
    """The connection is closed, one record says what became of the message, and the next one has its own connection."""
    with ScriptedServer(tls="starttls", accounts={"ann": "pw"}, extensions=()) as server:
        server.cut_before(event, Then.SILENCE)
        client = Client(server_of(server, "ann"))
        receipt = await cancelled(asyncio.create_task(client.send(MESSAGE)), reached(server, event), server)
        assert not client.connected
        state = State.UNKNOWN if event == "CONTENT" else State.NOT_SENT
        assert [r.state for r in receipt.results.values()] == [state] * 2
        [record] = [r for r in caplog.records if r.levelno > logging.DEBUG]
        assert (record.levelname, vars(record)[str(state)]) == ("ERROR", BOTH)
        server.rules.clear()
        assert (await client.send(MESSAGE)).complete
        await client.close()
        assert len(server.connections) == 2


@in_a_loop
async def test_in_a_token_provider() -> None:
    """It reaches the provider, and the connection is closed."""
    asked, forever = asyncio.Event(), asyncio.Event()

    async def provider(**options: bool) -> str:
        asked.set()
        await forever.wait()
        return ""

    with ScriptedServer(accounts={"ann": "t"}, auth=("XOAUTH2",)) as server:
        client = Client(server_of(server, username="ann", token_provider=provider))
        task = asyncio.create_task(client.send(MESSAGE))
        await asked.wait()
        receipt = await cancelled(task, lambda: True, server)
        assert list(receipt.not_sent) == BOTH
        assert not client.connected


@in_a_loop
async def test_while_it_waits_for_its_turn(server: ScriptedServer, caplog: pytest.LogCaptureFixture) -> None:
    """A message that was not begun leaves no trace, and the connection of the other task is untouched."""
    async with Client(server_of(server)) as client:
        first, second = (asyncio.create_task(client.send(MESSAGE)) for _ in range(2))
        await asyncio.sleep(0)
        second.cancel()
        assert (await first).complete
        with pytest.raises(asyncio.CancelledError):
            await second
        assert client.connected
    assert [m.connection for m in server.messages] == [1]
    assert [r for r in caplog.records if r.levelno > logging.INFO] == []


@in_a_loop
async def test_a_deadline_of_the_callers(server: ScriptedServer) -> None:
    """`asyncio.timeout` works, and the receipt is with the cancellation that it is made of."""
    server.cut_before("CONTENT", Then.SILENCE)
    client = Client(server_of(server))
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.2):
            await client.send(MESSAGE)
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    assert list(caught.value.__cause__.receipt.unknown) == BOTH  # type: ignore[attr-defined]  # as above
    assert not client.connected


@pytest.mark.parametrize("verb", ["noop", "close"])
@in_a_loop
async def test_in_another_verb(server: ScriptedServer, verb: str) -> None:
    """The connection is closed: its reply would be taken for the next one's."""
    event = "QUIT" if verb == "close" else "NOOP"
    server.cut_before(event, Then.SILENCE)
    client = Client(server_of(server))
    await client.connect()
    task = asyncio.create_task(getattr(client, verb)())
    await asyncio.to_thread(server.wait_for, reached(server, event))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not client.connected
    await asyncio.to_thread(server.wait_for, lambda: server.connections[0].ended)


@pytest.mark.parametrize("options", [{"extensions": ()}, {}, {"tls": "implicit"}], ids=["plain", "chunking", "tls"])
@pytest.mark.parametrize("connected", [False, True])
@in_a_loop
async def test_after_any_number_of_rounds(options: dict[str, Any], connected: bool) -> None:
    """Wherever it strikes, the receipt and the server's own record agree, and the client can go on."""
    with ScriptedServer(**options) as server:
        client = Client(server_of(server))
        for rounds in range(40):
            if connected:
                await client.connect()
            before = len(server.messages)
            task = asyncio.create_task(client.send(MESSAGE))
            for _ in range(rounds):
                await asyncio.sleep(0)
            task.cancel()
            receipt = None
            try:
                receipt = await task
            except asyncio.CancelledError as error:
                receipt = getattr(error, "receipt", None)
            states = {result.state for result in receipt.results.values()} if receipt else {State.NOT_SENT}
            if not client.connected:
                await asyncio.to_thread(server.wait_for, lambda: all(c.ended for c in server.connections))
            arrived = len(server.messages) > before
            assert states <= ({State.ACCEPTED, State.UNKNOWN} if arrived else {State.NOT_SENT, State.UNKNOWN})
        with suppress(asyncio.CancelledError):
            assert (await client.send(MESSAGE)).complete
        await client.close()
