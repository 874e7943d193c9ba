"""Connections are the process's: plain `send_mail()` shares them, and nobody waits for anybody who forgot to close."""

import asyncio
import ssl
import subprocess
import sys
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core import mail
from django.test import override_settings
from django.utils.functional import cached_property

from mailbridge import SMTPPoolTimeout
from mailbridge.testing import ScriptedServer
from mailbridge_django import Backend, asend_messages, pools
from mailbridge_django.signals import message_sending, message_sent

from .conftest import Site, mails

SITE = """
import sys
from django.conf import settings
settings.configure(MAILBRIDGE={"url": sys.argv[1]})
from django.core import mail
from mailbridge_django import Backend
Backend().send_messages([mail.EmailMessage("Hello", "Text", "ann@example.com", ["bob@example.org"])])
"""


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


def test_async_code_under_wsgi(site: Site, server: ScriptedServer) -> None:
    """Ten loops of `async_to_sync` that live for one send each share one connection with sync code."""
    site.backend().send_messages(mails("bob@example.org"))
    for _ in range(10):
        assert async_to_sync(asend_messages)(mails("bob@example.org")) == 1
    assert [connection.messages for connection in server.connections] == [11]


def test_async_code_in_a_loop_that_lives_on(site: Site, server: ScriptedServer) -> None:
    """There connections belong to the loop, and are kept from one send to the next."""

    async def ten() -> None:
        for _ in range(10):
            assert await asend_messages(mails("bob@example.org")) == 1

    site.backend().send_messages(mails("bob@example.org"))
    asyncio.run(ten())
    assert [connection.messages for connection in server.connections] == [1, 10]


def test_settings_that_change_under_a_loop(site: Site, server: ScriptedServer) -> None:
    """A loop, too, lets go of what was connected by the old ones."""

    async def change() -> None:
        await asend_messages(mails("bob@example.org"))
        with override_settings(MAILBRIDGE={}):
            await asyncio.to_thread(server.wait_for, lambda: server.connections[0].ended)

    asyncio.run(change())


class OwnContext(Backend):
    """A backend with a context of its own, as a subclass would make it."""

    @cached_property
    def ssl_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca_file)


def test_a_context_of_ones_own(site: Site) -> None:
    """Its connections would serve nobody else, so they are closed with the batch, or with `close`."""
    with ScriptedServer(tls="implicit") as server:
        site.use(server, use_ssl=True, ca_file=server.ca_file)
        options = {"host": server.host, "port": server.port, "use_ssl": True, "ca_file": server.ca_file}
        backend = OwnContext(**options, alias=site.alias)
        backend.send_messages(mails("a@example.org"))
        with backend:
            backend.send_messages(mails("b@example.org"))
            backend.send_messages(mails("c@example.org"))
        assert [connection.messages for connection in server.connections] == [1, 2]
        server.wait_for(lambda: all(connection.ended for connection in server.connections))
        assert len(pools.pools) == 0


def test_the_process_ends_at_once(server: ScriptedServer) -> None:
    """A connection that is still there does not hold it up, even where the server does not answer QUIT."""
    server.answer("QUIT", b"")
    done = subprocess.run(
        [sys.executable, "-c", SITE, server.url], capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(server.messages) == 1
