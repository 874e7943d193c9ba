"""The header of a message: its fields read, Bcc taken out, Message-ID and Date put in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from email.utils import formatdate, make_msgid

from .addresses import Address, addr_specs, parse_list
from .errors import SMTPInputError
from .facts import printable

# RFC 5322 section 2.2: a field's name is printable ASCII without the colon, its body may go on
# in lines that begin with white space.
_FIELD = re.compile(rb"(?m:^)(?P<name>[!-9;-~]+)[ \t]*:(?P<value>[^\r\n]*(?:\r\n[ \t][^\r\n]*)*)(?:\r\n|\Z)")
_NAME = re.compile(r"[!-9;-~]+")
# A line end begins a new field, or the body, but where white space and more words follow (WIRE.md S9).
_INJECTION = re.compile(r"\n(?![ \t]+[^ \t\r\n])|\r(?!\n)|\0")
# What `completed` looks for, in lower case behind a line end. A folded line begins with white space, so each match
# begins a field.
_BCC = re.compile(rb"\n(?:resent-)?bcc[ \t]*:")
_DATE = re.compile(rb"\ndate[ \t]*:")
_MESSAGE_ID = re.compile(rb"\nmessage-id[ \t]*:([^\r]*(?:\r\n[ \t][^\r]*)*)")
ADDRESS_FIELDS = {
    f"{prefix}{name}" for prefix in ("", "resent-") for name in ("from", "sender", "to", "cc", "bcc", "reply-to")
}

Field = tuple[str, str]


def fields_of(header: bytes) -> list[Field]:
    """The fields of a canonical header, unfolded."""
    return [(found["name"].decode(), _text(found["value"])) for found in _FIELD.finditer(header)]


def _text(value: bytes) -> str:
    """The value of a field, unfolded."""
    return value.replace(b"\r\n", b"").decode("utf-8", "surrogateescape")


def rewritten(header: bytes, rewrite: Callable[[str, str], bytes]) -> bytes:
    """A canonical header in which each field beyond ASCII is written anew; all others stay to the letter."""

    def anew(found: re.Match[bytes]) -> bytes:
        return found[0] if found[0].isascii() else rewrite(*fields_of(found[0])[0])

    return _FIELD.sub(anew, header)


def check_field(name: str, value: str) -> None:
    """Refuse a field that would begin another one (WIRE.md S9), whatever the interpreter's patch level.

    Raises:
        SMTPInputError: A line end in its name, or in its value where no folding stands; a NUL.
    """
    if not _NAME.fullmatch(name):
        raise SMTPInputError(f"{printable(repr(name), 100)} is not a header field's name")
    if found := _INJECTION.search(value):
        what = "NUL" if found[0] == "\0" else "line end"
        raise SMTPInputError(f"the header field {name} holds a {what}: {printable(repr(value), 100)}")


def completed(header: bytes, sender: Address | None) -> tuple[bytes, str]:
    """Take the hidden recipients out (WIRE.md S22), add Message-ID and Date where they miss.

    Returns:
        The header, and its Message-ID.
    """
    # Three fields of twenty matter here: the others are not even taken apart.
    lowered = b"\n" + header.lower()
    # Content without a header has no empty line in front of its body yet. To find takes half as long as `in`.
    completed = header or b"\r\n" if lowered.find(b"bcc") < 0 else _without_bcc(header)
    found = _MESSAGE_ID.search(lowered)
    message_id = _text(header[found.start(1) - 1 : found.end(1) - 1]).strip() if found else ""
    if lowered.find(b"\ndate:") < 0 and not _DATE.search(lowered):
        completed = f"Date: {formatdate(localtime=True)}\r\n".encode() + completed
    if not message_id:
        # make_msgid would ask the resolver for this machine's name.
        domain = (sender.domain if sender else "") or _author_domain(header)
        message_id = make_msgid(domain=domain or "mailbridge.invalid")
        completed = f"Message-ID: {message_id}\r\n".encode() + completed
    return completed, message_id


def _without_bcc(header: bytes) -> bytes:
    # RFC 5322 section 3.6.3: Bcc is seen by nobody who is not in it.
    def unless_bcc(found: re.Match[bytes]) -> bytes:
        return b"" if _BCC.match(b"\n" + found[0].lower()) else found[0]

    return _FIELD.sub(unless_bcc, header)


def _author_domain(header: bytes) -> str:
    """The domain of the first author: a report has a From, though its reverse-path is null."""
    author = next((value for name, value in reversed(fields_of(header)) if name.lower() == "from"), "")
    try:
        return next((address.domain for address in parse_list(author)), "")
    except SMTPInputError:
        return ""


def _latest(fields: Iterable[Field]) -> tuple[str, dict[str, list[str]]]:
    """The fields that name sender and recipients: those of the last resending, or the author's.

    RFC 5322 section 3.6.6: each resending puts its block in front of the earlier ones. The block ends
    where another field stands, or where one of its own comes a second time.
    """
    resent: dict[str, list[str]] = {}
    original: dict[str, list[str]] = {}
    closed = False
    for name, value in fields:
        key = name.lower()
        is_resent = key.startswith("resent-")
        closed = closed or (key in resent if is_resent else bool(resent))
        if is_resent and not closed:
            resent[key] = [value]
        elif key in ADDRESS_FIELDS:
            original.setdefault(key, []).append(value)
    return ("resent-", resent) if resent else ("", original)


def sender_of(fields: Sequence[Field]) -> str:
    """The reverse-path that a header names: Sender, or else the first author in From."""
    prefix, found = _latest(fields)
    for name in ("sender", "from"):
        if addresses := parse_list(", ".join(found.get(prefix + name, ()))):
            return str(addresses[0])
    raise SMTPInputError(f"no sender: the message has no {prefix.title()}From, and none was given")


def recipients_of(fields: Sequence[Field]) -> list[str]:
    """The recipients that a header names: To, Cc and Bcc; each addr-spec as it is spelled there."""
    prefix, found = _latest(fields)
    named = (", ".join(found.get(prefix + name, ())) for name in ("to", "cc", "bcc"))
    return [spelled for text in named for spelled in addr_specs(text)]
