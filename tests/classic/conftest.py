"""A scripted server and the classic client, introduced to each other."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from mailbridge import smtplib, tls
from mailbridge.testing import ScriptedServer

Serve = Callable[..., ScriptedServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a `ScriptedServer`; it ends with the test, after the clients."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(ScriptedServer(**options))


@pytest.fixture
def dial(serve: Serve) -> Iterator[Callable[..., smtplib.SMTP]]:
    """Connect to a server, with a name of our own for EHLO; closed when the test ends."""
    with ExitStack() as stack:

        def dial(server: ScriptedServer, kind: Any = smtplib.SMTP, **options: Any) -> smtplib.SMTP:
            options = {"local_hostname": "client.test", "timeout": 5, **options}
            client: smtplib.SMTP = kind("localhost", server.port, **options)
            stack.callback(client.close)
            return client

        yield dial


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[ScriptedServer], None]]:
    """Make the system trust a server's CA, as an administrator would."""
    tls._context.cache_clear()
    yield lambda server: monkeypatch.setenv("SSL_CERT_FILE", server.ca_file)
    tls._context.cache_clear()
