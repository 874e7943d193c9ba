"""One method for each SMTP command. A caller may use them in any order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress

from ..errors import (
    SMTPDataError,
    SMTPHeloError,
    SMTPNotSupportedError,
    SMTPOutcomeUnknown,
    SMTPServerDisconnected,
)
from ..wire import Measure, canonical
from .base import CodeAndText, Connection
from .names import names

_KEYWORD = re.compile(r"(?P<feature>[A-Za-z0-9][A-Za-z0-9\-]*) ?")


def features(ehlo_resp: bytes) -> dict[str, str]:
    """Read an EHLO reply: the extensions in lower case, each with its parameters.

    Those of AUTH are collected from all of its lines, "AUTH=LOGIN" of older servers included.
    """
    found: dict[str, str] = {}
    for each in ehlo_resp.decode("latin-1").split("\n")[1:]:
        if old := names["OLDSTYLE_AUTH"].match(each):
            found["auth"] = f"{found.get('auth', '')} {old[1]}"
        elif keyword := _KEYWORD.match(each):
            name = keyword["feature"].lower()
            parameters = each[keyword.end("feature") :].strip()
            found[name] = f"{found.get(name, '')} {parameters}" if name == "auth" else parameters
    return found


def octets_of(msg: str | bytes) -> bytes:
    """Content as it goes out: CR and LF only as CRLF (WIRE.md S8), a string in ASCII."""
    if isinstance(msg, str):
        return bytes(names["_fix_eols"](msg), "ascii")
    return msg if Measure([msg]).canonical else b"".join(canonical([msg]))


class Verbs(Connection):
    """The commands, and what the server said it can do.

    Attributes:
        helo_resp: The reply to the last HELO.
        ehlo_msg: The verb of `ehlo()`: "ehlo" or "lhlo".
        ehlo_resp: The reply to the last EHLO.
        does_esmtp: The server answered EHLO with 250.
        esmtp_features: Its extensions in lower case, each with its parameters.
        local_hostname: The name to say in HELO and EHLO.
    """

    helo_resp: bytes | None = None
    ehlo_msg = "ehlo"
    ehlo_resp: bytes | None = None
    does_esmtp = False
    esmtp_features: dict[str, str]
    local_hostname: str

    def helo(self, name: str = "") -> CodeAndText:
        """Say HELO with `name`, or with `local_hostname`."""
        self.putcmd("helo", name or self.local_hostname)
        code, msg = self.getreply()
        self.helo_resp = msg
        return code, msg

    def ehlo(self, name: str = "") -> CodeAndText:
        """Say EHLO with `name`, or with `local_hostname`, and learn what the server offers.

        Raises:
            SMTPServerDisconnected: What came is no reply; the connection is closed.
        """
        self.esmtp_features = {}
        self.putcmd(self.ehlo_msg, name or self.local_hostname)
        code, msg = self.getreply()
        if code == -1:
            self.close()
            raise SMTPServerDisconnected("Server not connected")
        self.ehlo_resp = msg
        if code == 250:
            self.does_esmtp = True
            self.esmtp_features = features(msg)
        return code, msg

    def ehlo_or_helo_if_needed(self) -> None:
        """Say EHLO, and HELO where that is refused, unless it was said already.

        Raises:
            SMTPHeloError: Both were refused.
        """
        if self.helo_resp is None and self.ehlo_resp is None and not 200 <= self.ehlo()[0] <= 299:
            code, resp = self.helo()
            if not 200 <= code <= 299:
                raise SMTPHeloError(code, resp)

    def _forget(self) -> None:
        """Forget what the server said about itself."""
        self.helo_resp = self.ehlo_resp = None
        self.esmtp_features = {}
        self.does_esmtp = False

    def has_extn(self, opt: str) -> bool:
        """Whether the server announced an extension, in any case."""
        return opt.lower() in self.esmtp_features

    def help(self, args: str = "") -> bytes:
        """Ask for help; returns the text of the reply."""
        self.putcmd("help", args)
        return self.getreply()[1]

    def rset(self) -> CodeAndText:
        """Give up the transaction."""
        self.command_encoding = "ascii"
        return self.docmd("rset")

    def _rset(self) -> None:
        """The same after a refusal: the refusal is what the caller must see, not a lost connection."""
        with suppress(SMTPServerDisconnected):
            self.rset()

    def noop(self) -> CodeAndText:
        """Do nothing, and see whether the server is there."""
        return self.docmd("noop")

    def mail(self, sender: str, options: Sequence[str] = ()) -> CodeAndText:
        """Begin a transaction.

        Args:
            sender: The reverse-path, with a display name or without; "" and "<>" are the null sender.
            options: ESMTP parameters; left out where the server does no ESMTP.

        Raises:
            SMTPInputError: `sender` is not one address. Nothing was sent.
            SMTPNotSupportedError: SMTPUTF8 is asked for and not offered.
        """
        if options and self.does_esmtp and any(option.lower() == "smtputf8" for option in options):
            if not self.has_extn("smtputf8"):
                raise SMTPNotSupportedError("SMTPUTF8 not supported by server")
            self.command_encoding = "utf-8"
        self.putcmd("mail", f"from:{self._path(sender, options)}")
        return self.getreply()

    def rcpt(self, recip: str, options: Sequence[str] = ()) -> CodeAndText:
        """Add one recipient to the transaction; arguments and errors as for `mail`."""
        self.putcmd("rcpt", f"to:{self._path(recip, options)}")
        return self.getreply()

    def _path(self, address: str, options: Sequence[str]) -> str:
        return " ".join([names["quoteaddr"](address), *(options if self.does_esmtp else ())])

    def data(self, msg: str | bytes) -> CodeAndText:
        """Send the content of the transaction.

        Args:
            msg: CR and LF become CRLF, dots that begin a line are doubled. A string must be ASCII.

        Returns:
            The reply that follows the content.

        Raises:
            SMTPDataError: DATA was refused.
            SMTPOutcomeUnknown: The content has left and no reply came. It is an SMTPServerDisconnected.
        """
        content = octets_of(msg)
        self.putcmd("data")
        code, repl = self.getreply()
        if self.debuglevel > 0:
            self._print_debug("data:", (code, repl))
        if code != 354:
            raise SMTPDataError(code, repl)
        content = names["_quote_periods"](content)
        self._invited = True  # even where a program's own getreply() has read the 354
        self.send(b"".join((content, b"" if content[-2:] == b"\r\n" else b"\r\n", b".\r\n")))
        self._invited = False
        try:
            code, repl = self._final_reply()
        except SMTPServerDisconnected as error:
            raise SMTPOutcomeUnknown(*error.args) from error
        if self.debuglevel > 0:
            self._print_debug("data:", (code, repl))
        return code, repl

    def _final_reply(self) -> CodeAndText:
        """Read what follows the content."""
        return self.getreply()

    def verify(self, address: str) -> CodeAndText:
        """Ask whether a mailbox exists (VRFY)."""
        self.putcmd("vrfy", names["_addr_only"](address))
        return self.getreply()

    vrfy = verify

    def expn(self, address: str) -> CodeAndText:
        """Ask for the members of a list (EXPN)."""
        self.putcmd("expn", names["_addr_only"](address))
        return self.getreply()
