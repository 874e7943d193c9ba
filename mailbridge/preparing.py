"""From what a caller hands over to what goes onto the wire: addresses read, the content measured, Bcc taken out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from email.message import Message
from types import NoneType
from typing import Any, BinaryIO, cast

from . import content as contents
from . import header as headers
from . import serialising
from .addresses import Address, parse, parse_list
from .content import Content
from .errors import SMTPInputError
from .facts import printable
from .files import of_file
from .message import MailObject
from .parameters import MailOptions, RcptOptions


class Recipient:
    """One mailbox of an envelope, which has each only once: it is equal to itself alone, and cheap as a key.

    Attributes:
        names: How the caller wrote it; more than one where it was named more than once.
        address: What goes into RCPT, once.
        options: The parameters of RCPT.
    """

    def __init__(self, names: tuple[str, ...], address: Address, options: RcptOptions | None = None) -> None:
        self.names = names
        self.address = address
        self.options = options


class Prepared:
    """A mail object that is checked, measured and ready for any server.

    Attributes:
        sender: The reverse-path, None for the null sender.
        sender_name: The reverse-path as the caller wrote it.
        recipients: Each mailbox once, in the caller's order.
        content: What goes onto the wire.
        message_id: The Message-ID of the header.
        options: The parameters of MAIL.
        needs_utf8: RFC 6531: the sender or the header travels only where SMTPUTF8 is offered.
    """

    def __init__(
        self,
        sender: Address | None,
        sender_name: str,
        recipients: tuple[Recipient, ...],
        content: Content,
        message_id: str,
        options: MailOptions | None = None,
    ) -> None:
        self.sender = sender
        self.sender_name = sender_name
        self.recipients = recipients
        self.content = content
        self.message_id = message_id
        self.options = options
        self.needs_utf8 = content.utf8_header or (sender is not None and sender.needs_utf8)


def prepare_given(
    message: object, sender: object, recipients: object, canonical: bool, options: object, recipient_options: object
) -> Prepared:
    """Prepare what a caller of `send` gives: a mail object, or all of one.

    Raises:
        SMTPInputError: See `prepare`; or a MailObject was given, and what it has of its own beside it.
    """
    if not isinstance(message, MailObject):
        return _prepared(message, sender, recipients, canonical, options, recipient_options or {})
    if sender is not None or recipients is not None or canonical or options or recipient_options:
        raise SMTPInputError("a MailObject has its own sender, recipients and options: say them there")
    return prepare(message)


def prepare(mail: MailObject) -> Prepared:
    """Check and measure a mail object. A message is serialised here, once.

    Raises:
        SMTPInputError: An address, an option, a header field or the content cannot be sent.
    """
    # Its attributes are not yet what they are said to be: mypyc would answer a wrong one with a TypeError.
    said: Any = mail
    return _prepared(said.content, said.sender, said.recipients, said.canonical, said.options, said.recipient_options)


def _prepared(
    # Whatever a caller gives: each is looked at, since a wrong one deserves more than a TypeError.
    message: Any,
    sender: Any,
    recipients: Any,
    canonical: Any,
    options: Any,
    recipient_options: Any,
) -> Prepared:
    _check_kind("options", options, MailOptions, NoneType)
    fields: Sequence[headers.Field] = ()
    raw: contents.Divided | None = None
    if isinstance(message, Message):
        serialising.check(message)
        fields = serialising.fields_of(message)
    else:
        raw = _divided(message, bool(canonical))
        # Nobody asks the header for an envelope that the caller gives.
        if sender is None or recipients is None:
            fields = headers.fields_of(raw[0])
    if sender is None:
        sender = headers.sender_of(fields)
    reverse_path = parse(sender) if sender not in ("", "<>") else None
    names = _names(recipients) if recipients is not None else headers.recipients_of(fields)
    envelope = _recipients(names, recipient_options)
    # WIRE.md S8: the standard generator passes the text of a container that has no parts on as it is, so a message
    # is checked like anything else. Only of octets a caller can know that they are canonical.
    header, body, known = raw or _serialised(message, fields)
    header, message_id = headers.completed(header, reverse_path)
    return Prepared(reverse_path, sender, envelope, Content.of(header, body, known), message_id, options)


def _divided(source: object, canonical: bool) -> contents.Divided:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return contents.of_octets(source, canonical)
    if hasattr(source, "read"):
        return of_file(cast("BinaryIO", source), canonical)
    raise SMTPInputError(f"a message is an EmailMessage, bytes or a binary file, not {type(source).__name__}")


def _serialised(message: Message, fields: Sequence[headers.Field]) -> contents.Divided:
    # A local part beyond ASCII cannot be encoded: such a header must go out in UTF-8.
    named = [value for name, value in fields if name.lower() in headers.ADDRESS_FIELDS and not value.isascii()]
    utf8 = any(address.needs_utf8 for value in named for address in parse_list(value))
    return contents.of_pieces(serialising.serialised(message, utf8=utf8))


def _check_kind(name: str, value: object, *kinds: type) -> None:
    # A tuple: to make a union of types takes longer than the check.
    if not isinstance(value, kinds):
        wanted = " | ".join("None" if kind is NoneType else kind.__name__ for kind in kinds)
        raise SMTPInputError(f"{name} takes {wanted}, not {printable(repr(value), 100)}")


def _names(recipients: Any) -> list[Any]:
    if isinstance(recipients, (str, bytes)):
        raise SMTPInputError("recipients is a list of addresses, not one string")
    if not isinstance(recipients, (list, tuple)):
        _check_kind("recipients", recipients, Iterable)
    return list(recipients)


def _recipients(names: Sequence[Any], options: Any) -> tuple[Recipient, ...]:
    """Give each mailbox once: a server that merges doubles answers fewer times than it is asked (SERVERS.md M1)."""
    asked = _by_mailbox(options)
    found: dict[tuple[str, str], Recipient] = {}
    doubles: dict[tuple[str, str], dict[str, None]] = {}
    for name in names:
        address = parse(name)
        key = address.key
        if key not in found:
            found[key] = Recipient((name,), address, asked[key][1] if key in asked else None)
        else:
            doubles.setdefault(key, dict.fromkeys(found[key].names))[name] = None
    for key, spelled in doubles.items():
        found[key].names = tuple(spelled)
    for key, (name, _) in asked.items():
        if key not in found:
            raise SMTPInputError(f"recipient_options for {name!r}, who is no recipient")
    if not found:
        raise SMTPInputError("no recipients: the message names none in To, Cc or Bcc, and none were given")
    return tuple(found.values())


def _by_mailbox(options: Any) -> dict[tuple[str, str], tuple[str, RcptOptions]]:
    """The options of each mailbox, and the name by which it has them."""
    if options == {}:
        return {}
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
        content = Content.of(*contents.of_pieces(serialising.downgraded(mail.content)))
    else:
        content = mail.content.under(serialising.ascii_header(mail.content.header))
    return Prepared(mail.sender, mail.sender_name, mail.recipients, content, mail.message_id, mail.options)
