"""Before and while a message is sent: receivers that change or cancel it, and who may get it at all."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core import mail

from mailbridge import SMTPInputError, SMTPRecipientsRefused, State
from mailbridge.testing import Inbox, ScriptedServer
from mailbridge_django.signals import CancelSend, message_sending

from .conftest import Site, mails

Records = Callable[[], list[tuple[str, Any]]]


@contextmanager
def connected(receiver: Callable[..., None]) -> Iterator[None]:
    """A receiver of `message_sending`."""
    message_sending.connect(receiver)
    try:
        yield
    finally:
        message_sending.disconnect(receiver)


def test_a_receiver_changes_the_message(site: Site, server: ScriptedServer) -> None:
    """What it leaves behind is what goes out, recipients included."""
    seen = []

    def change(sender: type, message: mail.EmailMessage, alias: str | None, **_: Any) -> None:
        seen.append((sender.__name__, alias))
        message.subject = "Changed"
        message.bcc.append("archive@example.org")

    with connected(change):
        site.backend().send_messages(mails("bob@example.org"))
    [received] = server.messages
    assert received.recipients == ("bob@example.org", "archive@example.org")
    assert b"Subject: Changed" in received.content
    assert seen == [("Backend", site.alias)]


def test_a_receiver_cancels(
    site: Site, server: ScriptedServer, heard: list[tuple[str, dict[str, Any]]], records: Records
) -> None:
    """Nothing is sent, counted, signalled or raised; receipt and an INFO record say so."""

    def cancel(message: mail.EmailMessage, **_: Any) -> None:
        if message.to == ["bob@example.org"]:
            raise CancelSend("bob has left")

    batch = mails("bob@example.org", "eve@example.org")
    with connected(cancel):
        assert site.backend().send_messages(batch) == 1
    assert [m.recipients for m in server.messages] == [("eve@example.org",)]
    assert isinstance(batch[0].mailbridge_receipt.error, CancelSend)
    assert batch[0].mailbridge_receipt.not_sent
    assert [name for name, _ in heard] == ["message_sent"]
    assert [(level, record.cancelled) for level, record in records()] == [("INFO", True), ("INFO", False)]


def test_a_batch_that_is_all_cancelled(site: Site, server: ScriptedServer) -> None:
    """Nobody connects for it."""

    def cancel(**_: Any) -> None:
        raise CancelSend

    with connected(cancel):
        assert site.backend().send_messages(mails("bob@example.org")) == 0
    assert server.connections == []


def test_a_receiver_that_fails(site: Site, server: ScriptedServer, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged and changes nothing; the complaint to the admins does not ask it again."""
    calls = []

    def clumsy(message: mail.EmailMessage, **_: Any) -> None:
        calls.append(message.to)
        raise RuntimeError("oops")

    with connected(clumsy):
        assert site.backend().send_messages(mails("bob@example.org")) == 1
    assert [str(r.exc_info and r.exc_info[1]) for r in caplog.records if r.levelno == logging.ERROR] == ["oops"]
    assert [m.recipients[0] for m in server.messages] == ["root@example.com", "bob@example.org"]
    assert calls == [["bob@example.org"]]


def test_redirect_to(site: Site, server: ScriptedServer) -> None:
    """On a copy of a site nobody but one address is named at RCPT; a header says who was meant."""
    site.use(server, redirect_to="dev@example.com")
    message = mail.EmailMessage("Hello", "Text", None, ["bob@example.org"], bcc=["eve@example.org"])
    assert site.backend().send_messages([message]) == 1
    [received] = server.messages
    assert received.recipients == ("dev@example.com",)
    assert b"\r\nX-Original-Recipients: bob@example.org, eve@example.org\r\n" in received.content
    assert b"\r\nTo: bob@example.org\r\n" in received.content
    assert list(message.mailbridge_receipt.accepted) == ["dev@example.com"]


def test_allow_domains(site: Site, server: ScriptedServer, heard: list[tuple[str, dict[str, Any]]]) -> None:
    """Others are withheld, which is said as loudly as any other failure."""
    site.use(server, allow_domains=["example.com"])
    [message] = batch = mails("ann@example.com,bob@example.org")
    with pytest.raises(SMTPInputError, match=r"'bob@example\.org' is not in allow_domains"):
        site.backend().send_messages(batch)
    assert [m.recipients for m in server.messages] == [("ann@example.com",)]
    states = {name: result.state for name, result in message.mailbridge_receipt.results.items()}
    assert states == {"ann@example.com": State.ACCEPTED, "bob@example.org": State.NOT_SENT}
    assert [name for name, _ in heard] == ["message_sent", "message_failed"]


def test_nobody_is_allowed(site: Site, server: ScriptedServer) -> None:
    """Such a message does not even connect."""
    site.use(server, allow_domains="example.com", redirect_to="")
    [message] = batch = mails("bob@example.org")
    assert site.backend(fail_silently=True).send_messages(batch) == 0
    assert message.mailbridge_receipt.not_sent
    assert b"MAIL" not in b"".join(server.lines)


def test_on_partial_raise(site: Site, server: ScriptedServer, records: Records) -> None:
    """The others have the message; the error has the receipt."""
    site.use(server, on_partial="raise")
    server.refuse("bob@example.org")
    [message] = batch = mails("bob@example.org,eve@example.org")
    with pytest.raises(SMTPRecipientsRefused) as caught:
        site.backend().send_messages(batch)
    assert [m.recipients for m in server.messages] == [("eve@example.org",)]
    assert caught.value.receipt is message.mailbridge_receipt
    assert caught.value.receipts == (message.mailbridge_receipt,)
    assert [level for level, _ in records()] == ["WARNING"]


def test_on_partial_abort(site: Site, server: ScriptedServer) -> None:
    """All or nothing: nobody gets what somebody refused."""
    site.use(server, on_partial="abort")
    server.refuse("bob@example.org")
    with pytest.raises(SMTPRecipientsRefused):
        site.backend().send_messages(mails("bob@example.org,eve@example.org"))
    assert server.messages == []


@pytest.mark.parametrize("style", ["masked", "none"])
def test_addresses_in_the_log(site: Site, server: ScriptedServer, records: Records, style: str) -> None:
    """They are nowhere in the record: not in its text, not in its fields, not in words of server or error."""
    site.use(server, log_addresses=style)
    server.refuse("*", 550, "5.1.1", "bob@example.org is no user")
    batch = [*mails("bob@example.org"), mail.EmailMessage("Hello", "Text", "ann@example.com", ["bob at example"])]
    assert site.backend(fail_silently=True).send_messages(batch) == 0
    for _, record in records():
        everything = record.getMessage() + repr({k: v for k, v in vars(record).items() if k != "message_id"})
        assert "bob@" not in everything
        assert "ann@" not in everything
        assert "bob at" not in everything


def test_a_record_fits_a_json_formatter(site: Site, server: ScriptedServer, records: Records) -> None:
    """Every field of it is a string, a number, None, or a list or dictionary of these."""
    server.refuse("bob@example.org")
    site.backend().send_messages(mails("bob@example.org,eve@example.org"))
    [(_, record)] = records()
    usual = vars(logging.makeLogRecord({}))
    extra = {name: value for name, value in vars(record).items() if name not in {*usual, "message", "asctime"}}
    assert json.loads(json.dumps(extra)) == extra
    assert set(extra) == {
        *("alias", "host", "port", "tls", "queue_id", "message_id", "mail_from", "accepted", "refused", "unknown"),
        *("not_sent", "duration", "reused", "cancelled"),
    }


def test_a_dead_server_and_the_admins(site: Site, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure of a mail is mailed to the admins by one further attempt, whose own failure is nobody's mail."""
    from django.utils.log import AdminEmailHandler

    with ScriptedServer() as server:
        server.answer("GREETING", b"554 5.3.2 closed\r\n")
        site.use(server)
        root, handler = logging.getLogger(), AdminEmailHandler()
        handler.setLevel(logging.ERROR)
        monkeypatch.setattr(logging, "raiseExceptions", False)
        root.addHandler(handler)
        try:
            assert site.backend(fail_silently=True).send_messages(mails("bob@example.org")) == 0
            assert len(server.connections) == 2
            assert site.backend(fail_silently=True).open() is None
            assert len(server.connections) == 4
        finally:
            root.removeHandler(handler)


def test_a_lost_server_is_named_though_addresses_are_not(site: Site, records: Records) -> None:
    """Without addresses the record still says what kind of failure it was, and where."""
    with Inbox() as gone:
        site.use(gone, log_addresses="masked")
    site.backend(fail_silently=True).send_messages(mails("bob@example.org"))
    [(_, record)] = records()
    assert record.getMessage().endswith("SMTPConnectionRefused at CONNECT")
