"""Mail and transactions: it leaves after the commit, and not at all after a rollback."""

from collections.abc import Callable
from email.message import MIMEPart
from email.mime.text import MIMEText
from typing import Any

import django
import pytest
from asgiref.sync import async_to_sync
from django.core import mail
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from mailbridge import SMTPInputError
from mailbridge.testing import Inbox, ScriptedServer
from mailbridge_django import asend_messages

from .conftest import Site, mails

Records = Callable[[], list[tuple[str, Any]]]
pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def server(site: Site, smtp_server: ScriptedServer) -> ScriptedServer:
    """A server for a site that sends on commit."""
    site.use(smtp_server, on_commit=True)
    return smtp_server


def test_after_the_commit(site: Site, server: ScriptedServer, heard: list[tuple[str, dict[str, Any]]]) -> None:
    """The count is given at once, the receipt when the mail is sent."""
    [message] = batch = mails("bob@example.org")
    with transaction.atomic():
        assert site.backend().send_messages(batch) == 1
        assert message.mailbridge_receipt is None
        assert (server.messages, heard) == ([], [])
    assert [m.recipients for m in server.messages] == [("bob@example.org",)]
    assert message.mailbridge_receipt.delivered
    assert [name for name, _ in heard] == ["message_sent"]


def test_after_a_rollback(site: Site, server: ScriptedServer) -> None:
    """Nobody hears of what never was."""
    with transaction.atomic():
        site.backend().send_messages(mails("bob@example.org"))
        transaction.set_rollback(True)
    assert server.connections == []


def test_a_block_within_a_block(site: Site, server: ScriptedServer) -> None:
    """Mail waits for the outermost block; that of an inner one that was rolled back is dropped."""
    with transaction.atomic():
        site.backend().send_messages(mails("a@example.org"))
        with transaction.atomic():
            site.backend().send_messages(mails("b@example.org"))
            transaction.set_rollback(True)
        with transaction.atomic():
            site.backend().send_messages(mails("c@example.org"))
        assert server.messages == []
    assert [m.recipients for m in server.messages] == [("a@example.org",), ("c@example.org",)]


def test_outside_of_a_transaction(site: Site, server: ScriptedServer) -> None:
    """Mail is sent at once, as ever."""
    server.refuse("bob@example.org")
    assert site.backend(fail_silently=True).send_messages(mails("bob@example.org")) == 0


def test_async_code_inside_of_a_transaction(site: Site, server: ScriptedServer) -> None:
    """Sync code that calls it holds the transaction, and the mail waits for it as well."""
    with transaction.atomic():
        assert async_to_sync(asend_messages)(mails("bob@example.org")) == 1
        assert server.messages == []
    assert len(server.messages) == 1


def test_another_database(site: Site, smtp_server: ScriptedServer) -> None:
    """A string names the database whose transactions count."""
    site.use(smtp_server, on_commit="other")
    with transaction.atomic():
        site.backend().send_messages(mails("a@example.org"))
        assert len(smtp_server.messages) == 1
    with transaction.atomic(using="other"):
        site.backend().send_messages(mails("b@example.org"))
        assert len(smtp_server.messages) == 1
    assert len(smtp_server.messages) == 2


def test_a_message_that_changes_in_a_loop(site: Site, server: ScriptedServer) -> None:
    """Each send is a mail as it was then, attachments that the messages share included."""
    message = mail.EmailMessage("Hello", "Text", "ann@example.com")
    with transaction.atomic():
        for name in "abc":
            message.to, message.subject = [f"{name}@example.org"], f"Hello {name}"
            site.backend().send_messages([message])
    found = [(m.recipients, b"Subject: Hello " + m.recipients[0][:1].encode() in m.content) for m in server.messages]
    assert found == [((f"{name}@example.org",), True) for name in "abc"]


def test_an_attachment_that_changes(site: Site, server: ScriptedServer) -> None:
    """A part that the program built itself is kept as it was, too."""
    part: Any = MIMEPart() if django.VERSION >= (6, 0) else MIMEText("")
    part.set_payload("before")
    message = mail.EmailMessage("Hello", "Text", "ann@example.com", ["bob@example.org"])
    message.attachments.append(part)
    with transaction.atomic():
        site.backend().send_messages([message])
        part.set_payload("after")
    assert b"before" in server.messages[0].content
    assert b"after" not in server.messages[0].content


def test_a_failure_after_the_commit(site: Site, heard: list[tuple[str, dict[str, Any]]], records: Records) -> None:
    """It goes to signal and log, and the code that commits goes on."""
    with Inbox() as gone:
        site.use(gone, on_commit=True)
    [message] = batch = mails("bob@example.org")
    with transaction.atomic():
        assert site.backend().send_messages(batch) == 1
    assert message.mailbridge_receipt.not_sent
    assert [name for name, _ in heard] == ["message_failed"]
    assert [level for level, _ in records()] == ["ERROR"]


@pytest.mark.parametrize("wrong", [{"to": ["no address"]}, {"from_email": ""}, {"subject": "a\nb"}])
def test_a_message_that_cannot_be_sent(site: Site, server: ScriptedServer, wrong: dict[str, Any]) -> None:
    """That is said at once, where the mistake is; the others wait for the commit."""
    [bad, good] = mails("bob@example.org", "eve@example.org")
    for name, value in wrong.items():
        setattr(bad, name, value)
    with transaction.atomic(), pytest.raises((SMTPInputError, ValueError)):
        site.backend().send_messages([bad, good])
    assert [m.recipients for m in server.messages] == [("eve@example.org",)]


def test_atomic_requests(site: Site, server: ScriptedServer) -> None:
    """A view under ATOMIC_REQUESTS sends when it is through."""
    seen = []

    @transaction.atomic
    def view(request: HttpRequest) -> HttpResponse:
        site.backend().send_messages(mails("bob@example.org"))
        seen.append(len(server.messages))
        return HttpResponse()

    view(RequestFactory().get("/"))
    assert (seen, len(server.messages)) == ([0], 1)


@pytest.mark.django_db(databases=["default", "other"])
def test_in_a_test_case(site: Site, server: ScriptedServer, django_capture_on_commit_callbacks: Any) -> None:
    """Django's own means for tests hold for mail."""
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        site.backend().send_messages(mails("bob@example.org"))
        assert server.messages == []
    assert (len(callbacks), len(server.messages)) == (1, 1)
