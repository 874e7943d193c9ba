"""Fixtures of the driver tests."""

from collections.abc import Iterator

import pytest

from mailbridge.testing import ScriptedServer


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that keeps to every rule, until the test says otherwise."""
    with ScriptedServer() as server:
        yield server
