"""What must not get out: header fields, commands and recipients that nobody wrote (WIRE.md S5, S6, S9, S10, S22)."""

from typing import Any

import pytest

from mailbridge.testing import ScriptedServer
from mailbridge_flask import Attachment, BadHeaderError, Message
from tests.flask.apps import MailFor, heard

ANN = "ann@example.org"


def letter(**values: Any) -> Message:
    return Message(**({"subject": "Hello", "recipients": [ANN], "body": "Hello!"} | values))


@pytest.mark.parametrize(
    "values",
    [
        {"subject": "x\r\nBcc: eve@example.org"},
        {"subject": "x\n\nbody"},
        {"subject": "x\r\n \r\nbody"},
        {"subject": "x\r"},
        {"subject": "x\0"},
        {"sender": "shop@example.com\r\nBcc: eve@example.org"},
        {"sender": ("Shop\nBcc: eve@example.org", "shop@example.com")},
        {"reply_to": "shop@example.com\nX: y"},
        {"recipients": ["ann@example.org\n"]},
        {"cc": [("Ann\r\nBcc: eve@example.org", ANN)]},
        {"bcc": ["ann@example.org\r\nRCPT TO:<eve@example.org>"]},
        {"extra_headers": {"X-Shop": "1\r\nBcc: eve@example.org"}},
        {"extra_headers": {"X-Shop: 1\r\nBcc": "eve@example.org"}},
        {"attachments": [Attachment("a.txt\r\nBcc: eve@example.org", "text/plain", "x")]},
        {"attachments": [Attachment("a.txt", "text/plain", "x", "inline\r\nX: y")]},
        {"attachments": [Attachment("a.txt", "text/plain", "x", headers={"X": "1\nBcc: eve@example.org"})]},
    ],
    ids=lambda values: next(iter(values)),
)
def test_s9_a_line_end_in_a_header(server: ScriptedServer, mail_for: MailFor, values: dict[str, Any]) -> None:
    """S9: BadHeaderError, told to the receivers, and nothing was sent."""
    message = letter(**values)
    assert message.has_bad_headers()
    with heard() as calls, pytest.raises(BadHeaderError):
        mail_for(server).send(message)

    assert [name for name, _, _ in calls] == ["message-failed"]
    assert server.connections == []


@pytest.mark.parametrize(
    "address",
    [
        "a@x\x0b",
        "a@x\u2028RCPT",
        "b@x> NOTIFY=NEVER",
        "b@x>,<c@y",
        "b@x, c@y",
        "alice@ok)Roger(<bob@evil>",
        "Ann ann@example.org",
        "",
        ("Ann", "b@x> NOTIFY=NEVER"),
        ("Ann\x0b", "b@x"),
        ("Ann",),
        ["Ann", "b@x"],
        42,
    ],
    ids=repr,
)
@pytest.mark.parametrize("field", ["recipients", "cc", "bcc"])
def test_s5_s6_an_address_that_is_none(server: ScriptedServer, mail_for: MailFor, field: str, address: Any) -> None:
    """S5, S6, S10: ValueError with a receipt in which nobody was sent anything, and nothing was."""
    message = letter(**{field: [address]})
    with pytest.raises(ValueError, match=r"address|name|string"):
        mail_for(server).send(message)

    assert message.mailbridge_receipt is not None
    assert len(message.mailbridge_receipt.not_sent) == len(message.mailbridge_receipt.results)
    assert server.connections == []


@pytest.mark.parametrize("field", ["sender", "reply_to"])
def test_s6_a_sender_that_is_none(server: ScriptedServer, mail_for: MailFor, field: str) -> None:
    """S6: the same for who writes, and for who gets the answers."""
    with pytest.raises(ValueError, match="not an address"):
        mail_for(server).send(letter(**{field: "b@x> SIZE=1"}))

    assert server.connections == []


@pytest.mark.parametrize("name", ["From", "Sender", "Reply-To", "To", "Cc"])
def test_s6_a_header_field_whose_address_is_none(server: ScriptedServer, mail_for: MailFor, name: str) -> None:
    """S6: nor does one go out in a field that the program writes itself."""
    with pytest.raises(ValueError, match=f"extra_headers: {name}: 'eve@' is not an address"):
        mail_for(server).send(letter(extra_headers={name: "bob@example.org,eve@"}))

    assert server.connections == []


def test_a_sender_that_is_no_text() -> None:
    """It is no address, whatever the program meant by it."""
    with pytest.raises(ValueError, match="not 42"):
        letter(sender=42)


def test_s10_header_and_envelope_agree(server: ScriptedServer, mail_for: MailFor) -> None:
    """S10: a quoted local part stays quoted; the mail goes where the header says."""
    mail_for(server).send(letter(recipients=['"eve@evil x"@ok.example']))

    assert server.messages[0].recipients == ('"eve@evil x"@ok.example',)
    assert b'To: "eve@evil x"@ok.example\r\n' in server.messages[0].content


@pytest.mark.parametrize("hidden", [{"bcc": ["eve@example.org"]}, {"extra_headers": {"Bcc": "eve@example.org"}}])
def test_s22_bcc_is_never_in_the_content(server: ScriptedServer, mail_for: MailFor, hidden: dict[str, Any]) -> None:
    """S22: who is in Bcc is seen by nobody."""
    message = letter(**hidden)
    mail_for(server).send(message)

    assert b"eve" not in server.messages[0].content
    assert "eve" not in message.as_string()


def test_bcc_gets_the_mail(server: ScriptedServer, mail_for: MailFor) -> None:
    """Everybody in To, Cc and Bcc is in the envelope, once."""
    mail_for(server).send(letter(cc=["cy@example.org"], bcc=["eve@example.org", ANN]))

    assert server.messages[0].recipients == (ANN, "cy@example.org", "eve@example.org")


@pytest.mark.parametrize("field", ["recipients", "cc", "bcc"])
def test_one_string_is_no_list(field: str) -> None:
    """A string in place of a list would be a list of letters."""
    with pytest.raises(ValueError, match=f"{field} is a list of addresses, not one string"):
        letter(**{field: ANN})


def test_one_string_later_is_no_list(server: ScriptedServer, mail_for: MailFor) -> None:
    """The same where it is assigned afterwards; the receivers hear of it."""
    message = letter()
    message.recipients = ANN  # type: ignore[assignment]  # the mistake that is tested
    with heard() as calls, pytest.raises(ValueError, match="not one string"):
        mail_for(server).send(message)

    assert [name for name, _, _ in calls] == ["message-failed"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"recipients": []}, "no recipients"),
        ({"extra_headers": {"Content-Type": "text/html"}}, "Content-Type is what the message says"),
        ({"attachments": [Attachment("a", "pdf", b"x")]}, "'pdf' is not a content type"),
        ({"charset": "klingon"}, "the charset 'klingon'"),
        ({"charset": "kling\u00f6n"}, "is not a charset"),
        ({"charset": "utf-16"}, "cannot carry text in the charset 'utf-16'"),
        ({"charset": "ascii", "body": "Grüße"}, "does not fit the charset 'us-ascii'"),
        ({"mail_options": ["X\nRSET"]}, "mail_options: .* is not known"),
        ({"mail_options": ["MT-PRIORITY=high"]}, "is not what MT-PRIORITY takes"),
        ({"rcpt_options": ["NOTIFY=NEVER SIZE=1"]}, "notify takes"),
    ],
)
def test_a_message_that_cannot_be_sent(
    server: ScriptedServer, mail_for: MailFor, values: dict[str, Any], words: str
) -> None:
    """ValueError in words that name what is wrong, before a byte is sent."""
    with pytest.raises(ValueError, match=words):
        mail_for(server).send(letter(**values))

    assert server.connections == []


def test_a_message_without_a_sender(server: ScriptedServer, mail_for: MailFor) -> None:
    """Neither the message nor MAIL_DEFAULT_SENDER names one."""
    with pytest.raises(ValueError, match="set MAIL_DEFAULT_SENDER"):
        mail_for(server, MAIL_DEFAULT_SENDER=None).send(letter())
