"""pytest fixtures: `smtp_server` and `lmtp_server`, each a fresh `ScriptedServer`.

pytest imports this module in every run, so it imports what it needs when a fixture is used.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mailbridge.testing.server import ScriptedServer


@pytest.fixture
def smtp_server() -> "Iterator[ScriptedServer]":
    """A scripted SMTP server on loopback, without TLS."""
    from mailbridge.testing.server import ScriptedServer  # noqa: PLC0415  # see the module's docstring

    with ScriptedServer() as server:
        yield server


@pytest.fixture
def lmtp_server() -> "Iterator[ScriptedServer]":
    """A scripted LMTP server on loopback, without TLS."""
    from mailbridge.testing.server import ScriptedServer  # noqa: PLC0415  # see the module's docstring

    with ScriptedServer(lmtp=True) as server:
        yield server
