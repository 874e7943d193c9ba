"""`LMTP` (RFC 2033): the content is answered once for each recipient that RCPT accepted."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from ..addresses import Address
from ..errors import SMTPDataError, SMTPInputError, SMTPRecipientsRefused, SMTPServerDisconnected
from .base import CodeAndText, said
from .client import _DEFAULT, SMTP, _refuse_non_blocking
from .names import names
from .quoting import mailbox
from .sending import Refusals

LMTP_PORT = 2003


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
        self._asked: dict[str, CodeAndText] = {}
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

    def mail(self, sender: str, options: Sequence[str] = ()) -> CodeAndText:
        """Begin a transaction, as `SMTP.mail`."""
        self._asked, self.final_replies = {}, {}
        return super().mail(sender, options)

    def rcpt(self, recip: str, options: Sequence[str] = ()) -> CodeAndText:
        """Add one recipient, as `SMTP.rcpt`. The same mailbox is asked for once in a transaction.

        Some servers answer the content once for two RCPTs of one mailbox (SERVERS.md M1).
        """
        mailbox_key = _key(recip)
        if mailbox_key not in self._asked:
            self._asked[mailbox_key] = super().rcpt(recip, options)
        return self._asked[mailbox_key]

    def _final_reply(self) -> CodeAndText:
        """Read one reply for each accepted recipient, in their order (RFC 2033 section 4.2).

        Returns:
            The first that accepted the message, or the first of all.
        """
        accepted = [key for key, (code, _) in self._asked.items() if 200 <= code < 300]
        for key in accepted:
            code, resp = self.getreply()
            if code == -1:
                raise SMTPServerDisconnected(f"Connection unexpectedly closed: {said(resp)}")
            self.final_replies[key] = code, resp
        replies = list(self.final_replies.values()) or [self.getreply()]
        if any(code == 421 for code, _ in replies):
            self.close()
        return next((reply for reply in replies if reply[0] == 250), replies[0])

    def _refused_afterwards(self, recipients: Sequence[str]) -> Refusals:
        """Those whose own reply to the content was not 250."""
        answers = {each: self.final_replies.get(_key(each), (250, b"")) for each in recipients}
        return {each: answer for each, answer in answers.items() if answer[0] != 250}

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
        try:
            return super().sendmail(from_addr, to_addrs, msg, mail_options, rcpt_options)
        except SMTPDataError as refusal:
            if not self.final_replies:
                raise
            replies = {**self._asked, **self.final_replies}
            recipients = [to_addrs] if isinstance(to_addrs, str) else to_addrs
            raise SMTPRecipientsRefused({each: replies[_key(each)] for each in recipients}) from refusal


def _key(recipient: str) -> str:
    """What makes two recipients the same mailbox."""
    try:
        address = mailbox(recipient)
    except SMTPInputError:
        return recipient
    return str(Address(address.local, address.domain.casefold()))
