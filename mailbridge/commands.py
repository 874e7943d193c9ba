"""One frozen dataclass per command. `line` is the only way for a caller's value onto the wire."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from .addresses import Address
from .errors import SMTPInputError
from .facts import Phase, printable
from .parameters import MailOptions, RcptOptions

# RFC 5321 section 4.5.3.1.4 gives 512 octets, and each extension adds its own (ORCPT alone 500).
LINE = 2_048
# RFC 4954 section 4: a client must manage lines of 12,288 octets in an AUTH exchange.
AUTH_LINE = 12_288
# RFC 4954 section 4: an initial response goes only where the whole AUTH command fits in 512 octets.
INITIAL_LINE = 512

# Checked on the encoded octets, so that no decoding of the server's can bring a line end back.
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


def line(*words: bytes, limit: int = LINE) -> bytes:
    """Join words to one command line: no control octets within, one CRLF at its end.

    Raises:
        SMTPInputError: A word holds a control octet, or the line is too long.
    """
    text = b" ".join(words)
    if found := _CONTROL.search(text):
        where = printable(text[: found.start()].decode("utf-8", "replace"), 100)
        raise SMTPInputError(f"a command must not hold the control octet 0x{found[0][0]:02X} (after {where!r})")
    if len(text) + 2 > limit:
        raise SMTPInputError(f"a {words[0].decode('ascii', 'replace')} line of {len(text) + 2} octets; {limit} fit")
    return text + b"\r\n"


def _word(text: str, name: str) -> bytes:
    """A caller's argument as one word: ASCII, without spaces."""
    if not text.isascii() or " " in text or not text:
        raise SMTPInputError(f"{name} must be one word of ASCII, not {printable(repr(text), 100)}")
    return text.encode("ascii")


@dataclass(frozen=True, slots=True)
class Command:
    """What all commands share.

    Attributes:
        phase: What a failure of this command is called.
        positive: The first digits of the replies that say yes.
        ends_group: RFC 2920 section 3.1: nothing may follow before its reply.
        secret: The transcript hides what is sent.
    """

    phase: ClassVar[Phase] = Phase.COMMAND
    positive: ClassVar[frozenset[int]] = frozenset({2})
    ends_group: ClassVar[bool] = True
    secret: ClassVar[bool] = False

    @property
    def commits(self) -> bool:
        """Its last octet is the commit point: from there on the server may have the whole message."""
        return False

    def serialize(self) -> bytes:
        """The command as one line with its CRLF."""
        raise NotImplementedError


class Greeting(Command):
    """No command at all: the server speaks first (RFC 5321 section 3.1)."""

    __slots__ = ()
    phase = Phase.GREETING

    def serialize(self) -> bytes:
        return b""


@dataclass(frozen=True, slots=True)
class Hello(Command):
    """EHLO, HELO or LHLO: the client says its name."""

    phase: ClassVar[Phase] = Phase.HELLO
    name: str
    verb: ClassVar[bytes] = b"EHLO"

    def serialize(self) -> bytes:
        return line(self.verb, _word(self.name, "the name that the client says in EHLO"))


class Ehlo(Hello):
    """RFC 5321 section 4.1.1.1."""

    __slots__ = ()


class Helo(Hello):
    """RFC 5321 section 4.1.1.1, for a server that knows no EHLO."""

    __slots__ = ()
    verb = b"HELO"


class Lhlo(Hello):
    """RFC 2033 section 4.1."""

    __slots__ = ()
    verb = b"LHLO"


@dataclass(frozen=True, slots=True)
class StartTLS(Command):
    """RFC 3207 section 4."""

    phase: ClassVar[Phase] = Phase.STARTTLS

    def serialize(self) -> bytes:
        return line(b"STARTTLS")


@dataclass(frozen=True, slots=True)
class Auth(Command):
    """RFC 4954 section 4, with an initial response in base64 or without one."""

    phase: ClassVar[Phase] = Phase.AUTH
    positive: ClassVar[frozenset[int]] = frozenset({2, 3})
    secret: ClassVar[bool] = True
    mechanism: str
    initial: bytes | None = field(default=None, repr=False)

    def serialize(self) -> bytes:
        words = [b"AUTH", _word(self.mechanism, "the AUTH mechanism")]
        return line(*words, *([] if self.initial is None else [self.initial]), limit=INITIAL_LINE)

    @property
    def fits(self) -> bool:
        """The initial response fits into the line."""
        taken = len("AUTH ") + len(self.mechanism) + 1 + len(self.initial or b"") + 2
        return taken <= INITIAL_LINE


@dataclass(frozen=True, slots=True)
class AuthResponse(Command):
    """The client's answer to a 334: base64, empty, or "*" to give up (RFC 4954 section 4)."""

    phase: ClassVar[Phase] = Phase.AUTH
    positive: ClassVar[frozenset[int]] = frozenset({2, 3})
    secret: ClassVar[bool] = True
    response: bytes = field(repr=False)

    def serialize(self) -> bytes:
        return line(self.response, limit=AUTH_LINE)


@dataclass(frozen=True, slots=True)
class Mail(Command):
    """MAIL FROM (RFC 5321 section 4.1.1.2). A sender of None is the null reverse-path.

    Attributes:
        sender: The reverse-path.
        size: RFC 1870: octets of the content.
        body: RFC 6152 and 3030: "7BIT", "8BITMIME" or "BINARYMIME".
        utf8: RFC 6531: the SMTPUTF8 parameter.
        options: What else the message asks for.
    """

    phase: ClassVar[Phase] = Phase.MAIL
    ends_group: ClassVar[bool] = False
    sender: Address | None
    size: int | None = None
    body: str | None = None
    utf8: bool = False
    options: MailOptions | None = None

    def _words(self) -> Iterator[bytes]:
        if self.size is not None:
            # "%d" would take a string's digits; only a number is a size (WIRE.md S7).
            yield f"SIZE={int(self.size):d}".encode()
        if self.body is not None:
            yield b"BODY=" + _word(self.body, "the body type")
        if self.utf8:
            yield b"SMTPUTF8"
        if self.options is not None:
            yield from (word.encode() for word in self.options.words())

    def serialize(self) -> bytes:
        path = self.sender.path if self.sender else b"<>"
        return line(b"MAIL FROM:" + path, *self._words())


@dataclass(frozen=True, slots=True)
class Rcpt(Command):
    """RCPT TO (RFC 5321 section 4.1.1.3)."""

    phase: ClassVar[Phase] = Phase.RCPT
    ends_group: ClassVar[bool] = False
    recipient: Address
    options: RcptOptions | None = None

    def serialize(self) -> bytes:
        words = (word.encode() for word in self.options.words()) if self.options else ()
        return line(b"RCPT TO:" + self.recipient.path, *words)


@dataclass(frozen=True, slots=True)
class Data(Command):
    """DATA (RFC 5321 section 4.1.1.4)."""

    phase: ClassVar[Phase] = Phase.DATA
    positive: ClassVar[frozenset[int]] = frozenset({3})

    def serialize(self) -> bytes:
        return line(b"DATA")


@dataclass(frozen=True, slots=True)
class EndOfData(Command):
    """The line with the dot that ends the content of DATA. Its last octet is the commit point.

    SERVERS.md P1: RFC 2920 would let the next group follow, but four of ten servers break on it.
    """

    phase: ClassVar[Phase] = Phase.CONTENT

    @property
    def commits(self) -> bool:
        return True

    def serialize(self) -> bytes:
        return line(b".")


@dataclass(frozen=True, slots=True)
class Bdat(Command):
    """BDAT with the octets of one chunk behind it (RFC 3030 section 2). LAST is the commit point."""

    phase: ClassVar[Phase] = Phase.CONTENT
    ends_group: ClassVar[bool] = False
    size: int
    last: bool = False

    @property
    def commits(self) -> bool:
        return self.last

    def serialize(self) -> bytes:
        return line(b"BDAT", str(int(self.size)).encode(), *([b"LAST"] if self.last else []))


@dataclass(frozen=True, slots=True)
class Rset(Command):
    """RSET (RFC 5321 section 4.1.1.5)."""

    phase: ClassVar[Phase] = Phase.RESET
    ends_group: ClassVar[bool] = False

    def serialize(self) -> bytes:
        return line(b"RSET")


@dataclass(frozen=True, slots=True)
class Noop(Command):
    """NOOP (RFC 5321 section 4.1.1.9)."""

    def serialize(self) -> bytes:
        return line(b"NOOP")


@dataclass(frozen=True, slots=True)
class Quit(Command):
    """QUIT (RFC 5321 section 4.1.1.10)."""

    phase: ClassVar[Phase] = Phase.QUIT

    def serialize(self) -> bytes:
        return line(b"QUIT")


@dataclass(frozen=True, slots=True)
class Generic(Command):
    """A command of the caller's own. Spaces in its argument are the caller's."""

    verb: str
    argument: str = ""

    def serialize(self) -> bytes:
        words = [_word(self.verb, "the verb")]
        if self.argument:
            words.append(self.argument.encode("utf-8", "surrogateescape"))
        return line(*words)


@dataclass(frozen=True, slots=True)
class Vrfy(Command):
    """VRFY, which asks whether a mailbox exists (RFC 5321 section 4.1.1.6, RFC 6531 section 3.7.4.2)."""

    address: Address
    utf8: bool = False

    def serialize(self) -> bytes:
        return line(b"VRFY", str(self.address).encode(), *([b"SMTPUTF8"] if self.utf8 else []))


@dataclass(frozen=True, slots=True)
class Expn(Command):
    """EXPN, which asks for the members of a list (RFC 5321 section 4.1.1.7, RFC 6531 section 3.7.4.2)."""

    name: str
    utf8: bool = False

    def serialize(self) -> bytes:
        return line(b"EXPN", self.name.encode(), *([b"SMTPUTF8"] if self.utf8 else []))


@dataclass(frozen=True, slots=True)
class Help(Command):
    """HELP, in general or on a topic (RFC 5321 section 4.1.1.8)."""

    topic: str = ""

    def serialize(self) -> bytes:
        return line(b"HELP", *([self.topic.encode()] if self.topic else []))
