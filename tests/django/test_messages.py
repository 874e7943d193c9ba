"""What goes onto the wire for Django's messages: envelope, content, and what never gets so far."""

import email.policy
import time
from email.message import EmailMessage
from typing import Any

import django
import pytest
from django.core import mail
from django.core.management import call_command
from django.utils.functional import lazystr

from mailbridge import SMTPInputError
from mailbridge.testing import Inbox, ScriptedServer
from mailbridge_django.messages import mail_object

from .conftest import Site, mails


@pytest.fixture
def inbox(site: Site) -> Any:
    """An aiosmtpd server that the site sends its mail to."""
    with Inbox() as inbox:
        site.use(inbox)
        yield inbox


def test_send_mail(inbox: Inbox) -> None:
    """The one line that everybody writes, with a text beyond ASCII and an HTML alternative."""
    count = mail.send_mail("Grüße", "Hällo", "ann@example.com", ["bob@example.org"], html_message="<p>Hällo</p>")
    [received] = inbox.messages
    assert (count, received.sender, received.recipients) == (1, "ann@example.com", ("bob@example.org",))
    assert received.message["Subject"] == "Grüße"
    bodies = [part.get_content().strip() for part in received.message.iter_parts()]
    assert bodies == ["Hällo", "<p>Hällo</p>"]


def test_send_mass_mail(inbox: Inbox) -> None:
    """Several messages in one call."""
    one = ("Hello", "Text", "ann@example.com", ["bob@example.org", "eve@example.org"])
    assert mail.send_mass_mail([one, one, one]) == 3
    assert [m.recipients for m in inbox.messages] == [("bob@example.org", "eve@example.org")] * 3


def test_mail_admins(inbox: Inbox) -> None:
    """From SERVER_EMAIL, which has no dots in its domain by default."""
    mail.mail_admins("Alarm", "Text")
    assert [(m.sender, m.recipients) for m in inbox.messages] == [("root@localhost", ("root@example.com",))]


def test_sendtestemail(inbox: Inbox) -> None:
    """Django's own command for the purpose."""
    call_command("sendtestemail", "bob@example.org", "--admins")
    assert [m.recipients[0] for m in inbox.messages] == ["bob@example.org", "root@example.com"]


def test_alternatives_and_attachments(inbox: Inbox) -> None:
    """Attachments of text, octets and a message arrive octet for octet."""
    message = mail.EmailMultiAlternatives("Hello", "Text", "ann@example.com", ["bob@example.org"])
    message.attach_alternative("<p>Text</p>", "text/html")
    message.attach("naïve.txt", "line\n.\nFrom me\n", "text/plain")
    message.attach("octets.bin", bytes(range(256)) * 500, "application/octet-stream")
    message.attach("mail.eml", mail.EmailMessage("Inner", "Inside"), "message/rfc822")
    message.send()

    [received] = inbox.messages
    text, octets, inner = received.message.iter_attachments()
    assert (text.get_filename(), text.get_content().splitlines()) == ("naïve.txt", ["line", ".", "From me"])
    assert octets.get_content() == bytes(range(256)) * 500
    assert isinstance(inner.get_content(), EmailMessage)
    assert inner.get_content()["Subject"] == "Inner"


def test_bcc_is_nowhere_in_the_content(inbox: Inbox) -> None:
    """A hidden recipient gets the mail and is named nowhere in it (WIRE.md S22)."""
    mail.EmailMessage("Hello", "Text", "ann@example.com", ["bob@example.org"], bcc=["eve@example.org"]).send()
    [received] = inbox.messages
    assert received.recipients == ("bob@example.org", "eve@example.org")
    assert b"eve@" not in received.content


@pytest.mark.skipif(django.VERSION >= (6, 0), reason="Django itself refuses the header from 6.0 on")
def test_a_bcc_header_never_leaves(inbox: Inbox) -> None:
    """Django 5.2 would write a Bcc among `headers` into the content; it does not leave."""
    mail.EmailMessage("Hello", "Text", None, ["bob@example.org"], headers={"Bcc": "eve@example.org"}).send()
    assert b"eve@" not in inbox.messages[0].content


def test_the_envelope_is_not_the_header(inbox: Inbox) -> None:
    """A From and a To among `headers` are shown; mail goes from `from_email` to `recipients()`."""
    headers = {"From": "shown@example.com", "To": "list@example.org", "Sender": "desk@example.com"}
    mail.EmailMessage("Hello", "Text", "bounce@example.com", ["bob@example.org"], headers=headers).send()
    [received] = inbox.messages
    assert (received.sender, received.recipients) == ("bounce@example.com", ("bob@example.org",))
    assert (received.message["From"], received.message["To"]) == ("shown@example.com", "list@example.org")


@pytest.mark.parametrize(
    ("from_email", "sender"),
    [
        ("ann@example.com", "ann@example.com"),
        ("Ann <ann@example.com>", "ann@example.com"),
        ('"Doe, Ann" <ann@example.com>', "ann@example.com"),
        ("Änn <ann@example.com>", "ann@example.com"),
        (lazystr("ann@example.com"), "ann@example.com"),
        ('"ann doe"@example.com', '"ann doe"@example.com'),
        ("ann@faß.de", "ann@xn--fa-hia.de"),
        ("webmaster@localhost", "webmaster@localhost"),
    ],
)
def test_from_email(site: Site, server: ScriptedServer, from_email: Any, sender: str) -> None:
    """Whatever Django takes, the reverse-path is the address alone, its domain in IDNA 2008."""
    site.backend().send_messages([mail.EmailMessage("Hello", "Text", from_email, ["bob@example.org"])])
    assert [m.sender for m in server.messages] == [sender]


def test_a_domain_is_the_same_in_header_and_envelope(site: Site, server: ScriptedServer) -> None:
    """IDNA 2008 in both; IDNA 2003, which Django writes, would name another domain."""
    site.backend().send_messages([mail.EmailMessage("Hello", "Text", "ann@faß.de", ["bob@straße.de"])])
    [message] = server.messages
    assert message.recipients == ("bob@xn--strae-oqa.de",)
    assert b"\r\nFrom: ann@xn--fa-hia.de\r\nTo: bob@xn--strae-oqa.de\r\n" in message.content


def test_the_null_sender(site: Site, server: ScriptedServer) -> None:
    """It is written "<>"; a From among `headers` says who writes."""
    message = mail.EmailMessage("Hello", "Text", "<>", ["bob@example.org"], headers={"From": "ann@example.com"})
    assert site.backend().send_messages([message]) == 1
    assert [m.sender for m in server.messages] == [""]


def spoil(message: mail.EmailMessage, **attributes: Any) -> mail.EmailMessage:
    for name, value in attributes.items():
        setattr(message, name, value)
    return message


UNFIT: dict[str, dict[str, Any]] = {
    "subject with a line end": {"subject": "Hello\nBcc: eve@example.org"},
    "header with a line end": {"extra_headers": {"X-Name": "a\r\nBcc: eve@example.org"}},
    "header's name with a line end": {"extra_headers": {"X-Name\r\nBcc": "eve@example.org"}},
    "from_email with a line end": {"from_email": "ann@example.com\r\nRCPT TO:<eve@example.org>"},
    "recipient with a line end": {"to": ["bob@example.org\r\nDATA"]},
    "recipient in reply_to with a line end": {"reply_to": ["bob@example.org\nBcc: eve@example.org"]},
    "two recipients in one string": {"to": ["bob@example.org, eve@example.org"]},
    "no address": {"to": ["bob at example.org"]},
    "no address in cc": {"cc": ["eve at example.org"]},
    "no address in bcc": {"bcc": ["eve at example.org"]},
    "bcc with a line end": {"bcc": ["eve@example.org\r\nDATA"]},
    "no address in reply_to": {"reply_to": ["eve at example.org"]},
    "half an address in reply_to": {"reply_to": ["eve@"]},
    "no address in a header": {"extra_headers": {"Reply-To": "eve at example.org"}},
    "no address in another sender": {"extra_headers": {"Sender": "eve"}},
    "no address in from_email": {"from_email": "ann at example.com"},
    "no sender": {"from_email": ""},
    "an attachment of nothing": {"attachments": [("a.txt", None, "text/plain")]},
    "an unknown charset": {"encoding": "klingon-1"},
}


@pytest.mark.parametrize("fail_silently", [False, True], ids=["raising", "silent"])
@pytest.mark.parametrize("wrong", UNFIT.values(), ids=UNFIT)
def test_a_message_that_cannot_be_sent(
    wrong: dict[str, Any],
    fail_silently: bool,
    site: Site,
    server: ScriptedServer,
    heard: list[tuple[str, dict[str, Any]]],
) -> None:
    """It fails alone, before a byte of it is sent; the next message goes out."""
    [bad, good] = mails("bob@example.org", "tom@example.org")
    spoil(bad, **wrong)
    if fail_silently:
        assert site.backend(fail_silently=True).send_messages([bad, good]) == 1
    else:
        with pytest.raises((AttributeError, LookupError, TypeError, ValueError)) as caught:
            site.backend().send_messages([bad, good])
        assert [receipt.delivered for receipt in caught.value.receipts] == [False, True]

    assert [m.recipients for m in server.messages] == [("tom@example.org",)]
    assert not any(b"bob@" in line for line in server.lines)
    assert bad.mailbridge_receipt.not_sent
    assert [name for name, _ in heard] == ["message_failed", "message_sent"]


@pytest.mark.parametrize(
    "text", ["(" * 50_000, '"' * 50_000, "\\" * 50_000, "ann@[example.com"], ids=["(", "quote", "backslash", "["]
)
@pytest.mark.parametrize("field", ["from_email", "to", "cc", "bcc", "reply_to", "Reply-To"])
def test_an_address_that_the_standard_parser_cannot_bear(
    text: str, field: str, site: Site, server: ScriptedServer
) -> None:
    """It is refused before Django renders it, at once, and as an error of ours (WIRE.md S11)."""
    [message] = mails("bob@example.org")
    if field == "Reply-To":
        message.extra_headers[field] = text.ljust(1_001, "[")
    elif field == "reply_to":
        message.reply_to = [text.ljust(1_001, "[")]
    else:
        spoil(message, **{field: text if field == "from_email" else [text]})
    begun = time.thread_time()
    with pytest.raises(SMTPInputError):
        site.backend().send_messages([message])
    assert time.thread_time() - begun < 0.05
    assert server.connections == []


@pytest.mark.parametrize("failure", [RuntimeError, FileNotFoundError, StopIteration])
def test_a_message_whose_own_code_fails(
    failure: type[Exception], site: Site, server: ScriptedServer, heard: list[tuple[str, dict[str, Any]]]
) -> None:
    """Whatever `message()` raises, the next message goes out, and the failure is raised at the end."""

    class Broken(mail.EmailMessage):
        def message(self, **_: Any) -> EmailMessage:
            raise failure("the template")

    batch = [Broken("Hello", "Text", "ann@example.com", ["bob@example.org"]), *mails("tom@example.org")]
    with pytest.raises(failure, match="the template") as caught:
        site.backend().send_messages(batch)
    assert caught.value.receipts == tuple(m.mailbridge_receipt for m in batch)
    assert [m.recipients for m in server.messages] == [("tom@example.org",)]
    assert [name for name, _ in heard] == ["message_failed", "message_sent"]


def test_an_interruption_while_a_message_is_built(site: Site, server: ScriptedServer) -> None:
    """Ctrl-C is nobody's failed message: it ends the batch."""

    class Slow(mail.EmailMessage):
        def message(self, **_: Any) -> EmailMessage:
            raise KeyboardInterrupt

    batch = [Slow("Hello", "Text", "ann@example.com", ["bob@example.org"]), *mails("tom@example.org")]
    with pytest.raises(KeyboardInterrupt):
        site.backend(fail_silently=True).send_messages(batch)
    assert server.messages == []


def test_recipients_that_nobody_can_read(
    site: Site, server: ScriptedServer, heard: list[tuple[str, dict[str, Any]]]
) -> None:
    """A `to` that became a string spoils its own message only; its receipt has the error and names nobody."""
    [first, bad, last] = batch = mails("a@example.org", "bob@example.org", "b@example.org")
    spoil(bad, to="bob@example.org")
    with pytest.raises(TypeError):
        site.backend().send_messages(batch)

    assert (first.mailbridge_receipt.delivered, last.mailbridge_receipt.delivered) == (True, True)
    assert isinstance(bad.mailbridge_receipt.error, TypeError)
    assert [name for name, _ in heard] == ["message_sent", "message_failed", "message_sent"]


def test_a_message_with_a_content_of_its_own(site: Site, server: ScriptedServer) -> None:
    """A program that overrides `message()` decides what is sent."""

    class Ready(mail.EmailMessage):
        def message(self, **_: Any) -> EmailMessage:
            ready = EmailMessage(policy=email.policy.default)
            ready["From"] = "ready@example.com"
            ready.set_content("ready")
            return ready

    site.backend().send_messages([Ready("Hello", "Text", "ann@example.com", ["bob@example.org"])])
    assert b"From: ready@example.com" in server.messages[0].content


@pytest.mark.skipif(django.VERSION < (6, 0), reason="before 6.0 Django takes no policy")
def test_a_class_of_fields_is_made_once() -> None:
    """And a field that recurs is parsed once: both would take longer than all the rest of rendering."""
    fixed = {"Date": "Sat, 1 Aug 2026 10:00:00 +0000", "Message-ID": "<1@example.com>", "X-Other": "a"}
    message = mail.EmailMessage("Grüße", "Text", "Ann <ann@example.com>", ["bob@straße.example"], headers=fixed)
    first, second = (rendered.content for _ in range(2) if (rendered := mail_object(message)))

    assert isinstance(first, EmailMessage)
    assert isinstance(second, EmailMessage)
    assert [type(value) for value in first.values()] == [type(value) for value in second.values()]
    assert first["From"] is second["From"]
    assert first.as_bytes() == message.message(policy=email.policy.SMTPUTF8).as_bytes()
