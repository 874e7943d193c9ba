"""The mail object: what a caller hands over (RFC 5321 section 2.3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from typing import BinaryIO, Literal, get_args

from .errors import SMTPInputError
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


def check_partial(on_partial: object) -> None:
    """Refuse a word that says nothing about partial refusals.

    Raises:
        SMTPInputError: It is none of `OnPartial`.
    """
    if on_partial not in _ON_PARTIAL:
        raise SMTPInputError(f"on_partial is deliver, raise or abort, not {on_partial!r}")
