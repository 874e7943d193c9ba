"""The history: which rows a message leaves behind."""

import io
import logging
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.core.management import call_command
from django.db import OperationalError, connection, transaction

from mailbridge import Phase, Receipt, RecipientResult, Reply, State
from mailbridge.testing import ScriptedServer
from mailbridge_django import Backend
from mailbridge_django.log.models import Delivery
from mailbridge_django.signals import CancelSend, announce, message_sending

from .conftest import Site, mails

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("history")]


def rows(*names: str) -> list[tuple[Any, ...]]:
    return list(Delivery.objects.order_by("pk").values_list(*names))


def test_one_row_for_each_recipient(site: Site, server: ScriptedServer) -> None:
    """Two signals tell of a message that is partly refused; each recipient has one row."""
    server.refuse("bob@Example.org", 550, "5.1.1", "no such user")
    [message] = batch = mails("Ann <ann@example.net>,bob@Example.org")
    assert site.backend().send_messages(batch) == 1

    last = message.mailbridge_receipt.message_id, site.alias or ""
    columns = ("recipient", "domain", "state", "code", "enhanced", "text", "queue_id", "message_id", "alias")
    assert rows(*columns) == [
        ("Ann <ann@example.net>", "example.net", "accepted", 250, "2.0.0", "Ok: queued as 000001", "000001", *last),
        ("bob@Example.org", "example.org", "rejected", 550, "5.1.1", "no such user", "", *last),
    ]


def test_a_message_that_is_sent_again(site: Site, server: ScriptedServer) -> None:
    """It has rows of its own each time."""
    batch = mails("bob@example.org")
    for _ in range(2):
        site.backend().send_messages(batch)
    assert rows("queue_id") == [("000001",), ("000002",)]


@pytest.mark.parametrize(
    ("style", "expected"),
    [("masked", ("b***@example.org", "example.org", "")), ("none", ("[address]", "", ""))],
)
def test_addresses(style: str, expected: tuple[str, ...], site: Site, smtp_server: ScriptedServer) -> None:
    """They are written as `log_addresses` says; words of the server may repeat them, and are left out."""
    site.use(smtp_server, log_addresses=style)
    smtp_server.refuse("bob@example.org", 550, "5.1.1", "bob@example.org is unknown")
    site.backend(fail_silently=True).send_messages(mails("bob@example.org"))
    assert rows("recipient", "domain", "text") == [expected]


def test_addresses_as_a_program_wants_them(site: Site, server: ScriptedServer) -> None:
    """What is said to the backend itself counts before the settings."""
    backend = site.backend()
    backend.log_addresses = "masked"
    backend.send_messages(mails("bob@example.org"))
    options = {"host": server.host, "port": server.port, "log_addresses": "none"}
    Backend(**options, alias=site.alias).send_messages(mails("bob@example.org"))
    assert rows("recipient") == [("b***@example.org",), ("[address]",)]


def test_a_cancelled_message(site: Site, server: ScriptedServer) -> None:
    """Nobody tried to deliver it: it has no rows."""

    def cancel(**_: Any) -> None:
        raise CancelSend("not today")

    message_sending.connect(cancel)
    try:
        site.backend().send_messages(mails("bob@example.org"))
    finally:
        message_sending.disconnect(cancel)
    assert rows("state") == []


def test_an_address_that_is_none(site: Site, server: ScriptedServer) -> None:
    """It was not sent, and has no domain."""
    site.backend(fail_silently=True).send_messages(mails("bob@exa mple.org"))
    assert rows("state", "domain", "code") == [("not_sent", "", None)]


def test_words_of_a_hostile_server() -> None:
    """They are escaped, and cut to what a column takes."""
    reply = Reply(550, ("\x00\x1b[2J" + "x" * 2_000,))
    long = "b" * 400 + "@" + "c" * 400
    receipt = Receipt("ann@example.com", {long: RecipientResult(long, State.REJECTED, reply, Phase.RCPT)}, "m" * 999)
    announce(object, mail.EmailMessage(), receipt, None)

    [row] = Delivery.objects.all()
    row.full_clean()
    assert row.text.startswith("\\x00\\x1b[2Jxxx")
    assert [len(text) for text in (row.text, row.recipient, row.message_id)] == [500, 320, 255]


def test_a_failing_database(site: Site, server: ScriptedServer, caplog: pytest.LogCaptureFixture) -> None:
    """Mail is sent as ever, the sender's transaction holds, and one record tells of it."""

    def fail(execute: Any, sql: str, *rest: Any) -> Any:
        if "mailbridge_log" in sql:
            execute("INSERT INTO no_such_table VALUES (1)", *rest)
        return execute(sql, *rest)

    server.refuse("eve@example.org")
    with transaction.atomic(), connection.execute_wrapper(fail):
        Group.objects.create(name="before")
        assert site.backend().send_messages(mails("bob@example.org,eve@example.org")) == 1
        Group.objects.create(name="after")
    assert (rows("state"), Group.objects.count()) == ([], 2)
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.exc_info and record.exc_info[0] for record in errors] == [OperationalError]


def test_a_rollback(site: Site, server: ScriptedServer) -> None:
    """The rows go the way of the transaction that the mail was sent in."""
    with transaction.atomic():
        site.backend().send_messages(mails("bob@example.org"))
        assert rows("state") == [("accepted",)]
        transaction.set_rollback(True)
    assert rows("state") == []


def test_the_migrations_are_whole() -> None:
    """`makemigrations` has nothing to add to them."""
    out = io.StringIO()
    call_command("makemigrations", "mailbridge_log", check=True, dry_run=True, stdout=out)
    assert "No changes detected" in out.getvalue()
