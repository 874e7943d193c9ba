"""For the tests of an app: a real mail server in their process, whose refusals the test dictates.

Needs the extra `testing`. As a pytest fixture, for a project with a fixture `app`:
`pytest_plugins = ["mailbridge_flask.testing"]`, then ask for `mail_server`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from flask import Flask

from mailbridge.testing import Inbox

from .state import MailState


@contextmanager
def serving(app: Flask) -> Iterator[Inbox]:
    """A server that all mailers of this app send to, under TESTING too, until the block ends.

    Example:
        >>> with serving(app) as server:
        ...     server.refuse("bob@example.com", 550, "5.1.1", "no such user")
        ...     client.post("/sign-up", data={"email": "bob@example.com"})
        >>> server.refusals[0].recipient
        'bob@example.com'
    """
    state: MailState = app.extensions["mailbridge"]
    with Inbox() as server, ExitStack() as stack:
        for mailer in (state, *state.mailers.values()):
            stack.enter_context(mailer.sending_to(server.host, server.port))
        yield server


@pytest.fixture
def mail_server(app: Flask) -> Iterator[Inbox]:
    """`serving` the fixture `app`."""
    with serving(app) as server:
        yield server
