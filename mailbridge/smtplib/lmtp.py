"""`LMTP` (RFC 2033): the content is answered once for each recipient that RCPT accepted."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any

from ..addresses import Address
from ..errors import SMTPDataError, SMTPInputError, SMTPRecipientsRefused, SMTPServerDisconnected
from .base import CodeAndText, said
from .client import _DEFAULT, SMTP, _refuse_non_blocking
from .hiding import verb_of
from .names import names
from .quoting import mailbox
from .sending import Refusals

LMTP_PORT = 2003

_PATH = re.compile(r'<((?:"(?:\\.|[^"\\])*"|[^">])*)>')
# Commands that begin a transaction anew, or end it.
_AFRESH = frozenset({"MAIL", "RSET", "LHLO", "EHLO", "HELO"})


class LMTP(SMTP):
    """A connection to an LMTP server, over TCP or a unix socket.

    Args:
        host: The server, or the path of a unix socket, which begins with `/`.
        port: Its port.
        local_hostname: As for `SMTP`.
        source_address: As for `SMTP`.
        timeout: As for `SMTP`.

    Attributes:
        final_replies: Each mailbox that RCPT accepted last time, with the reply that followed the content.
    """

    ehlo_msg = "lhlo"
    default_port = LMTP_PORT

    def __init__(
        self,
        host: str = "",
        port: int = LMTP_PORT,
        local_hostname: str | None = None,
        source_address: tuple[str, int] | None = None,
        timeout: Any = _DEFAULT,
    ) -> None:
        self.final_replies: dict[str, CodeAndText] = {}
        self._asked: dict[str, tuple[CodeAndText, Sequence[int]]] = {}
        # The RCPT commands that were accepted on the wire, in order, and the replies to the content.
        self._accepted: list[str] = []
        self._final: list[CodeAndText] = []
        # Each recipient as the caller spells it: what rcpt() said, and which of those commands were for it.
        self._envelope: dict[str, tuple[CodeAndText, Sequence[int]]] = {}
        # While rcpt() is called by sendmail: those of a mailbox asked for before, and the recipient.
        self._named: list[int] = []
        self._asking = ""
        super().__init__(host, port, local_hostname, timeout, source_address)

    def connect(
        self, host: str = "localhost", port: int = 0, source_address: tuple[str, int] | None = None
    ) -> CodeAndText:
        """Connect to a server or to a unix socket, and read the greeting."""
        if not host.startswith("/"):
            return super().connect(host, port, source_address=source_address)
        _refuse_non_blocking(self.timeout)
        sys.audit("smtplib.connect", self, host, port)
        self._begin_anew(host)
        self.sock = names["socket"].socket(names["socket"].AF_UNIX, names["socket"].SOCK_STREAM)
        try:
            if self.timeout is not _DEFAULT:
                self.sock.settimeout(self.timeout)
            self.sock.connect(host)
        except BaseException:
            if self.debuglevel > 0:
                self._print_debug("connect fail:", host)
            self.close()
            raise
        return self._greeting()

    def _answered(self, code: int) -> str:
        answered = super()._answered(code)
        verb = verb_of(answered)
        if 200 <= code < 300:
            if verb in _AFRESH:
                self._accepted, self._asked = [], {}
            elif verb == "RCPT" or (self._asking and not verb):
                # A program's own rcpt() may have written to the socket itself.
                self._accepted.append(answered or f"<{self._asking}>")
        return answered

    def rcpt(self, recip: str, options: Sequence[str] = ()) -> CodeAndText:
        """Add one recipient, as `SMTP.rcpt`. The same mailbox is asked for once in a transaction.

        Some servers answer the content once for two RCPTs of one mailbox (SERVERS.md M1).
        """
        mailbox_key = _key(recip)
        if mailbox_key not in self._asked:
            before = len(self._accepted)
            reply = super().rcpt(recip, options)
            self._asked[mailbox_key] = reply, range(before, len(self._accepted))
        reply, positions = self._asked[mailbox_key]
        self._named += positions
        return reply

    def _ask(self, recipient: str, options: Sequence[str]) -> CodeAndText:
        """Call the instance's own `rcpt`, and see which accepted RCPTs were for this recipient."""
        before = len(self._accepted)
        self._named, self._asking = [], recipient
        try:
            reply = super()._ask(recipient, options)
        finally:
            self._asking = ""
        earlier = self._envelope.get(recipient, (reply, ()))[1]
        self._envelope[recipient] = reply, sorted({*earlier, *self._named, *range(before, len(self._accepted))})
        return reply

    def _final_reply(self) -> CodeAndText:
        """Read one reply for each accepted recipient, in their order (RFC 2033 section 4.2).

        Returns:
            The first that accepted the message, or the first of all.
        """
        accepted, self._accepted, self._asked = self._accepted, [], {}
        self.final_replies, self._final = {}, []
        for command in accepted:
            code, resp = self.getreply()
            if code == -1:
                raise SMTPServerDisconnected(f"Connection unexpectedly closed: {said(resp)}")
            self._final.append((code, resp))
            self.final_replies[_mailbox_of(command)] = code, resp
        replies = self._final or [self.getreply()]
        if any(code == 421 for code, _ in replies):
            self.close()
        return next((reply for reply in replies if reply[0] == 250), replies[0])

    def _last_word(self, recipient: str) -> CodeAndText:
        """The last word on a recipient: a refusal after the content, or what `rcpt` said."""
        reply, positions = self._envelope[recipient]
        return next((self._final[each] for each in positions if self._final[each][0] != 250), reply)

    def _refused_afterwards(self) -> Refusals:
        """Those with a reply of their own to the content that was not 250."""
        if not self._final:
            # A program's own data() has read the replies, and said that they are good.
            return {}
        answers = {each: self._last_word(each) for each in self._envelope}
        return {each: answer for each, answer in answers.items() if answer[0] not in {250, 251}}

    def sendmail(
        self,
        from_addr: str,
        to_addrs: str | Sequence[str],
        msg: str | bytes,
        mail_options: Sequence[str] = (),
        rcpt_options: Sequence[str] = (),
    ) -> Refusals:
        """Send one message, as `SMTP.sendmail`; what is returned names those refused after the content too.

        Raises:
            SMTPRecipientsRefused: All were refused, at RCPT or after the content; each with its own reply.
            SMTPOutcomeUnknown: Not every recipient got its reply. The connection is closed, and nobody
                is reported as accepted; `final_replies` holds those that came.
        """
        self._envelope, self._final, self.final_replies = {}, [], {}
        try:
            return super().sendmail(from_addr, to_addrs, msg, mail_options, rcpt_options)
        except SMTPDataError as refusal:
            if not self._final:
                raise
            raise SMTPRecipientsRefused(self._refused_afterwards()) from refusal


def _mailbox_of(command: str) -> str:
    """The mailbox that an RCPT command names."""
    path = _PATH.search(command)
    return _key(path[1]) if path else command


def _key(recipient: str) -> str:
    """What makes two recipients the same mailbox."""
    try:
        address = mailbox(recipient)
    except SMTPInputError:
        return recipient
    return str(Address(address.local, address.domain.casefold()))
