"""Addresses: read a mailbox once, write it again from its parts. The caller's string is never pasted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from itertools import groupby
from typing import cast

import idna

from .errors import SMTPInputError
from .facts import printable

# RFC 5321 section 4.5.3.1: octets of a local part, a domain and a path with its brackets.
LOCAL_PART = 64
DOMAIN = 255
PATH = 256
# Caps before anything is parsed (WIRE.md S11): characters of one mailbox and of one header's list.
MAILBOX_TEXT = 1_000
LIST_TEXT = 256 * 1024
COMMENT_DEPTH = 16
# Commas, groups and comments of a list that names nobody; a mailbox may bring ten more.
IDLE = 1_000

# RFC 5321 section 4.1.2; characters beyond ASCII are atext by RFC 6531 section 3.3.
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_DOT_ATOM = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
_NAME = r"[^\s<>@,:;()\"\[\]\\]"
_ADDR_SPEC = re.compile(rf"(?P<local>{_DOT_ATOM.pattern}|{_QUOTED})(?:@(?P<domain>{_NAME}+|\[[^\[\]\\<>\s]+\]))?")
_PHRASE = re.compile(rf"(?:{_ATEXT}|[. \t]|{_QUOTED})*")
_NAME_ADDR = re.compile(rf"{_PHRASE.pattern}<(?P<spec>.*)>")
# Control characters but the tab, and what Unicode takes for the end of a line or a paragraph.
_LINE_BREAKING = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_TAGGED_LITERAL = re.compile(r"[A-Za-z0-9-]*[A-Za-z0-9]:[\x21-\x5a\x5e-\x7e]+")
# One token of an address list: a quoted string, an address literal, an escaped character, a special, or a run of
# anything else.
_TOKEN = re.compile(rf"{_QUOTED}|\[[^\[\]]*\]|\\.|\[+|[<>,:;()\"\\]|[^<>,:;()\"\\\[]+", re.DOTALL)
# The same inside a comment, where quotes and brackets are nothing special (RFC 5322 section 3.2.2).
_COMMENT_TOKEN = re.compile(r"(?:[^()\\]|\\.)++|[()\\]", re.DOTALL)
# Tokens that name nobody; a comment has become a space.
_IDLE = {",", ";", " "}


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox: what stands between the angle brackets of MAIL and RCPT. One that exists can be sent.

    Attributes:
        local: The local part without its quotes.
        domain: The domain in A-labels, an address literal, or empty ("postmaster").
        path: The path for a command, with its brackets (RFC 5321 section 4.1.2).
        key: What makes two mailboxes the same: the local part to the letter, the domain in any case.
        needs_utf8: RFC 6531: a local part beyond ASCII travels only where SMTPUTF8 is offered.

    Raises:
        SMTPInputError: A part that SMTP cannot carry.
    """

    local: str
    domain: str = ""
    path: bytes = field(init=False, repr=False, compare=False)
    key: tuple[str, str] = field(init=False, repr=False, compare=False)
    needs_utf8: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.local or not self.local.isprintable():
            raise _wrong(self.local, "its local part is empty or holds a control character")
        if a_labels(self.domain) != self.domain:
            raise _wrong(self.domain, "its domain is not in A-labels")
        object.__setattr__(self, "path", f"<{self}>".encode())
        object.__setattr__(self, "key", (self.local, self.domain.casefold()))
        object.__setattr__(self, "needs_utf8", not self.local.isascii())
        # RFC 5321 section 4.5.3.1: the lengths that every server takes.
        path, domain = len(self.path), len(self.domain)
        if path - len("<>") - domain - bool(domain) > LOCAL_PART:
            raise _wrong(str(self), f"its local part has more than {LOCAL_PART} octets")
        if domain > DOMAIN or path > PATH:
            raise _wrong(str(self), f"it has more than {PATH - 2} octets")

    def __str__(self) -> str:
        local = self.local
        if not _DOT_ATOM.fullmatch(local):
            local = '"' + re.sub(r'(["\\])', r"\\\1", local) + '"'
        return f"{local}@{self.domain}" if self.domain else local


def parse(text: str) -> Address:
    """Read one mailbox: an addr-spec, or a display name and an addr-spec in brackets.

    Args:
        text: What the caller calls an address.

    Raises:
        SMTPInputError: It is none, or one that SMTP cannot carry; the sentence says why.
    """
    if not isinstance(text, str):
        raise SMTPInputError(f"an address must be a string, not {type(text).__name__}")
    return _parse(text)


@lru_cache(maxsize=4096)
def _parse(text: str) -> Address:
    if len(text) > MAILBOX_TEXT:
        raise _wrong(text, f"it has {len(text)} characters, {MAILBOX_TEXT} are allowed")
    # A display name may hold what no local part may, such as a no-break space.
    if _LINE_BREAKING.search(text.strip(" \t")):
        raise _wrong(text, "it holds a control character or a line end")
    found = _ADDR_SPEC.fullmatch(_bare(text))
    if not found:
        raise _wrong(text, "it is not of the form local-part@domain")
    local = found["local"]
    if local.startswith('"'):
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    return Address(local, a_labels(found["domain"] or ""))


def _bare(text: str) -> str:
    """What stands in the brackets behind a display name, or all of it."""
    stripped = text.strip(" \t")
    named = _NAME_ADDR.fullmatch(stripped)
    return named["spec"] if named else stripped


def _wrong(text: str, why: str, what: str = "an address") -> SMTPInputError:
    return SMTPInputError(f"{printable(repr(text), 200)} is not {what} that can be used: {why}")


@lru_cache(maxsize=1024)
def a_labels(domain: str) -> str:
    """Write a domain in ASCII: A-labels by IDNA 2008 (RFC 5891), literals checked, the rest as it is.

    Raises:
        SMTPInputError: It is no domain.
    """
    if not domain or (domain.isascii() and _HOST.fullmatch(domain)):
        return domain
    if domain.startswith("[") and domain.endswith("]"):
        return _literal(domain)
    try:
        # ASCII labels never pass through idna: my_host.example is legal here, and not there.
        mapped = idna.uts46_remap(domain, std3_rules=False, transitional=False)
        labels = (label if label.isascii() else idna.alabel(label).decode() for label in mapped.split("."))
        ascii_domain = ".".join(labels)
    except idna.IDNAError as error:
        raise _wrong(domain, f"it does not fit IDNA 2008 ({error})", "a domain") from None
    if not _HOST.fullmatch(ascii_domain):
        raise _wrong(domain, "it has an empty, overlong or malformed label", "a domain")
    return ascii_domain


def _literal(domain: str) -> str:
    """RFC 5321 section 4.1.3: [192.0.2.1], [IPv6:2001:db8::1] or [tag:content]."""
    inner = domain[1:-1]
    try:
        if inner[:5].upper() == "IPV6:":
            # A zone ("%eth0") means nothing to the other side.
            return f"[IPv6:{IPv6Address(inner[5:].replace('%', '?'))}]"
        if not _TAGGED_LITERAL.fullmatch(inner):
            return f"[{IPv4Address(inner)}]"
    except AddressValueError:
        raise _wrong(domain, "the address literal is malformed", "a domain") from None
    return domain


# A domain beyond ASCII behind its "@"; the local part in front of it stays as it is.
_U_LABELS = re.compile(rf"{_QUOTED}|\\.|@({_NAME}*(?!\s)[^\x00-\x7f]{_NAME}*)", re.DOTALL)


def needs_a_labels(text: str) -> bool:
    """An address list that names a domain beyond ASCII."""
    if text.isascii():
        return False
    return any(found[1] for piece, said in _by_comments(text) if said for found in _U_LABELS.finditer(piece))


def with_a_labels(text: str) -> str:
    """Write the domains of an address list in A-labels; everything else stays."""

    def written(found: re.Match[str]) -> str:
        return f"@{a_labels(found[1])}" if found[1] else found[0]

    return "".join(_U_LABELS.sub(written, piece) if said else piece for piece, said in _by_comments(text))


def _by_comments(text: str) -> Iterator[tuple[str, bool]]:
    """A list cut where its comments are, and whether each piece is none: an "@" in a comment names nobody."""
    for said, tokens in groupby(_nested(text), lambda token: token[1] <= 0):
        yield "".join(token for token, _ in tokens), said


def parse_list(text: str) -> list[Address]:
    """Read the addresses of a header field such as To (RFC 5322 section 3.4), in time linear in its length.

    Args:
        text: The field's value, folded or not. Groups and comments are understood.

    Raises:
        SMTPInputError: It is malformed. There is no guessing: a guess sends mail to strangers.
    """
    return [address for _, address in _listed(text)]


def addr_specs(text: str) -> list[str]:
    """The same addresses as they are spelled: without display names, domains not in A-labels yet."""
    return [_bare(mailbox) for mailbox, _ in _listed(text)]


def _listed(text: str) -> Iterator[tuple[str, Address]]:
    if len(text) > LIST_TEXT:
        raise SMTPInputError(f"an address list of {len(text)} characters; {LIST_TEXT} are allowed in a header")
    for mailbox in mailboxes(text):
        address = parse(mailbox)
        if not address.domain:
            raise _wrong(mailbox, "an address in a header needs a domain")
        yield mailbox, address


def mailboxes(text: str) -> Iterator[str]:
    """Split an address list at its commas and groups; give up early where it is made of nothing else."""
    piece, in_group, in_angle, idle = "", False, False, 0
    for token in _without_comments(re.sub(r"\r?\n(?=[ \t])", "", text)):
        # RFC 5322 allows any number of empty places and comments; the standard parser takes minutes over them.
        idle += token in _IDLE
        if idle > IDLE:
            raise _wrong(text, "it is made of commas and comments")
        if len(piece) > MAILBOX_TEXT:
            raise _wrong(piece, f"one address has more than {MAILBOX_TEXT} characters")
        if token in {",", ";"} and not in_angle:
            if token == ";" and not in_group:
                raise _wrong(text, "a ';' ends a group that never began")
            if piece.strip(" \t"):
                idle -= 10
                yield piece
            piece, in_group = "", in_group and token == ","
        elif token == ":" and not in_angle:
            if in_group or not _PHRASE.fullmatch(piece):
                raise _wrong(text, "a group inside a group" if in_group else "what stands before a ':' is no name")
            piece, in_group = "", True
        else:
            in_angle = token == "<" or (in_angle and token != ">")
            piece += token
    if in_group:
        raise _wrong(text, "a group without its ';'")
    if piece.strip(" \t"):
        yield piece


def _without_comments(text: str) -> Iterator[str]:
    """Give the tokens of a list, each comment as one space (RFC 5322 section 3.2.2)."""
    depth = 0
    for token, depth in _nested(text):
        if depth > COMMENT_DEPTH:
            raise _wrong(text, f"comments nested more than {COMMENT_DEPTH} deep")
        if depth < 0:
            raise _wrong(text, "a ')' without its '('")
        if token == ")":
            yield " "
        elif not depth:
            yield token
    if depth:
        raise _wrong(text, "a '(' without its ')'")


def _nested(text: str) -> Iterator[tuple[str, int]]:
    """Give the tokens of a list, each with the depth of comments behind it; below 0 at a ')' that ends none."""
    depth = position = 0
    while position < len(text):
        # Each of the two patterns matches at every character.
        found = cast("re.Match[str]", (_COMMENT_TOKEN if depth else _TOKEN).match(text, position))
        token, position = found[0], found.end()
        depth += (token == "(") - (token == ")")
        yield token, depth
        depth = max(depth, 0)
