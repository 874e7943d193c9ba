"""An `email.message` as octets: checked, written once, a large attachment never copied twice."""

from __future__ import annotations

import copy
import re
from base64 import encodebytes
from email.generator import BytesGenerator
from email.message import Message
from email.parser import BytesParser
from email.policy import SMTP
from email.policy import Compat32, Policy
from secrets import token_hex
from typing import Any, BinaryIO, cast

from .addresses import LIST_TEXT, needs_a_labels, with_a_labels
from .content import Content
from .errors import SMTPInputError
from .header import ADDRESS_FIELDS, check_field
from .wire import CHUNK

# Characters of a payload that the generator splits into lines at once.
_SLICE = 256 * 1024


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
        write: Any = super()._write_lines  # type: ignore[misc]  # typeshed leaves the hook out
        start = 0
        while len(lines) - start > _SLICE:
            end = lines.find("\n", start + _SLICE) + 1
            if not end:
                break
            write(lines[start:end])
            start = end
        write(lines[start:] if start else lines)


def check(message: Message) -> None:
    """Refuse a message whose header fields would begin other ones, in any of its parts.

    Raises:
        SMTPInputError: See `mailbridge.header.check_field`; or a header too large to be one.
    """
    for part in message.walk():
        for name, value in part.raw_items():
            text = str(value)
            check_field(name, text)
            # WIRE.md S11: the standard parser recurses over what stands in an address field.
            if len(text) > LIST_TEXT and name.lower() in ADDRESS_FIELDS:
                raise SMTPInputError(f"{name} has {len(text)} characters; {LIST_TEXT} are allowed in a header")


def fields_of(message: Message) -> list[tuple[str, str]]:
    """The fields of the header, unfolded, the addresses in them as they were written."""
    return [(name, re.sub(r"\r?\n(?=[ \t])", "", str(value))) for name, value in message.raw_items()]


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
    except (RecursionError, UnicodeError, ValueError, TypeError, LookupError) as error:
        raise SMTPInputError(f"the message cannot be serialised: {error}") from error
    pieces.close()
    return pieces.pieces


def _give_boundaries(message: Message) -> None:
    """Choose boundaries now: the generator would search a joined copy of all parts for one that is free."""
    for part in message.walk():
        if part.get_content_maintype() == "multipart" and part.get_boundary() is None:
            part.set_boundary(f"==={token_hex(16)}===")


def _in_a_labels(message: Message) -> Message:
    """A copy whose address fields name domains in A-labels, where any needs it.

    Without this the standard generator hides the domain in an encoded word, where RFC 2047
    section 5 forbids them, or writes IDNA 2003, which names another domain for "faß.de".
    """
    wanted = [
        (name, str(value))
        for name, value in message.raw_items()
        if name.lower() in ADDRESS_FIELDS and needs_a_labels(str(value))
    ]
    if not wanted:
        return message
    changed = copy.copy(message)
    for name, _ in wanted:
        del changed[name]
    for name, value in wanted:
        changed[name] = with_a_labels(value)
    return changed


def downgraded(content: Content) -> list[bytes]:
    """Encode what a server cannot take as it is: 8-bit bodies in base64, a UTF-8 header in encoded words.

    This parses and copies the whole message. It happens only for a server without 8BITMIME or SMTPUTF8.

    Raises:
        SMTPInputError: The message does not parse into something that can be encoded.
    """
    message = BytesParser(policy=SMTP).parsebytes(b"".join(content.pieces()))
    for name in dict.fromkeys(message.keys()):
        values = [str(value) for value in message.get_all(name, [])]
        if not all(value.isascii() for value in values):
            del message[name]
            for value in values:
                message[name] = value
    for part in message.walk():
        if not part.is_multipart():
            _encode(part)
    return _written(message, SMTP.clone(cte_type="7bit"))


def _encode(part: Message) -> None:
    """Put the 8-bit body of one part into base64; without a charset it says what it can be read as."""
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes) or payload.isascii():
        return
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
