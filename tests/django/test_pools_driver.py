"""Connections are the process's: plain `send_mail()` shares them, and nobody waits for anybody who forgot to close."""

from typing import Any

import pytest
from django.core import mail
from django.test import override_settings

from mailbridge import SMTPPoolTimeout
from mailbridge.testing import ScriptedServer
from mailbridge_django import pools
from mailbridge_django.signals import message_sending, message_sent

from .conftest import Site, mails


def test_send_mail_is_pooled(site: Site, server: ScriptedServer) -> None:
    """Three calls, three backend objects, one connection."""
    for _ in range(3):
        assert mail.send_mail("Hello", "Text", "ann@example.com", ["bob@example.org"]) == 1
    assert [connection.messages for connection in server.connections] == [3]


def test_another_configuration(site: Site, server: ScriptedServer) -> None:
    """Any difference makes another pool."""
    site.backend().send_messages(mails("a@example.org"))
    backend = site.backend()
    backend.timeout = 7
    backend.send_messages(mails("b@example.org"))
    assert [connection.messages for connection in server.connections] == [1, 1]


def test_settings_that_change(site: Site, server: ScriptedServer) -> None:
    """What was connected by the old ones is let go, without INSTALLED_APPS."""
    site.backend().send_messages(mails("a@example.org"))
    with override_settings(MAILBRIDGE={}):
        server.wait_for(lambda: server.connections[0].ended)
    assert len(pools.pools) == 0


def test_an_unrelated_setting(site: Site, server: ScriptedServer) -> None:
    """The others have nothing to do with it."""
    site.backend().send_messages(mails("a@example.org"))
    with override_settings(LANGUAGE_CODE="de"):
        site.backend().send_messages(mails("b@example.org"))
    assert [connection.messages for connection in server.connections] == [2]


def test_open_gives_the_connection_back(site: Site, server: ScriptedServer) -> None:
    """Objects that are open, or were never closed, keep nobody from the only connection."""
    site.use(server, max_connections=1, claim_timeout=5)
    forgotten, other = site.backend(), site.backend()
    assert (forgotten.open(), other.open()) == (True, True)
    assert other.send_messages(mails("a@example.org")) == 1
    assert forgotten.send_messages(mails("b@example.org")) == 1
    other.close()
    assert site.backend().send_messages(mails("c@example.org")) == 1
    assert [connection.messages for connection in server.connections] == [3]


@pytest.mark.parametrize("signal", [message_sending, message_sent], ids=["before", "after"])
def test_a_receiver_that_sends(site: Site, server: ScriptedServer, signal: Any) -> None:
    """With one connection for all, a receiver that sends mail does not wait for the mail that it hears of."""
    site.use(server, max_connections=1, claim_timeout=5)

    def echo(message: mail.EmailMessage, **_: Any) -> None:
        if message.to == ["bob@example.org"]:
            assert site.backend().send_messages(mails("copy@example.org")) == 1

    signal.connect(echo)
    try:
        assert site.backend().send_messages(mails("bob@example.org", "eve@example.org")) == 2
    finally:
        signal.disconnect(echo)
    assert (len(server.connections), len(server.messages)) == (1, 3)


def test_a_message_that_sends_while_it_is_rendered(site: Site, server: ScriptedServer) -> None:
    """Nor does a message whose own code sends another one."""
    site.use(server, max_connections=1, claim_timeout=5)

    class Busy(mail.EmailMessage):
        def message(self, **options: Any) -> Any:
            site.backend().send_messages(mails("inner@example.org"))
            return super().message(**options)

    assert site.backend().send_messages([Busy("Hello", "Text", "ann@example.com", ["bob@example.org"])]) == 1
    assert len(server.messages) == 2


def test_nobody_comes_free(site: Site, server: ScriptedServer) -> None:
    """The wait has an end, once for a whole batch, and the error says what it was for."""
    site.use(server, max_connections=1, claim_timeout=0.05)
    backend, batch = site.backend(), mails("a@example.org", "b@example.org", "c@example.org")
    backend.open()
    assert backend.connection is not None
    with backend.connection.lease(), pytest.raises(SMTPPoolTimeout) as caught:
        backend.send_messages(batch)
    assert caught.value.receipts == tuple(m.mailbridge_receipt for m in batch)
    assert all(m.mailbridge_receipt.error is caught.value for m in batch)


def test_a_connection_wears_out(site: Site, server: ScriptedServer) -> None:
    """After `max_messages` it is replaced."""
    site.use(server, max_messages=2)
    assert site.backend().send_messages(mails(*["a@x.org", "b@x.org", "c@x.org"])) == 3
    assert [connection.messages for connection in server.connections] == [2, 1]
