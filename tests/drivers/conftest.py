"""Fixtures of the driver tests."""

import asyncio
from collections.abc import Iterator
from functools import partial

import pytest

from mailbridge.testing import ScriptedServer
from tests.drivers.helpers import CLIENTS, PATIENCE, Awaited


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that keeps to every rule, until the test says otherwise."""
    with ScriptedServer() as server:
        yield server


@pytest.fixture(params=["sync", "asyncio"])
def driver(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that uses this runs with each driver: `client_to` and `client_of` make its clients."""
    if request.param == "sync":
        yield
        return
    with asyncio.Runner(debug=True) as runner:
        # A slow machine is no event.
        runner.get_loop().slow_callback_duration = PATIENCE
        CLIENTS.append(partial(Awaited, runner))
        yield
        CLIENTS.pop()
