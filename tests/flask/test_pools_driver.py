"""Connections are the process's: every send, request and app with the same settings shares them."""

import pytest
from blinker import NamedSignal
from flask import Flask

from mailbridge import SMTPPoolTimeout
from mailbridge.testing import Inbox, ScriptedServer
from mailbridge_flask import Mail, Message, email_dispatched, message_failed, message_sending
from mailbridge_flask.pools import pool_for, pools
from mailbridge_flask.testing import serving
from tests.flask.apps import MailFor, app_for, heard


def letter(recipient: str = "ann@example.org") -> Message:
    return Message("Hello", recipients=[recipient], body="Hello!", sender="shop@example.com")


def carried(server: ScriptedServer) -> list[int]:
    """How many messages each connection carried."""
    return [one.messages for one in server.connections]


def test_requests_share_a_connection(server: ScriptedServer) -> None:
    """`mail.send()` in a view, again and again, and outside of requests: one connection."""
    app = app_for(server)
    mail = Mail(app)

    @app.post("/invite")
    def invite() -> str:
        return str(mail.send(letter()))

    client = app.test_client()
    assert [client.post("/invite").status_code for _ in range(3)] == [200, 200, 200]
    with app.app_context():
        mail.send(letter())
    assert carried(server) == [4]


def test_async_requests_share_a_connection(server: ScriptedServer) -> None:
    """Ten requests, each in an event loop of its own, do not make ten connections."""
    app = app_for(server)
    mail = Mail(app)

    @app.post("/invite")
    async def invite() -> str:
        return str(await mail.asend(letter()))

    client = app.test_client()
    assert {client.post("/invite").status_code for _ in range(10)} == {200}
    assert carried(server) == [10]


def test_nothing_is_connected_before_the_first_message(server: ScriptedServer, mail_for: MailFor) -> None:
    """A process may make its app, and fork its workers then."""
    before = len(pools)
    mail_for(server).connect()

    assert (len(pools), server.connections) == (before, [])


def test_apps_with_the_same_settings_share_a_pool(server: ScriptedServer, mail_for: MailFor) -> None:
    """Any difference in how the server is reached makes another pool; the default sender is none."""
    mail_for(server).send(letter())
    mail_for(server, MAIL_DEFAULT_SENDER="news@example.com").send(letter())
    mail_for(server, MAIL_MAX_IDLE=7).send(letter())

    assert carried(server) == [2, 1]


def test_a_block_holds_no_connection(server: ScriptedServer, mail_for: MailFor) -> None:
    """With one connection for all, others may send while a `with mail.connect()` lasts, and after it."""
    mail = mail_for(server, MAIL_MAX_CONNECTIONS=1, MAIL_CLAIM_TIMEOUT=5)
    with mail.connect() as first, mail.connect() as second:
        for connection in (first, second, mail):
            connection.send(letter())
    mail.send(letter())

    assert carried(server) == [4]


@pytest.mark.parametrize("signal", [message_sending, email_dispatched], ids=["before", "after"])
@pytest.mark.parametrize("debug", [False, True])
def test_a_receiver_that_sends(server: ScriptedServer, mail_for: MailFor, signal: NamedSignal, debug: bool) -> None:
    """No connection is held while receivers run: one for all is enough."""
    mail = mail_for(server, MAIL_MAX_CONNECTIONS=1, MAIL_CLAIM_TIMEOUT=5, MAIL_DEBUG=debug)

    def echo(_: Flask, message: Message) -> None:
        if message.recipients == ["ann@example.org"]:
            mail.send(letter("copy@example.org"))

    with signal.connected_to(echo):
        mail.send(letter())

    assert carried(server) == [2]


def test_nobody_comes_free(server: ScriptedServer, mail_for: MailFor) -> None:
    """MAIL_CLAIM_TIMEOUT ends the wait, and the message is accounted for."""
    mail = mail_for(server, MAIL_MAX_CONNECTIONS=1, MAIL_CLAIM_TIMEOUT="0.05")
    message = letter()
    with heard(message_failed) as calls, pool_for(mail.settings).lease(), pytest.raises(SMTPPoolTimeout):
        mail.send(message)

    assert message.mailbridge_receipt is not None
    assert list(message.mailbridge_receipt.not_sent) == ["ann@example.org"]
    assert [name for name, _, _ in calls] == ["message-failed"]


@pytest.mark.parametrize("key", ["MAIL_MAX_MESSAGES", "MAIL_MAX_EMAILS"])
def test_a_connection_wears_out(server: ScriptedServer, mail_for: MailFor, key: str) -> None:
    """After so many messages it is replaced, whoever sent them."""
    mail = mail_for(server, **{key: 2})
    for _ in range(3):
        mail.send(letter())

    assert carried(server) == [2, 1]


def test_the_server_of_a_test_is_let_go(inbox: Inbox) -> None:
    """After `serving` no connection to its server is kept."""
    app = app_for(inbox, TESTING=True)
    mail = Mail(app)
    with serving(app), app.app_context():
        mail.send(letter())
        assert pool_for(mail.settings).stats().idle == 1

    assert len(pools) == 0
