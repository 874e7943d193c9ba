"""Fixtures of the driver tests."""

from collections.abc import Iterator
from functools import partial

import pytest

from mailbridge.testing import ScriptedServer
from tests.drivers.helpers import CLIENTS, POOLS, Awaited, AwaitedPool, looping


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that keeps to every rule, until the test says otherwise."""
    with ScriptedServer() as server:
        yield server


@pytest.fixture(params=["sync", "asyncio"])
def driver(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that uses this runs with each driver: `client_to`, `client_of` and `pool_to` make what it sends by."""
    if request.param == "sync":
        yield
        return
    with looping() as runner:
        CLIENTS.append(partial(Awaited, runner))
        POOLS.append(partial(AwaitedPool, runner))
        yield
        CLIENTS.pop()
        POOLS.pop()
