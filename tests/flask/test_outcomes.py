"""What became of a message: receipt, record, signals and error, by the table of DESIGN.md."""

import logging
import os
import signal
import smtplib
import threading

import pytest
from flask import Flask

from mailbridge import SMTPConnectionRefused, SMTPOutcomeUnknown, SMTPRecipientsRefused, SMTPSenderRefused
from mailbridge.testing import Inbox, ScriptedServer
from mailbridge_flask import Mail, Message, email_dispatched, recipients_refused
from tests.flask.apps import MailFor, heard


def letter(*recipients: str) -> Message:
    return Message("Hello", recipients=list(recipients), body="Hello!", sender="shop@example.com")


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="mailbridge")
    return caplog


def levels(records: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.name, record.levelname) for record in records.records if record.name.startswith("mailbridge")]


def test_all_accepted(app: Flask, mail: Mail, inbox: Inbox, records: pytest.LogCaptureFixture) -> None:
    """Everybody got it: a receipt, one INFO record, and email_dispatched from the real app."""
    message = letter("ann@example.org", "bob@example.org")
    with heard() as calls:
        receipt = mail.send(message)

    assert receipt is not None
    assert receipt.complete
    assert message.mailbridge_receipt is receipt
    assert calls == [("email-dispatched", app, {"message": message})]
    assert levels(records) == [("mailbridge.flask", "INFO")]
    assert inbox.messages[0].recipients == ("ann@example.org", "bob@example.org")


def test_a_recipient_is_refused(app: Flask, mail: Mail, inbox: Inbox, records: pytest.LogCaptureFixture) -> None:
    """One was refused for good, one for now: nothing is raised, and the refusal is in receipt, signal and record."""
    inbox.refuse("bob@example.org")
    inbox.defer("cy@example.org")
    message = letter("ann@example.org", "bob@example.org", "cy@example.org")
    with heard() as calls:
        receipt = mail.send(message)

    assert receipt is not None
    assert list(receipt.accepted) == ["ann@example.org"]
    assert str(receipt.rejected["bob@example.org"].enhanced) == "5.1.1"
    assert receipt.deferred["cy@example.org"].code == 451
    facts = {"message": message, "receipt": receipt, "refused": receipt.refused}
    assert calls == [("email-dispatched", app, {"message": message}), ("recipients-refused", app, facts)]
    assert levels(records) == [("mailbridge.flask", "WARNING")]


def test_the_record_has_fields_for_machines(mail: Mail, inbox: Inbox, records: pytest.LogCaptureFixture) -> None:
    """The app's name and each refusal with its codes are `extra` fields of the record."""
    inbox.refuse("bob@example.org")
    mail.send(letter("ann@example.org", "bob@example.org"))

    fields = records.records[-1].__dict__
    assert (fields["app"], fields["accepted"]) == ("shop", ["ann@example.org"])
    assert [(one["recipient"], one["code"], one["enhanced"]) for one in fields["refused"]] == [
        ("bob@example.org", 550, "5.1.1")
    ]


def test_all_refused(mail: Mail, inbox: Inbox, records: pytest.LogCaptureFixture) -> None:
    """Nobody accepted it: record and signals come first, then the error with its receipt."""
    inbox.refuse("bob@example.org")
    with heard() as calls, pytest.raises(SMTPRecipientsRefused) as caught:
        mail.send(letter("bob@example.org"))

    assert caught.value.receipt is not None
    assert list(caught.value.receipt.rejected) == ["bob@example.org"]
    assert [name for name, _, _ in calls] == ["recipients-refused", "message-failed"]
    assert levels(records) == [("mailbridge.flask", "ERROR")]


def test_the_standard_exception_still_catches(mail: Mail, inbox: Inbox) -> None:
    """A program that was written for Flask-Mail catches the standard library's error."""
    inbox.refuse("bob@example.org")
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        mail.send(letter("bob@example.org"))


def test_the_sender_is_refused(server: ScriptedServer, mail_for: MailFor) -> None:
    """A refused sender is a refusal of every recipient."""
    server.refuse_sender("shop@example.com")
    mail = mail_for(server)
    with heard() as calls, pytest.raises(SMTPSenderRefused):
        mail.send(letter("ann@example.org"))

    assert [name for name, _, _ in calls] == ["recipients-refused", "message-failed"]
    assert list(calls[0][2]["refused"]) == ["ann@example.org"]


def test_the_outcome_is_unknown(server: ScriptedServer, mail_for: MailFor) -> None:
    """The connection ends in place of the last reply: outcome_unknown, no other signal, and nothing is sent again."""
    server.cut_before("CONTENT", times=None)
    mail = mail_for(server)
    with heard() as calls, pytest.raises(SMTPOutcomeUnknown):
        mail.send(letter("ann@example.org"))

    assert [name for name, _, _ in calls] == ["outcome-unknown"]
    assert list(calls[0][2]["receipt"].unknown) == ["ann@example.org"]
    assert len(server.messages) == 1


class Untranslated:
    """A lazy text whose translation fails."""

    def __str__(self) -> str:
        raise KeyError("greeting")


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("date", "x", TypeError),
        ("subject", b"\xff", UnicodeDecodeError),
        ("subject", Untranslated(), KeyError),
        ("body", Untranslated(), KeyError),
        ("extra_headers", {"X-Shop": Untranslated()}, KeyError),
    ],
)
def test_a_message_that_cannot_be_built(
    mail: Mail, records: pytest.LogCaptureFixture, name: str, value: object, error: type[Exception]
) -> None:
    """Whatever a value raises reaches the caller, behind receipt, record and signal."""
    message = letter("ann@example.org")
    setattr(message, name, value)
    with heard() as calls, pytest.raises(error) as caught:
        mail.send(message)

    assert message.mailbridge_receipt is not None
    assert message.mailbridge_receipt.error is caught.value
    assert list(message.mailbridge_receipt.not_sent) == ["ann@example.org"]
    assert [name for name, _, _ in calls] == ["message-failed"]
    assert levels(records) == [("mailbridge.flask", "ERROR")]


def test_a_recipient_that_cannot_be_read(mail: Mail, records: pytest.LogCaptureFixture) -> None:
    """Where the addresses themselves raise, the receipt names nobody, and is there."""
    message = letter()
    message.recipients = [Untranslated()]  # type: ignore[list-item]  # the mistake that is tested
    with heard() as calls, pytest.raises(KeyError):
        mail.send(message)

    assert message.mailbridge_receipt is not None
    assert [name for name, _, _ in calls] == ["message-failed"]


def test_an_interruption_while_building_passes(mail: Mail, records: pytest.LogCaptureFixture) -> None:
    """Ctrl-C in a lazy text is nobody's outcome."""

    class Slow:
        def __str__(self) -> str:
            raise KeyboardInterrupt

    message = letter("ann@example.org")
    message.body = Slow()  # type: ignore[assignment]  # as Flask-Babel's lazy texts
    with heard() as calls, pytest.raises(KeyboardInterrupt):
        mail.send(message)

    assert calls == []
    assert levels(records) == []


def test_nobody_listens(server: ScriptedServer, records: pytest.LogCaptureFixture, mail_for: MailFor) -> None:
    """A server that is not there: message_failed, an ERROR record, every recipient not sent."""
    mail = mail_for(server)
    server.close()
    with heard() as calls, pytest.raises(SMTPConnectionRefused) as caught:
        mail.send(letter("ann@example.org"))

    assert [name for name, _, _ in calls] == ["message-failed"]
    assert levels(records) == [("mailbridge.flask", "ERROR")]
    assert caught.value.receipt is not None
    assert list(caught.value.receipt.not_sent) == ["ann@example.org"]


def test_a_failing_receiver_changes_nothing(mail: Mail, inbox: Inbox, records: pytest.LogCaptureFixture) -> None:
    """S19: a receiver that raises is logged; the next one is called and the receipt stands."""

    def fail(app: Flask, **values: object) -> None:
        raise RuntimeError("the receiver's own trouble")

    inbox.refuse("bob@example.org")
    with recipients_refused.connected_to(fail), email_dispatched.connected_to(fail), heard() as calls:
        receipt = mail.send(letter("ann@example.org", "bob@example.org"))

    assert receipt is not None
    assert list(receipt.accepted) == ["ann@example.org"]
    assert [name for name, _, _ in calls] == ["email-dispatched", "recipients-refused"]
    failures = [record for record in records.records if record.exc_info]
    assert [record.getMessage() for record in failures] == [
        "a receiver of email-dispatched failed",
        "a receiver of recipients-refused failed",
    ]


def test_a_log_handler_that_sends_mail_ends(mail: Mail, inbox: Inbox) -> None:
    """A handler that mails the failure of a receiver does not call that receiver again, and again."""

    def fail(app: Flask, **values: object) -> None:
        raise RuntimeError("the receiver's own trouble")

    class ByMail(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            mail.send(letter("admin@example.com"))

    handler = ByMail(level=logging.ERROR)
    logging.getLogger("mailbridge.flask").addHandler(handler)
    try:
        with email_dispatched.connected_to(fail):
            mail.send(letter("ann@example.org"))
    finally:
        logging.getLogger("mailbridge.flask").removeHandler(handler)

    assert [message.recipients for message in inbox.messages] == [("ann@example.org",), ("admin@example.com",)]


@pytest.mark.parametrize("base", [Exception, BaseException])
def test_an_interruption_is_logged(
    server: ScriptedServer, mail_for: MailFor, records: pytest.LogCaptureFixture, base: type[BaseException]
) -> None:
    """A soft time limit in the middle of a send passes on; record and signal say what became of the message."""

    class SoftLimitError(base):  # type: ignore[misc,valid-type]  # Celery's is an Exception, gevent's is none
        pass

    def interrupt(*_: object) -> None:
        raise SoftLimitError

    def when_the_server_waits() -> None:
        server.wait_for(lambda: [line for line in server.lines if line.startswith(b"MAIL")])
        os.kill(os.getpid(), signal.SIGUSR1)

    server.answer("MAIL", b"")
    before = signal.signal(signal.SIGUSR1, interrupt)
    message, watch = letter("ann@example.org"), threading.Thread(target=when_the_server_waits)
    try:
        watch.start()
        with heard() as calls, pytest.raises(SoftLimitError):
            mail_for(server).send(message)
    finally:
        watch.join()
        signal.signal(signal.SIGUSR1, before)

    assert [name for name, _, _ in calls] == ["message-failed"]
    assert message.mailbridge_receipt is not None
    assert list(message.mailbridge_receipt.not_sent) == ["ann@example.org"]
    assert levels(records) == [("mailbridge.flask", "ERROR")]


def test_a_muted_signal_is_not_heard(mail: Mail) -> None:
    """blinker's own switch for tests works."""
    with heard() as calls, email_dispatched.muted():
        mail.send(letter("ann@example.org"))

    assert calls == []
