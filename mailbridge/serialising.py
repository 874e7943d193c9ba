"""An `email.message` as octets: checked, written once, a large attachment never copied twice."""

from __future__ import annotations

import copy
import re
from base64 import encodebytes
from collections.abc import Callable
from email.errors import MessageError
from email.generator import BytesGenerator
from email.message import Message
from email.parser import BytesParser
from email.policy import SMTP, Compat32, Policy
from secrets import token_hex
from typing import Any, BinaryIO, cast

from .addresses import needs_a_labels, parse_list, with_a_labels
from .content import Content
from .errors import SMTPInputError
from .facts import printable
from .header import ADDRESS_FIELDS, check_field
from .wire import CHUNK

# Characters of an address field that the standard parser may see unseen.
ADDRESS_TEXT = 1_000
# Characters of a payload that the generator splits into lines at once.
_SLICE = 256 * 1024
_LINE_END = re.compile(r"\r\n|\r|\n")


class _Pieces:
    """A file that keeps what is written in pieces, and takes another one's over without a copy."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self._last = bytearray()

    def write(self, data: bytes | _Pieces) -> None:
        if isinstance(data, _Pieces):
            data.close()
            if len(data.pieces) > 1:
                self.close()
                self.pieces += data.pieces
                return
            data = data.pieces[0] if data.pieces else b""
        self._last += data
        if len(self._last) >= CHUNK:
            self.close()

    def close(self) -> None:
        if self._last:
            self.pieces.append(bytes(self._last))
            self._last = bytearray()

    def getvalue(self) -> _Pieces:
        return self

    def split(self, separator: bytes) -> list[bytes]:
        # The generator takes the text of a delivery status apart; those are small.
        self.close()
        return b"".join(self.pieces).split(separator)


class _Generator(BytesGenerator):
    """The standard generator without its copies.

    It renders each part into a buffer of its own and splits a payload into all of its lines:
    a 25 MB attachment costs it 170 MB. The two hooks below are private there; the test of
    the memory that a large attachment takes guards them.
    """

    def _new_buffer(self) -> _Pieces:
        return _Pieces()

    def _write_lines(self, lines: str) -> None:
        start = 0
        while start < len(lines):
            end = lines.find("\n", start + _SLICE) + 1 or len(lines)
            self.write(_LINE_END.sub("\r\n", lines[start:end]))
            start = end


def check(message: Message) -> None:
    """Refuse a message whose header fields would begin other ones, in any of its parts.

    Raises:
        SMTPInputError: See `mailbridge.header.check_field`; or a malformed list of addresses.
    """
    try:
        parts = list(message.walk())
    except (RecursionError, AttributeError) as error:
        raise SMTPInputError(f"the parts of the message cannot be read: {error}") from error
    for part in parts:
        for name, value in part.raw_items():
            text = _unfolded(value)
            check_field(name, str(value))
            # WIRE.md S11: the standard parser takes a long list of nonsense for ever, or recurses over it.
            if len(text) > ADDRESS_TEXT and name.lower() in ADDRESS_FIELDS:
                parse_list(text)


def fields_of(message: Message) -> list[tuple[str, str]]:
    """The fields of the header, unfolded, the addresses in them as they were written."""
    return [(name, _unfolded(value)) for name, value in message.raw_items()]


def _unfolded(value: object) -> str:
    """A field's value in one line. The standard parser keeps UTF-8 (RFC 6532) as surrogate escapes."""
    text = re.sub(r"\r?\n(?=[ \t])", "", str(value))
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def serialised(message: Message, *, utf8: bool = False) -> list[bytes]:
    """Write a message as canonical octets.

    Args:
        message: With a modern policy or `compat32`.
        utf8: Write the header in UTF-8 (RFC 6532) instead of encoded words.
    """
    message = _in_a_labels(message)
    _give_boundaries(message)
    policy: Any = message.policy.clone(linesep="\r\n", cte_type="8bit")
    if not isinstance(policy, Compat32):
        policy = policy.clone(utf8=utf8)
    return _written(message, policy)


def _written(message: Message, policy: Policy) -> list[bytes]:
    pieces = _Pieces()
    generator = _Generator(cast("BinaryIO", pieces), mangle_from_=False, policy=policy)
    try:
        generator.flatten(message, linesep="\r\n")
    except (MessageError, RecursionError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise SMTPInputError(f"the message cannot be serialised: {error}") from error
    pieces.close()
    return pieces.pieces


def _give_boundaries(message: Message) -> None:
    """Choose boundaries now: the generator would search a joined copy of all parts for one that is free."""
    for part in message.walk():
        if part.get_content_maintype() == "multipart" and part.get_boundary() is None:
            part.set_boundary(f"==={token_hex(16)}===")


def _in_a_labels(message: Message) -> Message:
    """A message whose address fields name domains in A-labels.

    Without this the standard generator hides the domain in an encoded word, where RFC 2047
    section 5 forbids them, or writes IDNA 2003, which names another domain for "faß.de".
    """
    return _reread(message, lambda name, text: name.lower() in ADDRESS_FIELDS and needs_a_labels(text))


def _reread(message: Message, wanted: Callable[[str, str], bool]) -> Message:
    """A copy in which the wanted fields are parsed anew, domains in A-labels; the message itself where none is."""
    fields = [(name, value, _unfolded(value)) for name, value in message.raw_items()]
    if not any(wanted(name, text) for name, _, text in fields):
        return message
    changed = copy.copy(message)
    for name in message:
        del changed[name]
    for name, value, text in fields:
        changed.set_raw(*_parsed(message, name, text) if wanted(name, text) else (name, value))
    return changed


def _parsed(message: Message, name: str, text: str) -> tuple[str, Any]:
    text = with_a_labels(text) if name.lower() in ADDRESS_FIELDS else text
    try:
        return message.policy.header_store_parse(name, text)
    except ValueError as error:
        raise SMTPInputError(f"the header field {name} cannot be encoded: {error}") from error


def downgraded(content: Content) -> list[bytes]:
    """Encode what a server cannot take as it is: 8-bit bodies in base64, a UTF-8 header in encoded words.

    This parses and copies the whole message. It happens only for a server without 8BITMIME or SMTPUTF8.

    Raises:
        SMTPInputError: The message does not parse into something that can be encoded.
    """
    message: Message = BytesParser(policy=SMTP).parsebytes(b"".join(content.pieces()))
    for name, text in fields_of(message):
        if name.lower() in ADDRESS_FIELDS and not text.isascii():
            _check_ascii(name, text)
    message = _reread(message, lambda _, text: not text.isascii())
    for part in message.walk():
        if not part.is_multipart():
            _encode(part)
    return _written(message, SMTP.clone(cte_type="7bit"))


def _check_ascii(name: str, text: str) -> None:
    """RFC 6531: no encoding makes a local part beyond ASCII fit for a server without SMTPUTF8."""
    if found := [address for address in parse_list(text) if address.needs_utf8]:
        raise SMTPInputError(f"{name} names {printable(str(found[0]))}, which only a server with SMTPUTF8 takes")


def _encode(part: Message) -> None:
    """Put the 8-bit body of one part into base64; without a charset it says what it can be read as."""
    if str(part.get_payload()).isascii():
        return
    payload = cast("bytes", part.get_payload(decode=True))
    if part.get_content_maintype() == "text" and not part.get_content_charset():
        part.set_param("charset", _charset(payload))
    del part["Content-Transfer-Encoding"]
    part["Content-Transfer-Encoding"] = "base64"
    part.set_payload(encodebytes(payload).decode("ascii"))
    if "MIME-Version" not in part:
        part["MIME-Version"] = "1.0"


def _charset(octets: bytes) -> str:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return "unknown-8bit"  # RFC 1428 section 3
    return "utf-8"
