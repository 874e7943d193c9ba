"""Factories, several apps, and what is suppressed."""

import gc
import logging
import weakref

import pytest
from flask import Flask
from flask.logging import default_handler

from mailbridge.testing import Inbox, ScriptedServer
from mailbridge_flask import BadHeaderError, Mail, Message, email_dispatched
from tests.flask.apps import app_for, heard


def test_a_factory(inbox: Inbox) -> None:
    """`init_app` comes later, and its state is where libraries look."""
    mail = Mail()
    app = app_for(inbox)
    state = mail.init_app(app)

    assert app.extensions["mail"] is state
    assert app.extensions["mailbridge"] is state
    with app.app_context():
        app.extensions["mail"].send(Message("Hello", ["ann@example.org"], "Hello!"))
    assert inbox.messages[0].sender == "shop@example.com"


def test_a_second_init_app_is_refused(app: Flask, mail: Mail) -> None:
    """An app has one mail extension, whichever object it comes from."""
    for again in (mail, Mail()):
        with pytest.raises(RuntimeError, match="'shop' has a mail extension already"):
            again.init_app(app)


def test_each_app_sends_by_its_own_settings(inbox: Inbox, server: ScriptedServer) -> None:
    """One Mail serves two apps; the current one decides, and signals name it."""
    mail = Mail()
    first, second = app_for(inbox), app_for(server, name="bank", MAIL_DEFAULT_SENDER="bank@example.com")
    mail.init_app(first)
    mail.init_app(second)
    with heard(email_dispatched) as calls:
        for app in (second, first):
            with app.app_context():
                assert mail.state is app.extensions["mail"]
                mail.send_message("Hello", ["ann@example.org"], "Hello!")

    assert [name.name for _, name, _ in calls] == ["bank", "shop"]
    assert server.messages[0].sender == "bank@example.com"
    assert inbox.messages[0].sender == "shop@example.com"


def test_the_only_app_needs_no_context(inbox: Inbox) -> None:
    """A script with one app may send outside of its context."""
    app = app_for(inbox)
    mail = Mail(app)
    mail.send(Message("Hello", ["ann@example.org"], "Hello!"))

    assert mail.state is app.extensions["mail"]
    assert inbox.messages[0].message["From"] == "shop@example.com"


def test_no_app_and_too_many(inbox: Inbox) -> None:
    """Where nobody can know which app is meant, the error says what to do."""
    mail = Mail()
    assert mail.state is None
    with pytest.raises(RuntimeError, match=r"call mail\.init_app"):
        mail.connect()
    apps = [app_for(inbox, name=name) for name in ("one", "two")]
    for app in apps:
        mail.init_app(app)
    with pytest.raises(RuntimeError, match="push the context"):
        mail.connect()


def test_attributes_fall_through_to_the_state(app: Flask, mail: Mail) -> None:
    """`mail.default_sender` is the current app's; what nobody has is an AttributeError."""
    assert (mail.default_sender, mail.server, mail.suppress) == ("shop@example.com", "127.0.0.1", False)
    assert not hasattr(mail, "no_such_thing")
    assert not hasattr(Mail(), "default_sender")


def test_an_app_can_go(inbox: Inbox) -> None:
    """A Mail keeps no app alive."""
    mail, app = Mail(), app_for(inbox)
    mail.init_app(app)
    gone = weakref.ref(app)
    del app
    gc.collect()

    assert gone() is None
    assert mail.state is None


@pytest.mark.parametrize("settings", [{"TESTING": True}, {"MAIL_SUPPRESS_SEND": "yes"}])
def test_suppressed(server: ScriptedServer, settings: dict[str, object]) -> None:
    """Under test nothing is sent: no receipt, but email_dispatched is heard and the message is recorded."""
    app = app_for(server, **settings)
    mail = Mail(app)
    with app.app_context(), mail.record_messages() as outbox, heard() as calls:
        receipt = mail.send_message("Hello", ["ann@example.org"], "Hello!")

    assert receipt is None
    assert [message.subject for message in outbox] == ["Hello"]
    assert calls == [("email-dispatched", app, {"message": outbox[0]})]
    assert server.connections == []


def test_testing_may_be_set_later(server: ScriptedServer) -> None:
    """An app that turns TESTING on after `init_app` sends nothing."""
    app = app_for(server)
    mail = Mail(app)
    app.testing = True
    with app.app_context():
        mail.send_message("Hello", ["ann@example.org"], "Hello!")

    assert server.connections == []


def test_an_app_that_was_under_test_stays_silent(server: ScriptedServer) -> None:
    """A test that turns TESTING off, to see an error page, does not begin to send."""
    app = app_for(server, TESTING=True)
    mail = Mail(app)
    app.testing = False
    with app.app_context():
        mail.send_message("Hello", ["ann@example.org"], "Hello!")

    assert server.connections == []


def test_a_setting_beats_testing(inbox: Inbox) -> None:
    """MAIL_SUPPRESS_SEND=False sends under TESTING; the state's `suppress` can be changed by a test."""
    app = app_for(inbox, TESTING=True, MAIL_SUPPRESS_SEND="False")
    mail = Mail(app)
    with app.app_context():
        mail.send_message("Hello", ["ann@example.org"], "Hello!")
        app.extensions["mail"].suppress = True
        mail.send_message("Hello", ["bob@example.org"], "Hello!")

    assert [message.recipients for message in inbox.messages] == [("ann@example.org",)]


def test_suppressed_does_not_hide_mistakes(server: ScriptedServer) -> None:
    """A message that could not be sent fails in the tests too."""
    app = app_for(server, TESTING=True)
    mail = Mail(app)
    with app.app_context():
        with pytest.raises(BadHeaderError):
            mail.send_message("Hello\nBcc: eve@example.org", ["ann@example.org"], "Hello!")
        with pytest.raises(ValueError, match="not an address"):
            mail.send_message("Hello", ["ann@example.org, bob@example.org"], "Hello!")


def test_a_request_sends_mail(inbox: Inbox) -> None:
    """A view sends, and a test records what it sent."""
    app = app_for(inbox)
    mail = Mail(app)

    @app.post("/sign-up")
    def sign_up() -> str:
        receipt = mail.send_message("Welcome", ["ann@example.org"], "Hello!")
        return str(receipt.queue_id) if receipt else ""

    with mail.record_messages() as outbox:
        response = app.test_client().post("/sign-up")

    assert response.text == "000001"
    assert [message.subject for message in outbox] == ["Welcome"]


def test_debug_records_are_shown(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an app under DEBUG our records appear in the terminal, as Flask's own do, where nobody set up logging."""
    logger = logging.getLogger("mailbridge")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    Mail(app_for(inbox, DEBUG=True))

    assert (logger.level, logger.handlers) == (logging.DEBUG, [default_handler])
