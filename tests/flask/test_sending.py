"""The signal before a message leaves, and async views."""

import logging
from typing import Any

import pytest
from flask import Flask, current_app

from mailbridge.testing import Inbox
from mailbridge_flask import CancelSend, Mail, Message, email_dispatched, message_sending
from tests.flask.apps import app_for, heard


def hello() -> Message:
    return Message("Hello", ["ann@example.org"], "Hello!")


def test_a_receiver_changes_a_message(app: Flask, mail: Mail, inbox: Inbox) -> None:
    """What a receiver of message_sending writes is what leaves."""

    def tag(sender: Flask, message: Message) -> None:
        message.subject = f"[{sender.name}] {message.subject}"

    with message_sending.connected_to(tag, sender=app):
        mail.send(hello())

    assert inbox.messages[0].message["Subject"] == "[shop] Hello"


@pytest.mark.parametrize("settings", [{}, {"TESTING": True}])
def test_a_receiver_cancels_a_message(
    inbox: Inbox, caplog: pytest.LogCaptureFixture, settings: dict[str, object]
) -> None:
    """CancelSend: nothing leaves, no outcome is announced, the log says it; suppressed or not."""
    app = app_for(inbox, **settings)
    mail = Mail(app)

    def cancel(_: Flask, **__: Any) -> None:
        raise CancelSend

    caplog.set_level(logging.INFO, "mailbridge.flask")
    with message_sending.connected_to(cancel), heard() as calls:
        receipt = mail.send(hello())

    assert (receipt, calls, inbox.messages) == (None, [], [])
    assert caplog.messages == ["a receiver of message-sending cancelled a message"]


def test_a_receiver_that_fails_cancels_nothing(mail: Mail, inbox: Inbox, caplog: pytest.LogCaptureFixture) -> None:
    """Another exception is logged, and the message leaves."""

    def fail(_: Flask, **__: Any) -> None:
        raise ZeroDivisionError

    with message_sending.connected_to(fail):
        mail.send(hello())

    assert len(inbox.messages) == 1
    assert "a receiver of message-sending failed" in caplog.messages


def test_cancelling_afterwards_is_a_failure(mail: Mail, caplog: pytest.LogCaptureFixture) -> None:
    """What has left cannot be cancelled: CancelSend in another receiver is logged."""

    def late(_: Flask, **__: Any) -> None:
        raise CancelSend

    with email_dispatched.connected_to(late):
        assert mail.send(hello()) is not None
    assert "a receiver of email-dispatched failed" in caplog.messages


def test_an_async_view_sends(inbox: Inbox) -> None:
    """The receipt comes back, and receivers in the worker thread know the current app."""
    app = app_for(inbox)
    mail = Mail(app)
    names: list[str] = []

    @app.post("/invite")
    async def invite() -> str:
        receipt = await mail.asend(hello())
        return str(receipt.queue_id) if receipt else ""

    def note(_: Flask, **__: Any) -> None:
        names.append(current_app.name)

    with email_dispatched.connected_to(note):
        response = app.test_client().post("/invite")

    assert (response.text, names) == ("000001", ["shop"])
