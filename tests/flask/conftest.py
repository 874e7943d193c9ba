"""An app with a mail server behind it."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from mailbridge.testing import Inbox, ScriptedServer
from mailbridge_flask import Mail
from mailbridge_flask.testing import mail_server  # noqa: F401 - a fixture, found by its name
from tests.flask.apps import MailFor, app_for


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with Inbox() as inbox:
        yield inbox


@pytest.fixture
def app(inbox: Inbox) -> Iterator[Flask]:
    app = app_for(inbox)
    with app.app_context():
        yield app


@pytest.fixture
def mail(app: Flask) -> Mail:
    return Mail(app)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def mail_for() -> MailFor:
    """The mail of an app of its own, which lives as long as the test: a `Mail` does not keep it alive."""
    apps: list[Flask] = []

    def mail_for(server: Inbox | ScriptedServer, **settings: Any) -> Mail:
        apps.append(app_for(server, **settings))
        return Mail(apps[-1])

    return mail_for
