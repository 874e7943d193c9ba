"""The mail object: what a caller hands over, and what of it goes onto the wire (RFC 5321 section 2.3.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.message import Message
from types import NoneType
from typing import BinaryIO, Literal, cast, get_args

from . import content as contents
from . import header as headers
from . import serialising
from .addresses import Address, parse, parse_list
from .content import Content
from .errors import SMTPInputError
from .facts import printable
from .parameters import MailOptions, RcptOptions

MessageSource = Message | bytes | bytearray | memoryview | BinaryIO


@dataclass(frozen=True, slots=True)
class MailObject:
    """An envelope and content, as the caller has them.

    Attributes:
        content: An `email.message.EmailMessage` (or an older `Message`), octets, or a binary file. Parts of a message
            with lines of more than 998 octets (RFC 5321 section 4.5.3.1.6) are encoded; octets and files go out with
            their lines as they are, which servers may refuse or cut apart.
        sender: The reverse-path; "" for the null sender; None to take it from the header.
        recipients: The forward-paths; None to take them from To, Cc and Bcc.
        canonical: The octets are known to hold CR and LF only as CRLF: saves the check.
        options: What to ask for at MAIL, such as delivery reports.
        recipient_options: The same at RCPT, by recipient, however its address is spelled.
    """

    content: MessageSource
    sender: str | None = None
    recipients: Sequence[str] | None = None
    canonical: bool = False
    options: MailOptions | None = None
    recipient_options: Mapping[str, RcptOptions] = field(default_factory=dict)


OnPartial = Literal["deliver", "raise", "abort"]
_ON_PARTIAL = get_args(OnPartial)


def mail_object(
    message: MessageSource | MailObject,
    sender: str | None,
    recipients: Sequence[str] | None,
    canonical: bool,
    options: MailOptions | None,
    recipient_options: Mapping[str, RcptOptions] | None,
) -> MailObject:
    """One of what a caller of `send` gives.

    Raises:
        SMTPInputError: A MailObject was given, and what it has of its own beside it.
    """
    if not isinstance(message, MailObject):
        return MailObject(message, sender, recipients, canonical, options, recipient_options or {})
    if sender is not None or recipients is not None or canonical or options or recipient_options:
        raise SMTPInputError("a MailObject has its own sender, recipients and options: say them there")
    return message


def check_partial(on_partial: object) -> None:
    """Refuse a word that says nothing about partial refusals.

    Raises:
        SMTPInputError: It is none of `OnPartial`.
    """
    if on_partial not in _ON_PARTIAL:
        raise SMTPInputError(f"on_partial is deliver, raise or abort, not {on_partial!r}")


@dataclass(frozen=True, slots=True, eq=False)
class Recipient:
    """One mailbox of an envelope, which has each only once: it is equal to itself alone, and cheap as a key.

    Attributes:
        names: How the caller wrote it; more than one where it was named more than once.
        address: What goes into RCPT, once.
        options: The parameters of RCPT.
    """

    names: tuple[str, ...]
    address: Address
    options: RcptOptions | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A mail object that is checked, measured and ready for any server.

    Attributes:
        sender: The reverse-path, None for the null sender.
        sender_name: The reverse-path as the caller wrote it.
        recipients: Each mailbox once, in the caller's order.
        content: What goes onto the wire.
        message_id: The Message-ID of the header.
        options: The parameters of MAIL.
    """

    sender: Address | None
    sender_name: str
    recipients: tuple[Recipient, ...]
    content: Content
    message_id: str
    options: MailOptions | None = None

    @property
    def needs_utf8(self) -> bool:
        """RFC 6531: the sender or the header travels only where SMTPUTF8 is offered."""
        return bool(self.sender and self.sender.needs_utf8) or self.content.utf8_header


def prepare(mail: MailObject) -> Prepared:
    """Check and measure a mail object. A message is serialised here, once.

    Raises:
        SMTPInputError: An address, an option, a header field or the content cannot be sent.
    """
    _check_kind("options", mail.options, MailOptions, NoneType)
    if isinstance(mail.content, Message):
        serialising.check(mail.content)
        fields: Sequence[headers.Field] = serialising.fields_of(mail.content)
        raw = None
    else:
        raw = _divided(mail.content)
        # Nobody asks the header for an envelope that the caller gives.
        given = mail.sender is not None and mail.recipients is not None
        fields = () if given else headers.fields_of(raw[0])
    sender_name = mail.sender if mail.sender is not None else headers.sender_of(fields)
    sender = parse(sender_name) if sender_name not in ("", "<>") else None
    names = _names(mail.recipients) if mail.recipients is not None else headers.recipients_of(fields)
    recipients = _recipients(names, mail.recipient_options)
    # WIRE.md S8: the standard generator passes the text of a container that has no parts on as it is, so a message
    # is checked like anything else. Only of octets a caller can know that they are canonical.
    canonical = mail.canonical and raw is not None
    raw = raw or _serialised(cast("Message", mail.content), fields)
    header, message_id = headers.completed(raw[0], sender)
    content = Content.of(header, raw[1], known_canonical=canonical)
    return Prepared(sender, sender_name, recipients, content, message_id, mail.options)


def _divided(source: object) -> tuple[bytes, contents.Pieces]:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return contents.of_octets(source)
    if hasattr(source, "read"):
        return contents.of_file(cast("BinaryIO", source))
    raise SMTPInputError(f"a message is an EmailMessage, bytes or a binary file, not {type(source).__name__}")


def _serialised(message: Message, fields: Sequence[headers.Field]) -> tuple[bytes, contents.Pieces]:
    # A local part beyond ASCII cannot be encoded: such a header must go out in UTF-8.
    named = [value for name, value in fields if name.lower() in headers.ADDRESS_FIELDS and not value.isascii()]
    utf8 = any(address.needs_utf8 for value in named for address in parse_list(value))
    return contents.of_pieces(serialising.serialised(message, utf8=utf8))


def _check_kind(name: str, value: object, *kinds: type) -> None:
    # A tuple: to make a union of types takes longer than the check.
    if not isinstance(value, kinds):
        wanted = " | ".join("None" if kind is NoneType else kind.__name__ for kind in kinds)
        raise SMTPInputError(f"{name} takes {wanted}, not {printable(repr(value), 100)}")


def _names(recipients: object) -> Sequence[str]:
    if isinstance(recipients, str | bytes):
        raise SMTPInputError("recipients is a list of addresses, not one string")
    _check_kind("recipients", recipients, Iterable)
    return list(cast("Iterable[str]", recipients))


def _recipients(names: Sequence[str], options: Mapping[str, RcptOptions]) -> tuple[Recipient, ...]:
    """Give each mailbox once: a server that merges doubles answers fewer times than it is asked (SERVERS.md M1)."""
    asked = _by_mailbox(options)
    spelled: dict[tuple[str, str], dict[str, Address]] = {}
    for name in names:
        address = parse(name)
        spelled.setdefault(address.key, {}).setdefault(name, address)
    if strangers := [name for key, (name, _) in asked.items() if key not in spelled]:
        raise SMTPInputError(f"recipient_options for {strangers[0]!r}, who is no recipient")
    if not spelled:
        raise SMTPInputError("no recipients: the message names none in To, Cc or Bcc, and none were given")
    return tuple(
        Recipient(tuple(found), next(iter(found.values())), asked[key][1] if key in asked else None)
        for key, found in spelled.items()
    )


def _by_mailbox(options: Mapping[str, RcptOptions]) -> dict[tuple[str, str], tuple[str, RcptOptions]]:
    """The options of each mailbox, and the name by which it has them."""
    _check_kind("recipient_options", options, Mapping)
    found: dict[tuple[str, str], tuple[str, RcptOptions]] = {}
    for name, asked in options.items():
        _check_kind(f"recipient_options[{name!r}]", asked, RcptOptions)
        known, wanted = found.setdefault(parse(name).key, (name, asked))
        if wanted != asked:
            raise SMTPInputError(f"recipient_options has {known!r} and {name!r}, one mailbox, with different options")
    return found


def downgraded(mail: Prepared, *, body: bool) -> Prepared:
    """The same mail with a header in ASCII, for a server without SMTPUTF8.

    Args:
        mail: What such a server cannot take as it is.
        body: Encode the body too, for a server without 8BITMIME.
    """
    if body:
        header, pieces = contents.of_pieces(serialising.downgraded(mail.content))
        content = Content.of(header, pieces)
    else:
        header = serialising.ascii_header(mail.content.header)
        content = replace(mail.content, header=header, size=mail.content.size - len(mail.content.header) + len(header))
    return replace(mail, content=content)
