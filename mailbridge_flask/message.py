"""`Message`: a mail as Flask-Mail's users write it, and the mail object that the engine takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from email.message import Message as MIMEMessage
from email.policy import SMTPUTF8
from email.utils import formatdate, make_msgid
from functools import cached_property
from typing import ClassVar, Protocol

from mailbridge import MailObject, Receipt, SMTPException, SMTPInputError, printable
from mailbridge.addresses import parse_list
from mailbridge.header import ADDRESS_FIELDS

from .config import Settings
from .content import Attachment, assembled, charset_name
from .headers import BadHeaderError, MissingError, complaint, unfolded
from .options import mail_options as typed_mail_options
from .options import rcpt_options as typed_rcpt_options
from .sanitize import (
    Mailbox,
    divided,
    encoded,
    force_text,
    sanitize_address,
    sanitize_addresses,
    sanitize_subject,
    spelled,
)

# What the MIME parts say about themselves, and whom nobody may see (WIRE.md S22).
_OURS = {"content-type", "content-transfer-encoding"}
_HIDDEN = {"bcc", "resent-bcc"}


class Sender(Protocol):
    """What a message can be sent by: a `Connection`."""

    def send(self, message: Message) -> Receipt | None:
        """Send it."""


class Message:
    """A mail.

    Args:
        subject: The subject.
        recipients: The addresses of To: each a string, or a name and an address.
        body: The plain text.
        html: The same as HTML.
        alts: Other versions of the text by subtype, such as "html" or "amp".
        sender: Who it is from; MAIL_DEFAULT_SENDER where it is not given.
        cc: The addresses of Cc.
        bcc: Further recipients, whom nobody sees.
        attachments: The files.
        reply_to: Where answers go.
        date: When it was written, in seconds since 1970; the moment of sending where it is not given.
        charset: Of the texts, utf-8 where it is not given.
        extra_headers: Further header fields; one that the message writes itself replaces it.
        mail_options: ESMTP parameters of MAIL, such as "RET=HDRS".
        rcpt_options: ESMTP parameters of each RCPT, such as "NOTIFY=FAILURE".

    Attributes:
        mailbridge_receipt: What became of it, once it was sent; None before, and where sending is suppressed.

    Raises:
        SMTPInputError: One string where a list of addresses belongs.
    """

    # Only extension.py knows the current app. It answers here with the app's settings.
    here: ClassVar[Callable[[], Settings | None]] = staticmethod(lambda: None)

    def __init__(
        self,
        subject: str = "",
        recipients: Iterable[Mailbox] | None = None,
        body: str | None = None,
        html: str | None = None,
        alts: dict[str, str] | Iterable[tuple[str, str]] | None = None,
        sender: Mailbox | None = None,
        cc: Iterable[Mailbox] | None = None,
        bcc: Iterable[Mailbox] | None = None,
        attachments: Iterable[Attachment] | None = None,
        reply_to: Mailbox | None = None,
        date: float | None = None,
        charset: str | None = None,
        extra_headers: dict[str, str] | None = None,
        mail_options: Iterable[str] | None = None,
        rcpt_options: Iterable[str] | None = None,
    ) -> None:
        settings = Message.here()
        default = settings.spelled_sender if settings else None
        self.subject = subject
        self.recipients = _listed("recipients", recipients)
        self.body = body
        self.alts = dict(alts or {})
        if html is not None:
            self.html = html
        self.sender: Mailbox | None = spelled(sender) if sender else default
        # The app's, while nobody said another one: a named mailer puts its own in its place.
        self.default_sender = None if sender else default
        self.cc = _listed("cc", cc)
        self.bcc = _listed("bcc", bcc)
        self.attachments = list(attachments or [])
        self.reply_to = reply_to
        self.date = date
        self.charset = charset
        self.extra_headers = extra_headers
        self.mail_options = list(mail_options or [])
        self.rcpt_options = list(rcpt_options or [])
        self.mailbridge_receipt: Receipt | None = None

    @cached_property
    def msgId(self) -> str:  # noqa: N802 - Flask-Mail's name
        """The Message-ID. It is chosen when it is first asked for: by then the sender is known."""
        return make_msgid(domain=_domain(self.sender))

    @property
    def html(self) -> str | None:
        """The text as HTML, which is also `alts["html"]`."""
        return self.alts.get("html")

    @html.setter
    def html(self, value: str | None) -> None:
        if value is None:
            self.alts.pop("html", None)
        else:
            self.alts["html"] = value

    @property
    def send_to(self) -> set[Mailbox]:
        """Everybody whom it goes to: `recipients`, `cc` and `bcc`."""
        return set(self._everybody())

    def _everybody(self) -> Iterator[Mailbox]:
        for name in ("recipients", "cc", "bcc"):
            yield from _listed(name, getattr(self, name))

    def add_recipient(self, recipient: Mailbox) -> None:
        """Add somebody to `recipients`."""
        self.recipients.append(recipient)

    def attach(
        self,
        filename: str | None = None,
        content_type: str | None = None,
        data: str | bytes | None = None,
        disposition: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Attach a file; see `Attachment`."""
        self.attachments.append(Attachment(filename, content_type, data, disposition, headers))

    def send(self, connection: Sender) -> Receipt | None:
        """Send it over a connection."""
        return connection.send(self)

    def has_bad_headers(self) -> bool:
        """A line end stands where it would begin another header field."""
        return self._complaint() is not None

    def is_bad_headers(self) -> bool:
        """The old name of `has_bad_headers`."""
        return self.has_bad_headers()

    def _complaint(self) -> str | None:
        names = [*(self.extra_headers or {}), *(name for file in self.attachments for name in file.headers)]
        return complaint(self._addresses(), self._values(), names)

    def _addresses(self) -> Iterator[tuple[str, str]]:
        alone = {"sender": self.sender, "reply_to": self.reply_to}
        fields = [(field, mailbox) for field, mailbox in alone.items() if mailbox]
        for field, mailbox in (*fields, *(("a recipient", mailbox) for mailbox in self._everybody())):
            yield field, " ".join(map(str, mailbox)) if isinstance(mailbox, tuple) else str(mailbox)

    def _values(self) -> Iterator[tuple[str, str]]:
        yield "subject", force_text(self.subject or "")
        for name, value in (self.extra_headers or {}).items():
            yield name, force_text(value)
        for file in self.attachments:
            yield "an attachment's filename", force_text(file.filename or "")
            yield "an attachment's disposition", file.disposition
            yield from ((name, force_text(value)) for name, value in file.headers.items())

    def as_message(self, *, ascii_names: bool | None = None) -> MIMEMessage:
        """Write it as an `email.message.Message`: what the engine sends.

        Args:
            ascii_names: Spell the names of files in ASCII; as MAIL_ASCII_ATTACHMENTS says where it is None.

        Raises:
            BadHeaderError: A line end in a header field.
            SMTPInputError: It has no sender, or a part of it cannot be written.
        """
        if bad := self._complaint():
            raise BadHeaderError(bad)
        if ascii_names is None:
            settings = Message.here()
            ascii_names = settings is not None and settings.ascii_attachments
        charset = charset_name(self.charset)
        whole = assembled(self.body, self.alts, self.attachments, charset=charset, ascii_names=ascii_names)
        fields = dict(self._fields(charset))
        for name, value in fields.items():
            del whole[name]
            whole[name] = value
        if not all(value.isascii() for value in fields.values()):
            # RFC 6532: nothing encodes a local part beyond ASCII, the header goes out in UTF-8.
            whole.policy = SMTPUTF8
        return whole

    def _fields(self, charset: str) -> Iterator[tuple[str, str]]:
        if self.subject:
            yield "Subject", sanitize_subject(unfolded(self.subject), charset)
        yield "From", sanitize_address(self._from(), charset)
        for name, mailboxes in (("To", self.recipients), ("Cc", self.cc)):
            if mailboxes:
                yield name, ", ".join(dict.fromkeys(sanitize_addresses(mailboxes, charset)))
        if self.reply_to:
            yield "Reply-To", sanitize_address(self.reply_to, charset)
        yield "Date", formatdate(self.date, localtime=True)
        yield "Message-ID", self.msgId
        for name, value in (self.extra_headers or {}).items():
            if name.lower() in _OURS:
                raise SMTPInputError(f"extra_headers: {name} is what the message says about its own parts")
            if name.lower() in ADDRESS_FIELDS:
                _check_list(name, unfolded(value))
            if name.lower() not in _HIDDEN:
                yield name, encoded(unfolded(value), charset)

    def _from(self) -> Mailbox:
        if not self.sender:
            raise MissingError("the message has no sender: give one, or set MAIL_DEFAULT_SENDER")
        return self.sender

    def as_bytes(self) -> bytes:
        """Write it as octets, with CRLF line ends."""
        whole = self.as_message()
        return whole.as_bytes(policy=whole.policy.clone(linesep="\r\n"))

    def as_string(self) -> str:
        """Write it as text, with CRLF line ends."""
        return self.as_bytes().decode(charset_name(self.charset), "replace")

    def __bytes__(self) -> bytes:
        return self.as_bytes()

    def __str__(self) -> str:
        return self.as_string()

    def envelope(self) -> list[str]:
        """The recipients as they will stand in the receipt: as written, without the name where that stands apart."""
        return list(dict.fromkeys(_address(mailbox) for mailbox in self._everybody()))

    def mail_object(self, envelope_from: Mailbox | None = None, *, ascii_names: bool | None = None) -> MailObject:
        """Check it, and give what the engine takes: an envelope and content.

        Args:
            envelope_from: The reverse-path where it is not the sender; "<>" for the null sender.
            ascii_names: As for `as_message`.

        Raises:
            SMTPInputError: It cannot be sent; a `BadHeaderError` where a header field would begin another one.
        """
        content = self.as_message(ascii_names=ascii_names)
        reverse_path = "" if envelope_from == "<>" else str(divided(envelope_from or self._from())[1])
        for mailbox in self._everybody():
            divided(mailbox)
        recipients = self.envelope()
        if not recipients:
            raise MissingError("the message has no recipients")
        asked = typed_rcpt_options(self.rcpt_options)
        return MailObject(
            content,
            reverse_path,
            recipients,
            options=typed_mail_options(self.mail_options),
            recipient_options=dict.fromkeys(recipients, asked) if asked else {},
        )


def _listed(name: str, mailboxes: Iterable[Mailbox] | None) -> list[Mailbox]:
    if isinstance(mailboxes, str | bytes):
        raise SMTPInputError(f"{name} is a list of addresses, not one string: {printable(repr(mailboxes), 100)}")
    return list(mailboxes or [])


def _check_list(name: str, text: str) -> None:
    try:
        parse_list(text)
    except SMTPInputError as error:
        raise SMTPInputError(f"extra_headers: {name}: {error}") from None


def _address(mailbox: Mailbox) -> str:
    return str(mailbox[-1]) if isinstance(mailbox, tuple) and mailbox else str(mailbox)


def _domain(sender: Mailbox | None) -> str:
    # make_msgid would ask the resolver for this machine's name.
    try:
        domain = divided(sender)[1].domain if sender else ""
    except SMTPException:
        domain = ""  # said when it is sent
    return domain.strip("[]") or "mailbridge.invalid"
