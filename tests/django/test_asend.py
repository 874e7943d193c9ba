"""Mail from async code: the same count, signals, receipts and errors, and a loop that goes on meanwhile."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail

from mailbridge import SMTPRecipientsRefused
from mailbridge.testing import ScriptedServer
from mailbridge_django import asend_mail, asend_messages
from mailbridge_django.signals import CancelSend, message_sending, message_sent

from .conftest import HAS_MAILERS, Site, mails

Records = Callable[[], list[tuple[str, Any]]]


def test_asend_mail(site: Site, server: ScriptedServer) -> None:
    """One message, with its HTML alternative."""
    sent = asend_mail("Hello", "Text", "ann@example.com", ["bob@example.org"], html_message="<p>Text</p>")
    assert asyncio.run(sent) == 1
    [received] = server.messages
    assert (received.sender, received.recipients) == ("ann@example.com", ("bob@example.org",))
    assert b"<p>Text</p>" in received.content


def test_asend_messages(
    site: Site, server: ScriptedServer, heard: list[tuple[str, dict[str, Any]]], records: Records
) -> None:
    """Receipts, signals, records and the error are those of `send_messages`."""
    server.refuse("bob@example.org")
    batch = mails("bob@example.org", "eve@example.org")
    with pytest.raises(SMTPRecipientsRefused) as caught:
        asyncio.run(asend_messages(batch))
    assert caught.value.receipts == tuple(m.mailbridge_receipt for m in batch)
    assert [name for name, _ in heard] == ["recipients_refused", "message_failed", "message_sent"]
    assert [level for level, _ in records()] == ["ERROR", "INFO"]


def test_fail_silently(site: Site, server: ScriptedServer) -> None:
    """It keeps the error from the caller."""
    server.refuse("bob@example.org")
    assert asyncio.run(asend_messages(mails("bob@example.org"), fail_silently=True)) == 0


def test_the_receivers_thread(site: Site, server: ScriptedServer) -> None:
    """Receivers run in the one thread where Django runs sync code, not in that which waits for the server."""
    threads = []

    def hear(**_: Any) -> None:
        threads.append(threading.current_thread().name)

    message_sending.connect(hear)
    message_sent.connect(hear)
    try:
        asyncio.run(asend_messages(mails("bob@example.org")))
    finally:
        message_sending.disconnect(hear)
        message_sent.disconnect(hear)
    assert len(threads) == 2
    assert len(set(threads)) == 1
    assert not any(name.startswith("asyncio_") for name in threads)


def test_a_receiver_cancels(site: Site, server: ScriptedServer) -> None:
    """As in sync code; nobody connects."""

    def cancel(**_: Any) -> None:
        raise CancelSend

    message_sending.connect(cancel)
    try:
        assert asyncio.run(asend_messages(mails("bob@example.org"))) == 0
    finally:
        message_sending.disconnect(cancel)
    assert server.connections == []


def test_the_loop_goes_on(site: Site, server: ScriptedServer) -> None:
    """While one server keeps silent, other tasks run: here the one that lets it speak."""
    server.answer("EHLO", b"")

    async def both() -> int:
        sending = asyncio.create_task(asend_messages(mails("bob@example.org"), fail_silently=True))
        await asyncio.to_thread(server.wait_for, lambda: server.lines)
        await asyncio.to_thread(server.hang_up)
        return await sending

    assert asyncio.run(both()) == 0


def test_a_task_that_is_cancelled(site: Site, server: ScriptedServer, records: Records) -> None:
    """The delivery goes on in its thread and leaves receipt and record; nothing is lost."""
    begun, gate = threading.Event(), threading.Event()

    class Slow(mail.EmailMessage):
        def message(self, **options: Any) -> Any:
            begun.set()
            gate.wait(5)
            return super().message(**options)

    message = Slow("Hello", "Text", "ann@example.com", ["bob@example.org"])

    async def give_up() -> None:
        task = asyncio.create_task(asend_messages([message]))
        await asyncio.to_thread(begun.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.set()

    asyncio.run(give_up())
    assert message.mailbridge_receipt.delivered
    assert [level for level, _ in records()] == ["INFO"]


def test_a_backend_that_is_not_ours(settings: Any) -> None:
    """Under Django's test runner mail is in `mail.outbox`, from async code too."""
    path = "django.core.mail.backends.locmem.EmailBackend"
    if HAS_MAILERS:
        settings.MAILERS = {"default": {"BACKEND": path}}
    else:
        settings.EMAIL_BACKEND = path
    mail.outbox = []
    assert asyncio.run(asend_mail("Hello", "Text", "ann@example.com", ["bob@example.org"])) == 1
    assert [m.to for m in mail.outbox] == [["bob@example.org"]]


def test_a_mailer_by_name(settings: Any, smtp_server: ScriptedServer) -> None:
    """`using` names it; before Django 6.1 there are none."""
    if not HAS_MAILERS:
        with pytest.raises(TypeError, match=r"Django 6\.1"):
            asyncio.run(asend_messages(mails("bob@example.org"), using="bulk"))
        return
    mailer = {"BACKEND": "mailbridge_django.Backend", "OPTIONS": {"url": smtp_server.url}}
    settings.MAILERS = {"default": {**mailer, "OPTIONS": {"host": "localhost", "port": 1}}, "bulk": mailer}
    assert asyncio.run(asend_messages(mails("bob@example.org"), using="bulk")) == 1
