"""The module's functions: addresses and content made fit for the wire."""

from __future__ import annotations

import re

from ..addresses import Address, mailboxes, parse
from ..errors import SMTPInputError


def mailbox(text: str) -> Address:
    """Read one mailbox, with a name and comments around it or without."""
    address = _parsed(text)
    if "@" in address.local and not address.domain:
        # '"a@b.example"' in quotes: a local user of that name, or the address? Nobody guesses whose mail it is.
        raise SMTPInputError(f"{text!r} is a quoted local part without a domain; write an address without the quotes")
    return address


def _parsed(text: str) -> Address:
    try:
        return parse(text)
    except SMTPInputError:
        if "(" not in str(text) or not text.isprintable():
            raise
        found = list(mailboxes(text))
        if len(found) != 1:
            raise
        return parse(found[0])


def quoteaddr(addrstring: str) -> str:
    """Write an address as a path, with its angle brackets (RFC 5321 section 4.1.2).

    The path is made from what was understood, never pasted from what was given (WIRE.md S6).

    Args:
        addrstring: An address, with a display name or without; "" and "<>" are the null sender.

    Raises:
        SMTPInputError: It is not one address.
    """
    if addrstring in {"", "<>"}:
        return "<>"
    return f"<{mailbox(addrstring)}>"


def _addr_only(addrstring: str) -> str:
    """The address without a display name, for VRFY and EXPN; what is none stays as it is."""
    try:
        return str(mailbox(addrstring))
    except SMTPInputError:
        # The name of a user or a list. It stands in no brackets that it could leave.
        return addrstring


def _fix_eols(data: str) -> str:
    """Make every CR, LF and CRLF a CRLF."""
    return re.sub(r"\r\n|\n|\r(?!\n)", "\r\n", data)


def _quote_periods(bindata: bytes) -> bytes:
    """Double the dot that begins a line (RFC 5321 section 4.5.2)."""
    return re.sub(rb"(?m)^\.", b"..", bindata)


def quotedata(data: str) -> str:
    r"""Make every CR, LF and CRLF a CRLF, and double the dots that begin a line."""
    return re.sub(r"(?m)^\.", "..", _fix_eols(data))
