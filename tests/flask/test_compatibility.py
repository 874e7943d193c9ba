"""A program moves from Flask-Mail by changing its import: the same names, signatures and behaviour."""

import inspect
from typing import Any

import pytest
from flask import Flask

import mailbridge_flask
from mailbridge import Secret, SMTPInputError
from mailbridge.testing import Inbox
from mailbridge_flask import Mail, Message
from tests.flask.apps import app_for

# What Flask-Mail 0.10 documents, written down from its manual.
SIGNATURES = {
    "Mail": "app=None",
    "Mail.connect": "self",
    "Mail.init_app": "self, app",
    "Mail.record_messages": "self",
    "Mail.send": "self, message",
    "Mail.send_message": "self, *args, **kwargs",
    "Connection": "mail",
    "Connection.send": "self, message, envelope_from=None",
    "Connection.send_message": "self, *args, **kwargs",
    "Attachment": "filename=None, content_type=None, data=None, disposition=None, headers=None",
    "Message": "subject='', recipients=None, body=None, html=None, alts=None, sender=None, cc=None, bcc=None, "
    "attachments=None, reply_to=None, date=None, charset=None, extra_headers=None, mail_options=None, "
    "rcpt_options=None",
    "Message.add_recipient": "self, recipient",
    "Message.as_bytes": "self",
    "Message.as_string": "self",
    "Message.attach": "self, filename=None, content_type=None, data=None, disposition=None, headers=None",
    "Message.has_bad_headers": "self",
    "Message.send": "self, connection",
    "sanitize_address": "addr, encoding='utf-8'",
    "sanitize_addresses": "addresses, encoding='utf-8'",
    "sanitize_subject": "subject, encoding='utf-8'",
}
STATE = ["server", "port", "username", "password", "use_tls", "use_ssl", "default_sender", "debug", "max_emails"]
STATE += ["suppress", "ascii_attachments", "connect", "send", "send_message", "record_messages"]
MESSAGE = ["subject", "recipients", "body", "html", "alts", "sender", "cc", "bcc", "attachments", "reply_to", "date"]
MESSAGE += ["charset", "extra_headers", "mail_options", "rcpt_options", "msgId", "send_to"]


def spelled(name: str) -> str:
    """The parameters of something public, without their types."""
    found: Any = mailbridge_flask
    for part in name.split("."):
        found = getattr(found, part)
    bare = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in inspect.signature(found).parameters.values()
    ]
    return ", ".join(map(str, bare))


@pytest.mark.parametrize(("name", "expected"), SIGNATURES.items())
def test_a_signature(name: str, expected: str) -> None:
    """The same parameters in the same order with the same defaults."""
    assert spelled(name) == expected


def test_the_attributes(app: Flask, mail: Mail) -> None:
    """State and message have the attributes that programs read."""
    message = Message("Hello")

    assert [name for name in STATE if not hasattr(app.extensions["mail"], name)] == []
    assert [name for name in MESSAGE if not hasattr(message, name)] == []


def test_a_program_of_flask_mails(inbox: Inbox) -> None:
    """What Flask-Mail's manual shows does here what it says there."""
    app = app_for(inbox, MAIL_DEFAULT_SENDER=("Me", "me@example.com"))
    mail = Mail(app)
    with app.app_context():
        message = Message("Hello", sender=("Me", "me@example.com"), recipients=["to@example.com"])
        assert message.sender == "Me <me@example.com>"
        assert Message("Hello").sender == "Me <me@example.com>"
        message.add_recipient("somebodyelse@example.com")
        message.body = "testing"
        message.html = "<b>testing</b>"
        message.attach("image.png", "image/png", b"octets")
        assert message.send_to == {"to@example.com", "somebodyelse@example.com"}
        mail.send(message)
        with mail.connect() as connection:
            connection.send(Message(recipients=["a@example.com"], body="...", subject="hello, a"))
            connection.send(Message(recipients=["b@example.com"], body="...", subject="hello, b"))
            assert connection.num_emails == 2

    assert [received.recipients for received in inbox.messages] == [
        ("to@example.com", "somebodyelse@example.com"),
        ("a@example.com",),
        ("b@example.com",),
    ]


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("default_sender", "desk@example.com", "desk@example.com"),
        ("default_sender", None, None),
        ("max_emails", "2", 2),
        ("server", "mail.example.com", "mail.example.com"),
        ("port", 2525, 2525),
        ("debug", 1, True),
        ("username", "shop", "shop"),
        ("password", "s3cret-horse", Secret("s3cret-horse")),
        ("ascii_attachments", True, True),
        ("suppress", True, True),
        ("suppress", "False", False),
    ],
)
def test_a_setting_of_the_state(app: Flask, mail: Mail, name: str, value: object, found: object) -> None:
    """What programs set on `app.extensions["mail"]` is read like its key, and seen through `Mail` as well."""
    setattr(app.extensions["mail"], name, value)

    assert getattr(mail, name) == found


def test_a_sender_set_on_the_state(app: Flask, mail: Mail, inbox: Inbox) -> None:
    """The next message is from it."""
    app.extensions["mail"].default_sender = ("Desk", "desk@example.com")
    mail.send_message("Hello", ["ann@example.org"], "Hello!")

    assert inbox.messages[0].message["From"] == "Desk <desk@example.com>"


def test_a_wrong_setting_of_the_state(app: Flask, mail: Mail) -> None:
    """A value is checked, and a name that is none is refused."""
    with pytest.raises(SMTPInputError, match="MAIL_PORT='smtp'"):
        app.extensions["mail"].port = "smtp"
    with pytest.raises(AttributeError, match="no mail setting 'sever'"):
        app.extensions["mail"].sever = "mail.example.com"


@pytest.mark.parametrize(("recipients", "sender"), [([], "me@example.com"), (["ann@example.org"], None)])
def test_a_message_to_or_from_nobody(
    app: Flask, mail: Mail, recipients: list[str | tuple[str, str]], sender: str | None
) -> None:
    """It is an AssertionError, which Flask-Mail's users catch, and one of ours."""
    app.extensions["mail"].default_sender = None
    message = Message("Hello", recipients, "Hello!", sender=sender)
    for kind in (AssertionError, SMTPInputError):
        with pytest.raises(kind, match="the message has no"):
            mail.send(message)


def test_the_app_of_a_mail() -> None:
    """`Mail.app` is None until there is one."""
    mail, app = Mail(), Flask("shop")
    assert mail.app is None
    mail.init_app(app)

    assert mail.app is app


def test_the_old_name_of_has_bad_headers() -> None:
    """Programs still call `is_bad_headers`."""
    assert Message("Hello\nBcc: x", sender="me@example.com").is_bad_headers()


def test_a_callers_list_stays_the_callers() -> None:
    """`add_recipient` adds to the message alone; Flask-Mail adds to the list that it was given."""
    team = ["ann@example.org"]
    Message("Hello", team, sender="me@example.com").add_recipient("bob@example.org")

    assert team == ["ann@example.org"]


@pytest.mark.parametrize(
    ("subject", "bad"),
    [
        ("", False),
        ("one line", False),
        ("two\r\n lines", False),
        ("two\r\n\tlines", False),
        ("two\r\nlines", True),
        ("ends\r\n", True),
        ("ends\r\n ", True),
        ("lone\n line", True),
        ("\r\n begins", True),
    ],
)
def test_a_folded_subject(subject: str, bad: bool) -> None:
    """A subject may go on in lines that begin with white space, as in Flask-Mail."""
    assert Message(subject, sender="me@example.com").has_bad_headers() is bad


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("ann@example.org", "ann@example.org"),
        ("Ann <ann@example.org>", "Ann <ann@example.org>"),
        ('"Doe, Ann" <ann@example.org>', '"Doe, Ann" <ann@example.org>'),
        (("Doe, Ann", "ann@example.org"), '"Doe, Ann" <ann@example.org>'),
        (('Ann "A"', "ann@example.org"), r'"Ann \"A\"" <ann@example.org>'),
        (("Änn", "ann@exämple.org"), "=?utf-8?q?=C3=84nn?= <ann@xn--exmple-cua.org>"),
        (("", "ann@example.org"), "ann@example.org"),
    ],
)
def test_sanitize_address(address: str | tuple[str, str], expected: str) -> None:
    """A mailbox in ASCII, quoted or encoded where it must be; reading it again gives the same."""
    assert mailbridge_flask.sanitize_address(address) == expected
    assert mailbridge_flask.sanitize_addresses([address, address]) == [expected, expected]


def test_sanitize_subject() -> None:
    """ASCII stays as it is; the rest is encoded, in UTF-8 where the charset does not hold it."""
    assert mailbridge_flask.sanitize_subject("Hello") == "Hello"
    assert mailbridge_flask.sanitize_subject("Grüße", "iso-8859-1") == "=?iso-8859-1?q?Gr=FC=DFe?="
    assert mailbridge_flask.sanitize_subject("東京", "iso-8859-1").startswith("=?utf-8?")


def test_force_text() -> None:
    """Octets are decoded, anything else is asked for its text."""
    assert mailbridge_flask.force_text("ü".encode()) == mailbridge_flask.force_text("ü") == "ü"
    assert mailbridge_flask.force_text(42) == "42"
    with pytest.raises(UnicodeDecodeError):
        mailbridge_flask.force_text(b"\xff")
