"""Django's message as the core takes it, and the receipt of one that was never sent."""

from __future__ import annotations

import copy
import email.policy
from collections.abc import Iterable
from dataclasses import replace
from email.headerregistry import BaseHeader, HeaderRegistry
from email.message import Message
from functools import cache, lru_cache
from typing import Any

import django
from django.core.mail import EmailMessage
from django.utils.encoding import force_str

from mailbridge import (
    ORIGINAL_RECIPIENTS,
    MailObject,
    Receipt,
    RecipientResult,
    SMTPInputError,
    Staged,
    Staging,
    State,
    parse_address,
    with_a_labels,
)
from mailbridge.addresses import parse_list
from mailbridge.header import ADDRESS_FIELDS

# What most messages of a site say in the same words. A field never changes, so messages may share it.
_RECURRING = frozenset(["from", "mime-version", "content-type", "content-transfer-encoding"])


class _Fields(HeaderRegistry):
    """The standard registry makes a class for every field of every message; this one keeps those that it made.

    To parse a field takes as long as all the rest of it, so the last ones of those that recur are kept too.
    """

    def __call__(self, name: str, value: Any) -> BaseHeader:
        if name.lower() in _RECURRING and isinstance(value, str):
            return _field(self, name, value)
        return self[name](name, value)

    def __getitem__(self, name: str) -> type[BaseHeader]:
        return _class_of(self.registry.get(name.lower(), self.default_class), self.base_class)


@lru_cache(maxsize=64)
def _field(fields: _Fields, name: str, value: str) -> BaseHeader:
    return fields[name](name, value)


@cache
def _class_of(kind: type, base: type[BaseHeader]) -> type[BaseHeader]:
    return type(f"_{kind.__name__}", (kind, base), {})


# A policy that permits UTF-8 leaves the domains to the core.
_POLICY = email.policy.SMTPUTF8.clone(header_factory=_Fields())
# The attributes that Django writes addresses from.
_ADDRESSES = ("from_email", "to", "cc", "reply_to")


def envelope(message: EmailMessage) -> tuple[str, list[str]]:
    """Who sends and who receives: `from_email` and `recipients()`, never the headers. Values may be lazy."""
    return force_str(message.from_email), [force_str(recipient) for recipient in message.recipients()]


def mail_object(message: EmailMessage) -> MailObject | None:
    """Render a message for the core; None where it has no recipients.

    Raises:
        SMTPInputError: It has no sender.
        Exception: Whatever Django or the message's own code raises while the message is built.
    """
    sender, recipients = envelope(message)
    if not recipients:
        return None
    if not sender.strip():
        raise SMTPInputError('from_email is empty; "<>" is the null sender')
    _check_addresses(message, sender, recipients)
    return MailObject(_rendered(message), sender, recipients)


def _check_addresses(message: EmailMessage, sender: str, recipients: list[str]) -> None:
    """Read the addresses before Django does.

    The standard parser, which Django renders a header by, needs seconds for some ten thousand characters of
    nonsense, as a web form may hold them, and stumbles over others (WIRE.md S11).

    Raises:
        SMTPInputError: One is none.
    """
    _check_envelope(sender, recipients)
    others = [(name, value) for name, value in message.extra_headers.items() if name.lower() in ADDRESS_FIELDS]
    for name, value in (*(("reply_to", each) for each in _as_list(message.reply_to)), *others):
        try:
            parse_list(force_str(value))
        except SMTPInputError as error:
            raise SMTPInputError(f"{name}: {error}") from None


def _check_envelope(sender: str | None, recipients: Iterable[str]) -> None:
    for address in (*filter(None, [sender and sender.replace("<>", "")]), *recipients):
        parse_address(address)


def staged(mail: MailObject, staging: Staging) -> tuple[MailObject, Staged]:
    """The same mail for those who may get it, and a header that says for whom it was meant."""
    decided = staging.apply(mail.recipients or ())
    if decided.original is None or not isinstance(mail.content, Message):
        return mail, decided
    del mail.content[ORIGINAL_RECIPIENTS]
    mail.content[ORIGINAL_RECIPIENTS] = decided.original
    return replace(mail, recipients=decided.recipients), decided


def frozen(mail: MailObject) -> MailObject:
    """The same mail, which no later change of the message reaches; its addresses are checked.

    Raises:
        SMTPInputError: An address is none.
    """
    _check_envelope(mail.sender, mail.recipients or ())
    return replace(mail, content=copy.deepcopy(mail.content))


def octets(mail: MailObject) -> int:
    """How much it is, about: what its texts and attachments take once they are encoded."""
    parts = mail.content.walk() if isinstance(mail.content, Message) else ()
    return sum(len(payload) for part in parts if isinstance(payload := part.get_payload(), str))


def _rendered(message: EmailMessage) -> Message:
    """The message with domains beyond ASCII as they are or in A-labels of IDNA 2008.

    On its own Django would write IDNA 2003, which names another domain for "faß.de".
    """
    if django.VERSION >= (6, 0):
        return message.message(policy=_POLICY)
    if not all(force_str(value).isascii() for name in _ADDRESSES for value in _as_list(getattr(message, name))):
        message = copy.copy(message)
        for name in _ADDRESSES:
            value = getattr(message, name)
            spelled = [with_a_labels(force_str(each)) for each in _as_list(value)]
            setattr(message, name, spelled if isinstance(value, list | tuple) else spelled[0])
    return message.message()


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def unsent(message: EmailMessage, why: Exception | None) -> Receipt:
    """The receipt of a message that never reached a server."""
    try:
        sender, recipients = envelope(message)
    except Exception as error:  # noqa: BLE001 - addresses that nobody can read, such as a `to` that is a string
        return Receipt("", {}, error=why or error)
    return Receipt(
        sender,
        {recipient: RecipientResult(recipient, State.NOT_SENT, error=why) for recipient in recipients},
        error=why if recipients else None,
    )
