"""The connection: what is sent, what is answered, what the debug output shows of both."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from ..auth import hushed, repeats
from ..commands import AUTH_LINE, line
from ..errors import (
    SMTPInputError,
    SMTPProtocolError,
    SMTPResponseException,
    SMTPSecurityError,
    SMTPServerDisconnected,
)
from ..facts import printable
from ..wire import ReplyBuffer
from .hiding import HIDDEN, HiddenOctets, HiddenText, sheltered, verb_of
from .names import names
from .privacy import is_private
from .reading import ReplyReader, left_over, reader_of

# The code and the lines joined by b"\n", as every method gives them.
CodeAndText = tuple[int, bytes]

# Stands for content among the commands that await their replies.
_CONTENT = "."


class Connection:
    """A socket, and one line after the other in both directions.

    Attributes:
        debuglevel: 0 for silence, 1 for lines on stderr, 2 for lines with the time.
        sock: The socket; None while not connected.
        file: What replies are read from; None until the first one.
        timeout: Seconds that each reply may take, and that connecting may take.
        source_address: The local address to connect from.
        command_encoding: How commands are encoded: "ascii", or "utf-8" with SMTPUTF8.
        allow_plaintext_auth: Send credentials unprotected to another machine.
    """

    debuglevel: int = 0
    sock: Any = None
    file: Any = None
    timeout: Any = None
    source_address: tuple[str, int] | None = None
    command_encoding = "ascii"
    allow_plaintext_auth = False

    _host = ""
    _challenged = False  # the last reply was a 334: what is sent next is a secret
    _told = HiddenOctets()  # the credentials in what was sent last: a server may repeat them
    _invited = False  # the last reply was the 354 to DATA: what is sent next is content
    _awaited: Sequence[str] = ()  # what has been sent and not answered: verbs, and whole RCPT commands

    def set_debuglevel(self, debuglevel: int) -> None:
        """Print what is said on stderr: 0 nothing, 1 every line, 2 every line with the time."""
        self.debuglevel = debuglevel

    def _print_debug(self, *args: object) -> None:
        if self.debuglevel > 1:
            args = (datetime.datetime.now().time(), *args)  # noqa: DTZ005 - the reader's own clock
        if names["sys"].stderr is not None:  # as it is in a program without a console
            names["sys"].stderr.write(" ".join(map(str, args)) + "\n")

    def send(self, s: str | bytes) -> None:
        """Send `s` as it is; a string in `command_encoding`.

        This is below the choke point: whoever calls it writes whole lines.

        Raises:
            SMTPServerDisconnected: There is no connection, or no longer.
            SMTPSecurityError: An AUTH command would go out in clear to another machine.
        """
        text = None if self._invited and not isinstance(s, HiddenText) else self._command(s)
        if self.debuglevel > 0:
            self._print_debug("send:", repr(text if isinstance(text, HiddenText) else s))
        if not self.sock:
            raise SMTPServerDisconnected("please run connect() first")
        if text is not None:
            self._refuse_to_tell(text)
        if isinstance(text, HiddenText):
            s = text.encode(self.command_encoding) if isinstance(s, str) else HiddenOctets(s)
        elif isinstance(s, str):
            s = s.encode(self.command_encoding)
        self._told = HiddenOctets(s.split()[-1] if isinstance(s, HiddenOctets) and s.split() else b"")
        if self._may_speak():
            sys.audit("smtplib.send", self, repr(s).encode() if isinstance(s, HiddenOctets) else s)
            self._transmit(s)
        self._await(text)

    def _command(self, s: str | bytes) -> str:
        """What is sent as text, its credentials hidden; octets as they are."""
        return sheltered(s if isinstance(s, str) else str(s, "latin-1"), answers=self._challenged)

    def _await(self, text: str | None) -> None:
        """Remember what the next replies answer. Arguments may be secrets: only those of RCPT are kept."""
        if text is None:
            # Content may go out in many pieces, it has one reply.
            self._awaited = [each for each in self._awaited if each != _CONTENT] + [_CONTENT]
            return
        if "BDAT" in self._awaited[-1:]:
            # Its octets, which it answers for.
            return
        lines = [""] if self._challenged else text.splitlines()
        if lines and verb_of(lines[0]) == "BDAT":
            del lines[1:]
        self._awaited = [*self._awaited, *(each if verb_of(each) == "RCPT" else verb_of(each) for each in lines)]

    def _refuse_to_tell(self, text: str) -> None:
        """RFC 4954 section 4: no password in clear, where somebody may listen (WIRE.md S4)."""
        if verb_of(text) == "AUTH" and not self.allow_plaintext_auth and not is_private(self.sock, self._host):
            raise SMTPSecurityError(
                "AUTH would send credentials in clear to another machine: "
                "call starttls() first, use SMTP_SSL, or set allow_plaintext_auth if you must"
            )

    def _may_speak(self) -> bool:
        """Whether nothing unread waits for the client. Only a 421 may come unasked (RFC 5321 section 3.8).

        Raises:
            SMTPProtocolError: Something else did; it would be taken for the next reply (WIRE.md S14).
        """
        waiting = b"" if self._awaited else left_over(self._reader(), self.sock)
        if waiting and not waiting.startswith(b"421"):
            self.close()
            raise SMTPProtocolError(f"the server spoke out of turn: {waiting[:100]!r}")
        return not waiting

    def _transmit(self, octets: bytes) -> None:
        try:
            self.sock.sendall(octets)
        except OSError as error:
            # SERVERS.md R4: a server that closes says why first.
            if left_over(self._reader(), self.sock)[:1] in {b"4", b"5"}:
                return
            self.close()
            raise SMTPServerDisconnected("Server not connected") from error
        except BaseException:
            # Nobody knows how much of it left.
            self.close()
            raise

    def putcmd(self, cmd: str, args: str = "") -> None:
        """Send a command.

        Raises:
            SMTPInputError: It holds a control octet, or is too long; it is a ValueError. Nothing was sent.
        """
        text = sheltered(f"{cmd}\r\n" if args == "" else f"{cmd} {args}\r\n", answers=self._challenged)
        if "\r" in text[:-2] or "\n" in text[:-2]:
            shown = text.shown if isinstance(text, HiddenText) else text
            shown = shown[:-2].replace("\n", "\\n").replace("\r", "\\r")
            raise SMTPInputError(f"command and arguments contain prohibited newline characters: {shown}")
        try:
            line([text.encode(self.command_encoding)[:-2]], AUTH_LINE)
        except SMTPInputError as error:
            if isinstance(text, HiddenText):
                # The choke point's sentence quotes the line, and so do its frames.
                error.args = (f"{text!r} holds a control octet, or more than {AUTH_LINE} octets",)
                raise error.with_traceback(None) from None
            raise
        self.send(text)

    def docmd(self, cmd: str, args: str = "") -> CodeAndText:
        r"""Send a command and read its reply.

        Returns:
            The code, and the lines of the reply joined by `\n`.
        """
        self.putcmd(cmd, args)
        return self.getreply()

    def getreply(self) -> CodeAndText:
        r"""Read a reply.

        Returns:
            The code, and the lines of the reply joined by `\n`. The code is -1 where what came is no
            reply (RFC 5321 section 4.2), or one without bounds: then the text says why, and the
            connection is closed, since nobody knows where the next reply would begin.

        Raises:
            SMTPServerDisconnected: The stream ended, or the reply was not complete within `timeout`.
        """
        if not self.sock:
            raise SMTPServerDisconnected("please run connect() first")
        file = self._reader()
        try:
            with file.one_reply() if isinstance(file, ReplyReader) else nullcontext():
                code, text = self._read()
        except BaseException:
            self.close()
            raise
        self._answered(code)
        if self.debuglevel > 0:
            self._print_debug(f"reply: retcode ({code}); Msg: {text!a}")
        return code, text

    def _answered(self, code: int) -> str:
        """Take note of a reply, and give what it answers; "" where nobody knows."""
        answered, *self._awaited = self._awaited or [""]
        self._challenged = code == 334
        # Only to DATA: a 354 to something else must not make a password pass for content.
        self._invited = code == 354 and answered == "DATA"
        return answered

    def _reader(self) -> Any:
        if self.file is None:
            self.file = reader_of(self.sock)
        return self.file

    def _read(self) -> CodeAndText:
        replies = ReplyBuffer()
        try:
            while (reply := replies.next()) is None:
                replies.feed(self._line(replies))
            reply = reply if reply.intermediate else hushed(reply, self._told)
        except SMTPProtocolError as error:
            self.close()
            return -1, str(error).encode()
        return reply.code, b"\n".join(part.strip(b" \t\r\n") for part in reply.raw.split(b"\n"))

    def _line(self, before: ReplyBuffer) -> bytes:
        try:
            text: bytes = self.file.readline(names["_MAXLINE"] + 1)
        except OSError as error:
            raise SMTPServerDisconnected(f"Connection unexpectedly closed: {error}") from error
        if not text:
            wrong_mode = ": the server speaks TLS at once on this port" if before.looks_like_tls else ""
            raise SMTPServerDisconnected(f"Connection unexpectedly closed{wrong_mode}")
        if self.debuglevel > 0:
            self._print_debug("reply:", HIDDEN if repeats(text, self._told) else repr(text))
        if len(text) > names["_MAXLINE"]:
            raise SMTPResponseException(500, "Line too long.")
        # A socket of a test's own may leave the line end off; from a real one that is half a reply.
        return text if isinstance(self.file, ReplyReader) or text.endswith(b"\n") else text + b"\n"

    def _await_nothing(self) -> None:
        self._awaited = []
        self._challenged = self._invited = False
        self._told = HiddenOctets()

    def close(self) -> None:
        """Close the connection, without a word to the server."""
        self._await_nothing()
        try:
            file, self.file = self.file, None
            if file:
                file.close()
        finally:
            sock, self.sock = self.sock, None
            if sock:
                sock.close()


def said(text: bytes | str) -> str:
    """A server's words for an error's sentence."""
    return printable(text.decode("utf-8", "replace") if isinstance(text, bytes) else text)
