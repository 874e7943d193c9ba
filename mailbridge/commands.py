"""One class per command, which never changes. `line` is the only way for a caller's value onto the wire."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import ClassVar, Final

from .addresses import Address
from .auth import hushed
from .errors import SMTPInputError
from .facts import Phase, printable
from .parameters import MailOptions, RcptOptions
from .replies import Reply

# RFC 5321 section 4.5.3.1.4 gives 512 octets, and each extension adds its own (ORCPT alone 500).
LINE = 2_048
# RFC 4954 section 4: a client must manage lines of 12,288 octets in an AUTH exchange.
AUTH_LINE = 12_288
# RFC 4954 section 4: an initial response goes only where the whole AUTH command fits in 512 octets.
INITIAL_LINE = 512

# Verbs that lead to another state; a stray one of them would put the dialogue out of step.
STATEFUL = frozenset(["EHLO", "HELO", "LHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "QUIT"])

# Checked on the encoded octets, so that no decoding of the server's can bring a line end back.
_CONTROLS = bytes([*range(32), 127])
_CONTROL = re.compile(b"[" + re.escape(_CONTROLS) + b"]")


def line(words: Iterable[bytes], limit: int = LINE) -> bytes:
    """Join words to one command line: no control octets within, one CRLF at its end.

    Raises:
        SMTPInputError: A word holds a control octet, or the line is too long.
    """
    text = b" ".join(words)
    # To delete them all takes a third of the time of a search.
    if len(text.translate(None, _CONTROLS)) != len(text) and (found := _CONTROL.search(text)):
        where = printable(text[: found.start()].decode("utf-8", "replace"), 100)
        raise SMTPInputError(f"a command must not hold the control octet 0x{found[0][0]:02X} (after {where!r})")
    if len(text) + 2 > limit:
        verb = text.partition(b" ")[0].decode("ascii", "replace")
        raise SMTPInputError(f"a {verb} line of {len(text) + 2} octets; {limit} fit")
    return text + b"\r\n"


def _octets(text: str, name: str) -> bytes:
    """A caller's argument in UTF-8; octets that came in as surrogate escapes go out as they were."""
    with suppress(UnicodeEncodeError):
        return text.encode("utf-8", "surrogateescape")
    raise SMTPInputError(f"{name} holds a character that UTF-8 does not have: {printable(text, 100)}")


def _number(value: int, name: str) -> bytes:
    """A caller's number as digits; a string is none, whatever its digits (WIRE.md S7)."""
    if type(value) is not int or value < 0:
        raise SMTPInputError(f"{name} must be a number from 0, not {printable(repr(value), 100)}")
    return str(value).encode()


def _word(text: str, name: str) -> bytes:
    """A caller's argument as one word: ASCII, without spaces."""
    if not text.isascii() or " " in text or not text:
        raise SMTPInputError(f"{name} must be one word of ASCII, not {printable(repr(text), 100)}")
    return text.encode("ascii")


class Command:
    """What all commands share. What one is made of is Final: an exchange holds it until its last reply.

    Attributes:
        phase: What a failure of this command is called.
        positive: The first digits of the replies that say yes.
        ends_group: RFC 2920 section 3.1: nothing may follow before its reply.
        secret: The transcript hides what is sent.
        keyword: The verb of a command that has always the same one.
        limit: The most octets of its line.
    """

    phase: ClassVar[Phase] = Phase.COMMAND
    positive: ClassVar[frozenset[int]] = frozenset({2})
    ends_group: ClassVar[bool] = True
    secret: ClassVar[bool] = False
    keyword: ClassVar[bytes] = b""
    limit: ClassVar[int] = LINE

    @property
    def commits(self) -> bool:
        """Its last octet is the commit point: from there on the server may have the whole message."""
        return False

    def hushed(self, reply: Reply) -> Reply:
        """A reply to this command, without its secret should the server repeat it (WIRE.md S16)."""
        return reply

    def _words(self) -> list[bytes]:
        return [self.keyword]

    def serialize(self) -> bytes:
        """The command as one line with its CRLF.

        Raises:
            SMTPInputError: A value does not fit into one line.
        """
        if not self.secret:
            return line(self._words(), self.limit)
        with suppress(SMTPInputError):
            return line(self._words(), self.limit)
        # Neither the sentence nor a traceback that shows local variables may hold the secret (WIRE.md S16).
        raise SMTPInputError(f"an AUTH line takes words of base64, {self.limit} octets in all")


class Greeting(Command):
    """No command at all: the server speaks first (RFC 5321 section 3.1)."""

    phase = Phase.GREETING

    def serialize(self) -> bytes:
        """Nothing is said."""
        return b""


class Hello(Command):
    """EHLO, HELO or LHLO: the client says its name."""

    phase: ClassVar[Phase] = Phase.HELLO
    keyword: ClassVar[bytes] = b"EHLO"

    def __init__(self, name: str) -> None:
        self.name: Final = name

    def _words(self) -> list[bytes]:
        return [self.keyword, _word(self.name, "the name that the client says in EHLO")]


class Ehlo(Hello):
    """RFC 5321 section 4.1.1.1."""


class Helo(Hello):
    """RFC 5321 section 4.1.1.1, for a server that knows no EHLO."""

    keyword = b"HELO"


class Lhlo(Hello):
    """RFC 2033 section 4.1."""

    keyword = b"LHLO"


class StartTLS(Command):
    """RFC 3207 section 4."""

    phase: ClassVar[Phase] = Phase.STARTTLS
    keyword: ClassVar[bytes] = b"STARTTLS"


class Auth(Command):
    """RFC 4954 section 4, with an initial response in base64 or without one."""

    phase: ClassVar[Phase] = Phase.AUTH
    positive: ClassVar[frozenset[int]] = frozenset({2, 3})
    secret: ClassVar[bool] = True
    limit: ClassVar[int] = INITIAL_LINE

    def __init__(self, mechanism: str, initial: bytes | None = None) -> None:
        self.mechanism: Final = mechanism
        self.initial: Final = initial

    def _words(self) -> list[bytes]:
        words = [b"AUTH", _word(self.mechanism, "the AUTH mechanism")]
        return words if self.initial is None else [*words, self.initial]

    def hushed(self, reply: Reply) -> Reply:
        return hushed(reply, self.initial or b"")

    @property
    def fits(self) -> bool:
        """The initial response fits into the line."""
        return len(f"AUTH {self.mechanism} \r\n") + len(self.initial or b"") <= INITIAL_LINE


class AuthResponse(Command):
    """The client's answer to a 334: base64, empty, or "*" to give up (RFC 4954 section 4)."""

    phase: ClassVar[Phase] = Phase.AUTH
    positive: ClassVar[frozenset[int]] = frozenset({2, 3})
    secret: ClassVar[bool] = True
    limit: ClassVar[int] = AUTH_LINE

    def __init__(self, response: bytes) -> None:
        self.response: Final = response

    def hushed(self, reply: Reply) -> Reply:
        return hushed(reply, self.response)

    def _words(self) -> list[bytes]:
        return [self.response]


class Mail(Command):
    """MAIL FROM (RFC 5321 section 4.1.1.2)."""

    phase: ClassVar[Phase] = Phase.MAIL
    ends_group: ClassVar[bool] = False

    def __init__(
        self,
        sender: Address | None,
        size: int | None = None,
        body: str | None = None,
        utf8: bool = False,
        options: MailOptions | None = None,
    ) -> None:
        """Name the sender.

        Args:
            sender: The reverse-path; None is the null one.
            size: RFC 1870: octets of the content.
            body: RFC 6152 and 3030: "7BIT", "8BITMIME" or "BINARYMIME".
            utf8: RFC 6531: the SMTPUTF8 parameter.
            options: What else the message asks for.
        """
        self.sender: Final = sender
        self.size: Final = size
        self.body: Final = body
        self.utf8: Final = utf8
        self.options: Final = options

    def _words(self) -> list[bytes]:
        words = [b"MAIL", b"FROM:" + (self.sender.path if self.sender else b"<>")]
        if self.size is not None:
            words.append(b"SIZE=" + _number(self.size, "the size of a message"))
        if self.body is not None:
            words.append(b"BODY=" + _word(self.body, "the body type"))
        if self.utf8:
            words.append(b"SMTPUTF8")
        if self.options is not None:
            words += (word.encode() for word in self.options.words())
        return words


class Rcpt(Command):
    """RCPT TO (RFC 5321 section 4.1.1.3)."""

    phase: ClassVar[Phase] = Phase.RCPT
    ends_group: ClassVar[bool] = False

    def __init__(self, recipient: Address, options: RcptOptions | None = None) -> None:
        self.recipient: Final = recipient
        self.options: Final = options

    def _words(self) -> list[bytes]:
        words = [b"RCPT", b"TO:" + self.recipient.path]
        if self.options is not None:
            words += (word.encode() for word in self.options.words())
        return words


class Data(Command):
    """DATA (RFC 5321 section 4.1.1.4)."""

    phase: ClassVar[Phase] = Phase.DATA
    positive: ClassVar[frozenset[int]] = frozenset({3})
    keyword: ClassVar[bytes] = b"DATA"


class EndOfData(Command):
    """The line with the dot that ends the content of DATA. Its last octet is the commit point.

    SERVERS.md P1: RFC 2920 would let the next group follow, but four of ten servers break on it.
    """

    phase: ClassVar[Phase] = Phase.CONTENT
    keyword: ClassVar[bytes] = b"."

    @property
    def commits(self) -> bool:
        return True


class Bdat(Command):
    """BDAT with the octets of one chunk behind it (RFC 3030 section 2). LAST is the commit point."""

    phase: ClassVar[Phase] = Phase.CONTENT
    ends_group: ClassVar[bool] = False

    def __init__(self, size: int, last: bool = False) -> None:
        self.size: Final = size
        self.last: Final = last

    @property
    def commits(self) -> bool:
        return self.last

    def _words(self) -> list[bytes]:
        words = [b"BDAT", _number(self.size, "the size of a chunk")]
        return [*words, b"LAST"] if self.last else words


class Rset(Command):
    """RSET (RFC 5321 section 4.1.1.5)."""

    phase: ClassVar[Phase] = Phase.RESET
    ends_group: ClassVar[bool] = False
    keyword: ClassVar[bytes] = b"RSET"


class Noop(Command):
    """NOOP (RFC 5321 section 4.1.1.9)."""

    keyword: ClassVar[bytes] = b"NOOP"


class Quit(Command):
    """QUIT (RFC 5321 section 4.1.1.10)."""

    phase: ClassVar[Phase] = Phase.QUIT
    keyword: ClassVar[bytes] = b"QUIT"


class Generic(Command):
    """A command of the caller's own. Spaces in its argument are the caller's.

    Raises:
        SMTPInputError: A verb that changes what may follow, or that carries a secret: those are not for everybody.
    """

    def __init__(self, verb: str, argument: str = "") -> None:
        if verb.upper() in STATEFUL:
            raise SMTPInputError(f"{verb.upper()} is said by the client itself, at its time")
        self.verb: Final = verb
        self.argument: Final = argument

    def _words(self) -> list[bytes]:
        verb = _word(self.verb, "the verb")
        return [verb, _octets(self.argument, "the argument")] if self.argument else [verb]


class Vrfy(Command):
    """VRFY, which asks whether a mailbox exists (RFC 5321 section 4.1.1.6, RFC 6531 section 3.7.4.2)."""

    def __init__(self, address: Address, utf8: bool = False) -> None:
        self.address: Final = address
        self.utf8: Final = utf8

    def _words(self) -> list[bytes]:
        words = [b"VRFY", str(self.address).encode()]
        return [*words, b"SMTPUTF8"] if self.utf8 else words


class Expn(Command):
    """EXPN, which asks for the members of a list (RFC 5321 section 4.1.1.7, RFC 6531 section 3.7.4.2)."""

    def __init__(self, name: str, utf8: bool = False) -> None:
        self.name: Final = name
        self.utf8: Final = utf8

    def _words(self) -> list[bytes]:
        words = [b"EXPN", _octets(self.name, "the name of a list")]
        return [*words, b"SMTPUTF8"] if self.utf8 else words


class Help(Command):
    """HELP, in general or on a topic (RFC 5321 section 4.1.1.8)."""

    def __init__(self, topic: str = "") -> None:
        self.topic: Final = topic

    def _words(self) -> list[bytes]:
        return [b"HELP", _octets(self.topic, "the topic")] if self.topic else [b"HELP"]
