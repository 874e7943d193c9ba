"""S21: nobody talks on somebody else's connection, neither a child process nor another thread."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.drivers.test_pool_processes_driver import in_a_child
from tests.security.faces import Asyncio, Face
from tests.security.letters import Letter

MANY = 12


@pytest.mark.parametrize("tls", [None, "starttls", "implicit"])
def test_s21_forked_with_a_warm_connection(face: Face, serve: Any, tls: str | None) -> None:
    """S21: both sides send: the child over a connection of its own, the parent over the one that it had."""
    server = serve(tls=tls)
    assert face.to(server).send(Letter("one")).delivered

    def child() -> None:
        if isinstance(face, Asyncio):
            face._runner = asyncio.Runner()  # a loop does not live on in a child
        assert face.send(Letter("two")).delivered

    in_a_child(child)
    assert face.send(Letter("three")).delivered
    assert [m.connection for m in server.messages] == [1, 2, 1]
    assert b"QUIT" not in server.connections[0].lines


def test_s21_several_threads(face: Face, serve: Any) -> None:
    """S21: each letter arrives whole and once, whoever sends at the same time."""
    server = serve()
    face.to(server)
    assert face.send(Letter("first")).delivered
    with ThreadPoolExecutor(4) as threads:
        sent = list(threads.map(lambda n: face.send(Letter(f"number {n}")).delivered, range(MANY)))

    assert sent == [True] * MANY
    arrived = sorted(m.content.partition(b"number ")[2][:2].strip() for m in server.messages[1:])
    assert arrived == sorted(str(n).encode() for n in range(MANY))


def test_s21_several_tasks(face: Face, serve: Any) -> None:
    """S21: the same for the tasks of one loop."""
    server = serve()
    face.to(server)
    assert face.send(Letter("first")).delivered
    assert isinstance(face, Asyncio)
    assert face._runner is not None

    async def all_together() -> list[bool]:
        outcomes = await asyncio.gather(*(face._send(Letter(f"number {n}")) for n in range(MANY)))
        return [outcome.delivered for outcome in outcomes]

    assert face._runner.run(all_together()) == [True] * MANY
    assert len({m.content.partition(b"number ")[2][:2] for m in server.messages[1:]}) == MANY
