"""An `email.message` as octets: checked, written once, a large attachment never copied twice."""

from __future__ import annotations

import copy
import re
from base64 import encodebytes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.errors import InvalidHeaderDefect, MessageError
from email.generator import BytesGenerator
from email.message import Message
from email.parser import BytesFeedParser
from email.policy import SMTP, Compat32, Policy
from secrets import token_hex
from typing import Any, BinaryIO, cast

from .addresses import needs_a_labels, parse_list, with_a_labels
from .content import Content
from .errors import SMTPInputError
from .facts import printable
from .header import ADDRESS_FIELDS, check_field, rewritten
from .wire import CHUNK, canonical, cut

# Characters of an address field that the standard parser may see unseen.
ADDRESS_TEXT = 1_000
# RFC 5321 section 4.5.3.1.6: octets of a line of text, without its end.
LINE = 998
# Characters of a payload that the generator splits into lines at once.
_SLICE = 256 * 1024
_SEVEN_BIT = SMTP.clone(cte_type="7bit")
# Octets that fill lines of base64, 57 each.
_WHOLE_LINES = 57 * 4096
# What the standard library raises over a message that it cannot write.
_UNFIT = (MessageError, RecursionError, ValueError, TypeError, LookupError, AttributeError)
_LINE_END = re.compile(r"\r\n|\r|\n")
_FOLD = re.compile(r"\r?\n(?=[ \t])")


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
            with _encoding(name):
                text = _unfolded(value)
            check_field(name, str(value))
            if _guessed(value):
                raise SMTPInputError(f"{name} is not a list of addresses: {printable(repr(text), 200)}")
            # WIRE.md S11: the standard parser takes a long list of nonsense for ever, or recurses over it.
            if len(text) > ADDRESS_TEXT and name.lower() in ADDRESS_FIELDS:
                parse_list(text)


def _guessed(value: object) -> bool:
    """The standard parser made an address of something that is none, such as "an n@example.org".

    It would stand in the header as it was written and in the envelope as it was guessed (WIRE.md S10).
    """
    if not any(isinstance(defect, InvalidHeaderDefect) for defect in getattr(value, "defects", ())):
        return False
    return any(" " in address.username and address.domain for address in getattr(value, "addresses", ()))


def fields_of(message: Message) -> list[tuple[str, str]]:
    """The fields of the header, unfolded, the addresses in them as they were written."""
    return [(name, _unfolded(value)) for name, value in message.raw_items()]


def _unfolded(value: object) -> str:
    """A field's value in one line. The standard parser keeps UTF-8 (RFC 6532) as surrogate escapes."""
    text = str(value)
    if "\n" in text:
        text = _FOLD.sub("", text)
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def serialised(message: Message, *, utf8: bool = False) -> list[bytes]:
    """Write a message as canonical octets.

    Args:
        message: With a modern policy or `compat32`.
        utf8: Write the header in UTF-8 (RFC 6532) instead of encoded words.
    """
    message = _with_short_lines(_in_a_labels(message, utf8=utf8))
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
    except _UNFIT as error:
        raise SMTPInputError(f"the message cannot be serialised: {error}") from error
    pieces.close()
    return pieces.pieces


def _give_boundaries(message: Message) -> None:
    """Choose boundaries now: the generator would search a joined copy of all parts for one that is free."""
    for part in message.walk():
        if part.get_content_maintype() == "multipart" and part.get_boundary() is None:
            part.set_boundary(f"==={token_hex(16)}===")


def _with_short_lines(part: Message) -> Message:
    """A message whose lines SMTP can carry: a copy of each part with longer ones, in base64; the rest as it is.

    Servers cut such lines apart, where a signature breaks, or refuse them. A signed part stays what was signed.
    """
    # get_payload() would decode the octets and replace what does not decode.
    payload = vars(part)["_payload"]
    if isinstance(payload, list) and part.get_content_type() != "multipart/signed":
        parts = [_with_short_lines(each) if isinstance(each, Message) else each for each in payload]
        if any(new is not old for new, old in zip(parts, payload, strict=True)):
            part = copy.copy(part)
            part.set_payload(parts)
    elif isinstance(payload, str) and _has_long_line(payload) and _may_be_encoded(part, payload):
        part = copy.copy(part)
        _in_base64(part, b"".join(canonical([payload.encode("ascii", "surrogateescape")])))
    return part


def _has_long_line(text: str) -> bool:
    start = 0
    while len(text) - start > LINE:
        end = max(text.rfind(line_end, start, start + LINE + 1) for line_end in "\r\n")
        if end < 0:
            return True
        start = end + 1
    return False


def _may_be_encoded(part: Message, payload: str) -> bool:
    """RFC 2046 sections 5.1 and 5.2: containers stay as they are, and so does what is encoded already."""
    encoding = str(part.get("Content-Transfer-Encoding", "7bit")).strip().lower()
    octets = all(char < "\x80" or "\udc80" <= char <= "\udcff" for char in set(payload))
    return octets and encoding in {"7bit", "8bit"} and part.get_content_maintype() not in {"multipart", "message"}


def _in_a_labels(message: Message, *, utf8: bool) -> Message:
    """A message whose address fields name domains in A-labels, and have encoded words in display names alone.

    Without this the standard generator hides the domain in an encoded word, where RFC 2047
    section 5 forbids them, or writes IDNA 2003, which names another domain for "faß.de". With
    `compat32` it hides the whole address.
    """
    old = isinstance(message.policy, Compat32)

    def wanted(name: str, text: str) -> bool:
        return name.lower() in ADDRESS_FIELDS and (needs_a_labels(text) or (old and not text.isascii()))

    def parsed(name: str, text: str) -> tuple[str, Any]:
        if not old:
            return _parsed(message.policy, name, text)
        written = _folded(SMTP.clone(utf8=utf8), name, text).removeprefix(f"{name}:".encode())
        # This is how the policy keeps octets, which it writes as they are.
        return name, written.replace(b"\r\n", b"").strip().decode("ascii", "surrogateescape")

    return _reread(message, wanted, parsed)


def _reread(message: Message, wanted: Callable[[str, str], bool], parsed: Callable[[str, str], Any]) -> Message:
    """A copy in which the wanted fields are parsed anew; the message itself where none is."""
    fields = [(name, value, _unfolded(value)) for name, value in message.raw_items()]
    if not any(wanted(name, text) for name, _, text in fields):
        return message
    changed = copy.copy(message)
    for name in message:
        del changed[name]
    for name, value, text in fields:
        changed.set_raw(*parsed(name, text) if wanted(name, text) else (name, value))
    return changed


@contextmanager
def _encoding(name: str) -> Iterator[None]:
    try:
        yield
    except _UNFIT as error:
        raise SMTPInputError(f"the header field {name} cannot be encoded: {error}") from error


def _parsed(policy: Policy, name: str, text: str) -> tuple[str, Any]:
    text = with_a_labels(text) if name.lower() in ADDRESS_FIELDS else text
    with _encoding(name):
        return policy.header_store_parse(name, text.strip(" \t"))


def _folded(policy: Policy, name: str, text: str) -> bytes:
    name, value = _parsed(policy, name, text)
    with _encoding(name):
        return policy.fold_binary(name, value)


def ascii_header(header: bytes) -> bytes:
    """Write a canonical header in ASCII: encoded words (RFC 2047), A-labels in addresses.

    Raises:
        SMTPInputError: A local part beyond ASCII, or octets that belong to no field.
    """

    def rewrite(name: str, text: str) -> bytes:
        if name.lower() in ADDRESS_FIELDS:
            _check_ascii(name, text)
        return _folded(_SEVEN_BIT, name, text)

    if not (written := rewritten(header, rewrite)).isascii():
        raise SMTPInputError("the header has a line beyond ASCII that is no field")
    return written


def downgraded(content: Content) -> list[bytes]:
    """Encode what a server cannot take as it is: 8-bit bodies in base64, a UTF-8 header in encoded words.

    This parses the whole message and costs several copies of it. It happens only for an 8-bit body and a server
    without 8BITMIME, which are rare.

    Raises:
        SMTPInputError: The message does not parse into something that can be encoded.
    """
    parser = BytesFeedParser(policy=SMTP)
    parser.feed(ascii_header(content.header))
    for piece in cut(content.canonical_body(), CHUNK):
        parser.feed(bytes(piece))
    message: Message = parser.close()
    for part in message.walk():
        if not part.is_multipart():
            _encode(part)
    return _written(message, _SEVEN_BIT)


def _check_ascii(name: str, text: str) -> None:
    """RFC 6531: no encoding makes a local part beyond ASCII fit for a server without SMTPUTF8."""
    if found := [address for address in parse_list(text) if address.needs_utf8]:
        raise SMTPInputError(f"{name} names {printable(str(found[0]))}, which only a server with SMTPUTF8 takes")


def _encode(part: Message) -> None:
    """Put the body of one part into base64 where it is 8-bit."""
    if str(part.get_payload()).isascii():
        return
    payload = cast("bytes", part.get_payload(decode=True))
    part.set_payload("")  # frees a copy
    _in_base64(part, payload)


def _in_base64(part: Message, payload: bytes) -> None:
    """Give a part these octets as its body; without a charset it says what it can be read as."""
    if part.get_content_maintype() == "text" and not part.get_content_charset():
        with _encoding("Content-Type"):
            part.set_param("charset", _charset(payload))
    del part["Content-Transfer-Encoding"]
    part["Content-Transfer-Encoding"] = "base64"
    slices = (payload[start : start + _WHOLE_LINES] for start in range(0, len(payload), _WHOLE_LINES))
    part.set_payload("".join(encodebytes(octets).decode("ascii") for octets in slices))
    if "MIME-Version" not in part:
        part["MIME-Version"] = "1.0"


def _charset(octets: bytes) -> str:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return "unknown-8bit"  # RFC 1428 section 3
    return "utf-8"
