"""Addresses and subjects as a header spells them: ASCII, quoted where they must be, each read once and strictly."""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.header import Header

from mailbridge import Address, SMTPInputError, parse_address, printable

Mailbox = str | tuple[str, str]
"""An address, `Name <address>`, or a name and an address."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
# RFC 5322 section 3.2.3: what must stand in quotes in a display name.
_SPECIAL = re.compile(r'["(),.:;<>@\[\\\]]')


def force_text(value: object, encoding: str = "utf-8", errors: str = "strict") -> str:
    """Make text of anything: octets are decoded, a lazy string is resolved.

    Raises:
        UnicodeDecodeError: Octets that are not in this encoding.
    """
    return str(value, encoding, errors) if isinstance(value, bytes) else str(value)


def divided(mailbox: Mailbox) -> tuple[str, Address]:
    """Read a mailbox: its display name, perhaps empty, and its address.

    Raises:
        SMTPInputError: It is none. There is no guessing: a guess sends mail to strangers (WIRE.md S6, S10).
    """
    if isinstance(mailbox, str):
        address = parse_address(mailbox)
        name = mailbox.rpartition("<")[0].strip() if mailbox.rstrip().endswith(">") else ""
        return _QUOTED.sub(lambda quoted: re.sub(r"\\(.)", r"\1", quoted[1]), name), address
    name, written = _pair(mailbox)
    if _CONTROL.search(name):
        raise SMTPInputError(f"the name {printable(repr(name))} holds a control character or a line end")
    return name, parse_address(written)


def _pair(mailbox: object) -> tuple[str, str]:
    if not (isinstance(mailbox, tuple) and len(mailbox) == 2):
        raise SMTPInputError(f"an address is a string, or a name and an address, not {printable(repr(mailbox))}")
    return force_text(mailbox[0] or ""), mailbox[1]


def spelled(mailbox: Mailbox) -> str:
    """Write a mailbox as `Name <address>`, its name in quotes only where it needs them."""
    if isinstance(mailbox, str):
        return mailbox
    name, address = _pair(mailbox)
    # A dot is common in a name, and everybody reads it (RFC 5322 section 4.1, obs-phrase).
    written = name if not _SPECIAL.search(name.replace(".", "")) else _quoted(name)
    return f"{written} <{address}>" if name else address


def _quoted(name: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'


def encoded(text: str, encoding: str) -> str:
    """Write text for a header: as it is where it is ASCII, otherwise in encoded words (RFC 2047)."""
    if text.isascii():
        return text
    try:
        # Without a line end: who assembles a header folds it.
        return Header(text, encoding).encode(linesep="")
    except UnicodeEncodeError:
        return Header(text, "utf-8").encode(linesep="")


def sanitize_subject(subject: str, encoding: str = "utf-8") -> str:
    """Write a subject in ASCII."""
    return encoded(subject, encoding)


def sanitize_address(addr: Mailbox, encoding: str = "utf-8") -> str:
    """Write a mailbox for a header: its name in ASCII, its domain in A-labels (IDNA 2008).

    A local part beyond ASCII stays as it is: it travels only where SMTPUTF8 is offered, and nothing can encode it.

    Raises:
        SMTPInputError: It is no mailbox.
    """
    name, address = divided(addr)
    if not name:
        return str(address)
    # An encoded word stands outside quotes (RFC 2047 section 5).
    written = _quoted(name) if name.isascii() and _SPECIAL.search(name) else encoded(name, encoding)
    return f"{written} <{address}>"


def sanitize_addresses(addresses: Iterable[Mailbox], encoding: str = "utf-8") -> list[str]:
    """Write each of several mailboxes for a header."""
    return [sanitize_address(mailbox, encoding) for mailbox in addresses]
