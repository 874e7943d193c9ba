"""Mail from async code: the same count, signals, receipts and errors, and a loop that goes on meanwhile."""

import asyncio
import ssl
import threading
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core import mail
from django.utils.functional import cached_property

from mailbridge import SMTPConnectionRefused, SMTPRecipientsRefused
from mailbridge.testing import Inbox, ScriptedServer
from mailbridge_django import Backend, asend, asend_mail, asend_messages
from mailbridge_django.signals import CancelSend, message_sending, message_sent, outcome_unknown

from .conftest import HAS_MAILERS, Site, mails

Records = Callable[[], list[tuple[str, Any]]]
Run = Callable[[Any], Any]


@pytest.fixture(params=["ASGI", "WSGI"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine in a loop that lives on, and in one of `async_to_sync`'s."""

    async def awaited(coroutine: Any) -> Any:
        return await coroutine

    return asyncio.run if request.param == "ASGI" else async_to_sync(awaited)


def test_asend_mail(run: Run, site: Site, server: ScriptedServer) -> None:
    """One message, with its HTML alternative."""
    sent = asend_mail("Hello", "Text", "ann@example.com", ["bob@example.org"], html_message="<p>Text</p>")
    assert run(sent) == 1
    [received] = server.messages
    assert (received.sender, received.recipients) == ("ann@example.com", ("bob@example.org",))
    assert b"<p>Text</p>" in received.content


def test_asend_messages(
    run: Run, site: Site, server: ScriptedServer, heard: list[tuple[str, dict[str, Any]]], records: Records
) -> None:
    """Receipts, signals, records and the error are those of `send_messages`."""
    server.refuse("bob@example.org")
    batch = mails("bob@example.org", "eve@example.org")
    with pytest.raises(SMTPRecipientsRefused) as caught:
        run(asend_messages(batch))
    assert caught.value.receipts == tuple(m.mailbridge_receipt for m in batch)
    assert [name for name, _ in heard] == ["recipients_refused", "message_failed", "message_sent"]
    assert [level for level, _ in records()] == ["ERROR", "INFO"]


def test_fail_silently(run: Run, site: Site, server: ScriptedServer) -> None:
    """It keeps the error from the caller."""
    server.refuse("bob@example.org")
    assert run(asend_messages(mails("bob@example.org"), fail_silently=True)) == 0


def test_the_receivers_thread(run: Run, site: Site, server: ScriptedServer) -> None:
    """Receivers run in the one thread where Django runs sync code, not in that which waits for the server."""
    threads = []

    def hear(**_: Any) -> None:
        threads.append(threading.current_thread().name)

    message_sending.connect(hear)
    message_sent.connect(hear)
    try:
        run(asend_messages(mails("bob@example.org")))
    finally:
        message_sending.disconnect(hear)
        message_sent.disconnect(hear)
    assert len(threads) == 2
    assert len(set(threads)) == 1
    assert not any(name.startswith("asyncio_") for name in threads)


def test_a_receiver_cancels(run: Run, site: Site, server: ScriptedServer) -> None:
    """As in sync code; nobody connects."""

    def cancel(**_: Any) -> None:
        raise CancelSend

    message_sending.connect(cancel)
    try:
        assert run(asend_messages(mails("bob@example.org"))) == 0
    finally:
        message_sending.disconnect(cancel)
    assert server.connections == []


def test_the_loop_goes_on(run: Run, site: Site, server: ScriptedServer) -> None:
    """While one server keeps silent, other tasks run: here the one that lets it speak."""
    server.answer("EHLO", b"")

    async def both() -> int:
        sending = asyncio.create_task(asend_messages(mails("bob@example.org"), fail_silently=True))
        await asyncio.to_thread(server.wait_for, lambda: server.lines)
        await asyncio.to_thread(server.hang_up)
        return await sending

    assert run(both()) == 0


def test_a_batch(run: Run, site: Site, server: ScriptedServer) -> None:
    """Messages arrive in their order over one connection, each with its receipt."""
    site.use(server, max_connections=1, max_messages=1000, on_partial="raise")
    server.refuse("bob@example.org")
    batch = mails(*["eve@example.org"] * 70, "bob@example.org,eve@example.org", "ann@example.org")
    with pytest.raises(SMTPRecipientsRefused) as caught:
        run(asend_messages(batch))
    assert caught.value.receipt is batch[70].mailbridge_receipt
    assert [message.recipients for message in server.messages] == [*[("eve@example.org",)] * 71, ("ann@example.org",)]
    assert len(server.connections) == 1


def test_nobody_listens(run: Run, site: Site) -> None:
    """Every message of the batch says so, and one attempt is enough: the last ones are not even rendered."""
    with Inbox() as gone:
        site.use(gone)
    rendered: list[mail.EmailMessage] = []

    class Noted(mail.EmailMessage):
        def message(self, **options: Any) -> Any:
            rendered.append(self)
            return super().message(**options)

    batch = [Noted("Hello", "Text", "ann@example.com", ["eve@example.org"]) for _ in range(70)]
    with pytest.raises(SMTPConnectionRefused):
        run(asend_messages(batch))
    assert all(m.mailbridge_receipt.not_sent for m in batch)
    assert len(rendered) < 70


class Slow(mail.EmailMessage):
    """A message whose rendering waits."""

    def __init__(self) -> None:
        super().__init__("Hello", "Text", "ann@example.com", ["bob@example.org"])
        self.begun, self.gate = threading.Event(), threading.Event()

    def message(self, **options: Any) -> Any:
        self.begun.set()
        self.gate.wait(5)
        return super().message(**options)


def test_a_task_that_is_cancelled(
    run: Run, site: Site, server: ScriptedServer, records: Records, heard: list[tuple[str, dict[str, Any]]]
) -> None:
    """The delivery goes on without it and leaves receipt, record and signal; nothing is lost."""
    message = Slow()

    async def give_up() -> None:
        task = asyncio.create_task(asend_messages([message]))
        await asyncio.to_thread(message.begun.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        message.gate.set()
        await asyncio.gather(*asend._deliveries)

    run(give_up())
    assert message.mailbridge_receipt.delivered
    assert [level for level, _ in records()] == ["INFO"]
    assert [name for name, _ in heard] == ["message_sent"]


@pytest.mark.parametrize("count", [1, 2])
def test_a_loop_that_ends(
    site: Site, server: ScriptedServer, records: Records, heard: list[tuple[str, dict[str, Any]]], count: int
) -> None:
    """What is under way is broken off; the receipt says that it may have arrived, and so do record and signal."""
    threads = set()

    def hear(**_: Any) -> None:
        threads.add(threading.current_thread())

    outcome_unknown.connect(hear)
    server.withdraw("CHUNKING")
    server.withdraw("PIPELINING")
    server.answer("CONTENT", b"", nth=count)
    batch = mails(*["bob@example.org"] * count)

    async def leave() -> None:
        sending = asyncio.create_task(asend_messages(batch))
        await asyncio.to_thread(server.wait_for, lambda: len(server.messages) == count)
        assert not sending.done()

    asyncio.run(leave())
    outcome_unknown.disconnect(hear)
    assert batch[-1].mailbridge_receipt.unknown
    assert [level for level, _ in records()] == [*["INFO"] * (count - 1), "ERROR"]
    assert [name for name, _ in heard] == [*["message_sent"] * (count - 1), "outcome_unknown"]
    # Where Django's database may be used: not in the loop.
    assert [thread is threading.main_thread() for thread in threads] == [False]


class OwnContext(Backend):
    """A backend with a context of its own, as a subclass would make it."""

    @cached_property
    def ssl_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca_file)


def test_a_loop_that_ends_before_a_pool_of_ones_own(
    site: Site, settings: Any, records: Records, heard: list[tuple[str, dict[str, Any]]]
) -> None:
    """The thread that waits for the server is left alone, and tells what became of the message all the same."""
    [message], gone = mails("bob@example.org"), threading.Event()
    with ScriptedServer(tls="implicit") as server:
        server.withdraw("CHUNKING")
        server.answer("CONTENT", b"")
        site.use(server, use_ssl=True, ca_file=server.ca_file)
        if site.mailers:
            settings.MAILERS["default"]["BACKEND"] = f"{__name__}.OwnContext"
        else:
            settings.EMAIL_BACKEND = f"{__name__}.OwnContext"

        def end() -> None:
            gone.wait(5)
            server.hang_up()

        async def leave() -> None:
            sending = asyncio.create_task(asend_messages([message]))
            sending.add_done_callback(lambda _: gone.set())
            await asyncio.to_thread(server.wait_for, lambda: server.messages)

        ending = threading.Thread(target=end)
        ending.start()
        asyncio.run(leave())
        ending.join()
    assert message.mailbridge_receipt.unknown
    assert [level for level, _ in records()] == ["ERROR"]
    assert [name for name, _ in heard] == ["outcome_unknown"]


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
