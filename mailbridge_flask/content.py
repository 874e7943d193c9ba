"""The content of a message: text in its versions, attachments, and how they are put together."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from email.charset import Charset
from email.encoders import encode_7or8bit, encode_base64
from email.errors import CharsetError
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from mimetypes import guess_type

from mailbridge import SMTPInputError, printable

from .sanitize import force_text

# RFC 5322 section 2.1.1: octets of a line. Text with longer ones is encoded.
LINE = 998

# What email.charset does not know, and Python programs say.
_SPELLINGS = {"utf8": "utf-8", "latin1": "iso-8859-1"}

_CONTENT_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(\s*;[^\x00-\x1f\x7f]*)?", re.ASCII)


class Attachment:
    """A file that goes with a message.

    Attributes:
        filename: Its name for the reader.
        content_type: Guessed from the name or the data where it is not given.
        data: What is in it; nothing is ever read from a path.
        disposition: "attachment", or "inline" for a picture that the HTML shows.
        headers: Further header fields, such as Content-ID.
    """

    def __init__(
        self,
        filename: str | None = None,
        content_type: str | None = None,
        data: str | bytes | None = None,
        disposition: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        if data is None:
            raise SMTPInputError("an attachment needs its data")
        if not isinstance(data, str | bytes | bytearray | memoryview):
            raise SMTPInputError(f"the data of an attachment is str or bytes, not {type(data).__name__}")
        self.filename = filename
        self.content_type = content_type or _guessed(filename, data)
        self.data = data
        self.disposition = disposition or "attachment"
        self.headers = headers or {}

    def part(self, *, ascii_name: bool = False) -> MIMEBase:
        """Write it as a part of a message, in base64.

        Args:
            ascii_name: Spell the file's name in ASCII, for readers that do not know RFC 2231.

        Raises:
            SMTPInputError: Its content type is none.
        """
        if not _CONTENT_TYPE.fullmatch(self.content_type):
            raise SMTPInputError(
                f"{printable(repr(self.content_type), 100)} is not a content type such as application/pdf"
            )
        maintype, _, subtype = self.content_type.partition("/")
        part = MIMEBase(maintype, subtype)
        if isinstance(self.data, str):
            part.set_payload(self.data.encode())
            if maintype == "text" and part.get_param("charset") is None:
                part.set_param("charset", "utf-8")
        else:
            part.set_payload(bytes(self.data))
        encode_base64(part)
        part.add_header("Content-Disposition", self.disposition, **self._name(ascii_name=ascii_name))
        for name, value in self.headers.items():
            del part[name]
            part[name] = force_text(value)
        return part

    def _name(self, *, ascii_name: bool) -> dict[str, str | tuple[str, str, str]]:
        if self.filename is None:
            return {}
        name = force_text(self.filename)
        if ascii_name:
            plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
            name = " ".join(plain.split())
        # RFC 2231 section 4: charset, language and value.
        return {"filename": name if name.isascii() else ("utf-8", "", name)}


def _guessed(filename: str | None, data: object) -> str:
    kind, encoding = guess_type(filename) if filename else (None, None)
    # A packed file is not of the type of what is in it.
    if kind and not encoding:
        return kind
    return "text/plain" if isinstance(data, str) and not encoding else "application/octet-stream"


def charset_name(charset: str | None) -> str:
    """What mail calls a charset: Python's "latin-1" is iso-8859-1, and shift_jis travels as iso-2022-jp.

    Raises:
        SMTPInputError: Nobody calls one so.
    """
    name = charset or "utf-8"
    try:
        return _SPELLINGS.get(name.lower()) or Charset(name).output_charset or name
    except CharsetError:
        raise SMTPInputError(f"{printable(repr(name), 100)} is not a charset") from None


def text(words: object, subtype: str, charset: str) -> MIMEBase:
    """Write a text as a part, readable as it stands where its lines are short enough.

    Raises:
        SMTPInputError: The charset is unknown, or does not hold the text.
    """
    # What a lazy text raises is its own matter, and no complaint about the charset.
    words = words if isinstance(words, bytes) else str(words)
    try:
        octets = force_text(words).encode(charset)
        lines_stand = "\r\n".encode(charset) == b"\r\n"
    except (LookupError, UnicodeError) as error:
        raise SMTPInputError(f"the {subtype} text does not fit the charset {charset!r}: {error}") from None
    if not lines_stand:
        # RFC 2046 section 4.1.1: CRLF, and nothing else, ends the lines of a text, as octets.
        raise SMTPInputError(f"mail cannot carry text in the charset {charset!r}: use utf-8")
    part = MIMENonMultipart("text", subtype, charset=charset)
    if max(map(len, octets.splitlines()), default=0) > LINE:
        part.set_payload(octets)
        encode_base64(part)
    else:
        part.set_payload(octets.decode("ascii", "surrogateescape"))
        encode_7or8bit(part)
    return part


def assembled(
    body: object, alts: Mapping[str, str], attachments: Sequence[Attachment], *, charset: str, ascii_names: bool
) -> MIMEBase:
    """Put a message's parts together, in no more layers than it needs.

    Args:
        body: The plain text, or None.
        alts: Other versions of it by subtype, such as "html".
        attachments: The files.
        charset: Of the texts.
        ascii_names: Spell the files' names in ASCII.

    Raises:
        SMTPInputError: A part cannot be written.
    """
    versions = [text(words, subtype, charset) for subtype, words in alts.items()]
    if body is not None or not versions:
        versions.insert(0, text("" if body is None else body, "plain", charset))
    whole = versions[0] if len(versions) == 1 else MIMEMultipart("alternative", _subparts=versions)
    if not attachments:
        return whole
    files = [attachment.part(ascii_name=ascii_names) for attachment in attachments]
    return MIMEMultipart("mixed", _subparts=[whole, *files])
