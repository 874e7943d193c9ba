"""Apps as the tests need them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from blinker import NamedSignal
from flask import Flask

from mailbridge.testing import Inbox, ScriptedServer
from mailbridge_flask import Mail, email_dispatched, message_failed, outcome_unknown, recipients_refused

SIGNALS = (email_dispatched, recipients_refused, message_failed, outcome_unknown)

MailFor = Callable[..., Mail]


def app_for(server: Inbox | ScriptedServer, name: str = "shop", **settings: Any) -> Flask:
    """An app that sends to this server, in clear unless the settings say otherwise."""
    app = Flask(name)
    app.config.update(MAIL_SERVER="127.0.0.1", MAIL_PORT=server.port, MAIL_DEFAULT_SENDER="shop@example.com")
    app.config.update(settings)
    return app


@contextmanager
def heard(*signals: NamedSignal) -> Iterator[list[tuple[str, Flask, dict[str, Any]]]]:
    """What receivers hear: the signal's name, its sender and its values, in order."""
    calls: list[tuple[str, Flask, dict[str, Any]]] = []
    with ExitStack() as stack:
        for signal in signals or SIGNALS:

            def receive(app: Flask, name: str = str(signal.name), **values: Any) -> None:
                calls.append((name, app, values))

            stack.enter_context(signal.connected_to(receive))
        yield calls
