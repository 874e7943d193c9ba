"""A whole transaction: `sendmail` and `send_message`."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from email.message import Message

from .. import serialising
from ..addresses import mailboxes
from ..errors import (
    SMTPDataError,
    SMTPInputError,
    SMTPNotSupportedError,
    SMTPOutcomeUnknown,
    SMTPProtocolError,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
)
from .base import CodeAndText, said
from .login import Login
from .names import names
from .quoting import mailbox
from .verbs import octets_of

Refusals = dict[str, CodeAndText]

_HERE = __name__.rpartition(".")[0] + "."


class Sending(Login):
    """Sending mail, one recipient after the other, each command answered before the next."""

    def sendmail(
        self,
        from_addr: str,
        to_addrs: str | Sequence[str],
        msg: str | bytes,
        mail_options: Sequence[str] = (),
        rcpt_options: Sequence[str] = (),
    ) -> Refusals:
        """Send one message, by the methods `ehlo_or_helo_if_needed`, `mail`, `rcpt`, `data` and `rset`.

        The connection stays open after an exception, unless the reply was 421 or no reply at all.

        Args:
            from_addr: The reverse-path.
            to_addrs: The recipients; one string is one recipient.
            msg: The message. CR and LF become CRLF; a string must be ASCII.
            mail_options: ESMTP parameters for MAIL; SIZE is added where it is offered.
            rcpt_options: ESMTP parameters for each RCPT.

        Returns:
            The recipients that were refused, each with its code and text. At least one was accepted.

        Raises:
            SMTPHeloError: EHLO and HELO were refused.
            SMTPInputError: An address is none; it is a ValueError. Nothing of the transaction was sent.
            SMTPSenderRefused: MAIL was refused.
            SMTPRecipientsRefused: All recipients were refused.
            SMTPDataError: DATA or the content was refused.
            SMTPNotSupportedError: SMTPUTF8 is asked for and not offered.
            SMTPOutcomeUnknown: The content has left and no reply came.
        """
        recipients = [to_addrs] if isinstance(to_addrs, str) else list(to_addrs)
        for name, addresses in (("mail", [from_addr]), ("rcpt", recipients)):
            if self._is_ours(name):
                for address in addresses:
                    names["quoteaddr"](address)
        self.ehlo_or_helo_if_needed()
        content = octets_of(msg)
        try:
            self._begin(from_addr, content, mail_options)
            refused = self._invite(recipients, rcpt_options)
        except ValueError:
            # Something could not be written as a command; the transaction may be open.
            self._rset()
            raise
        self._finish(content)
        return {**refused, **self._refused_afterwards()}

    def _is_ours(self, name: str) -> bool:
        """Whether nobody has replaced a method. One of the program's own may make an address of what is none."""
        method = vars(self).get(name, getattr(type(self), name))
        return str(getattr(method, "__module__", "")).startswith(_HERE)

    def _begin(self, from_addr: str, content: bytes, mail_options: Sequence[str]) -> None:
        options: list[str] = []
        if self.does_esmtp:
            options = [f"size={len(content)}"] if self.has_extn("size") else []
            options += mail_options
        code, resp = self.mail(from_addr, options)
        if code != 250:
            self._give_up(code, resp)
            raise SMTPSenderRefused(code, resp, from_addr)

    def _invite(self, recipients: Sequence[str], rcpt_options: Sequence[str]) -> Refusals:
        refused: Refusals = {}
        for each in recipients:
            code, resp = self._ask(each, rcpt_options)
            if code not in {250, 251}:
                refused[each] = (code, resp)
            if code in {421, -1}:
                self._give_up(code, resp)
                raise SMTPRecipientsRefused(refused)
        if all(each in refused for each in recipients):
            self._rset()
            raise SMTPRecipientsRefused(refused)
        return refused

    def _finish(self, content: bytes) -> None:
        try:
            code, resp = self.data(content)
        except SMTPDataError as refusal:
            self._give_up(refusal.smtp_code, refusal.smtp_error)
            raise
        if code == -1:
            # The content has left, and what came says nothing about it.
            self.close()
            raise SMTPOutcomeUnknown(said(resp))
        if code != 250:
            self._give_up(code, resp)
            raise SMTPDataError(code, resp)

    def _give_up(self, code: int, resp: bytes | str) -> None:
        """End a transaction that was refused.

        Raises:
            SMTPProtocolError: It was not: what came is no reply. The content has not left.
        """
        if code == -1:
            self.close()
            raise SMTPProtocolError(said(resp))
        if code == 421:
            # RFC 5321 section 3.8: after a 421 nothing more is said.
            self.close()
        else:
            self._rset()

    def _ask(self, recipient: str, options: Sequence[str]) -> CodeAndText:
        return self.rcpt(recipient, options)

    def _refused_afterwards(self) -> Refusals:
        """Recipients that were refused after the content, which only LMTP can do."""
        return {}

    def send_message(
        self,
        msg: Message,
        from_addr: str | None = None,
        to_addrs: str | Sequence[str] | None = None,
        mail_options: Sequence[str] = (),
        rcpt_options: Sequence[str] = (),
    ) -> Refusals:
        """Send an `email.message.Message` by `sendmail`. `Bcc` and `Resent-Bcc` are left out of it.

        Args:
            msg: The message, with any policy.
            from_addr: The reverse-path; taken from `Sender` or else `From` where it is None.
            to_addrs: The recipients; taken from `To`, `Cc` and `Bcc` where it is None. With a `Resent-Date`
                it is the `Resent-` fields that count (RFC 5322 section 3.6.6).
            mail_options: As for `sendmail`.
            rcpt_options: As for `sendmail`.

        Returns:
            The recipients that were refused, as `sendmail`.

        Raises:
            SMTPInputError: A header field would begin another one, or names no address where one is needed.
            ValueError: The message was resent more than once: nobody can know which fields count.
            SMTPNotSupportedError: An address needs SMTPUTF8, which is not offered.
        """
        serialising.check(msg)
        if len(msg.get_all("Resent-Date", [])) > 1:
            raise ValueError("message has more than one 'Resent-' header block")
        prefix = "Resent-" if "Resent-Date" in msg else ""
        if from_addr is None:
            from_addr = _sender(msg, prefix)
        if to_addrs is None:
            to_addrs = [each for name in ("To", "Bcc", "Cc") for each in _named(msg, prefix + name)]
        recipients = [to_addrs] if isinstance(to_addrs, str) else list(to_addrs)
        self.ehlo_or_helo_if_needed()
        international = any(not each.isascii() and mailbox(each).needs_utf8 for each in (from_addr, *recipients))
        if international:
            if not self.has_extn("smtputf8"):
                raise SMTPNotSupportedError(
                    "One or more source or delivery addresses require internationalized email support,"
                    " but the server does not advertise the required SMTPUTF8 capability"
                )
            mail_options = (*mail_options, "SMTPUTF8", "BODY=8BITMIME")
        visible = copy.copy(msg)
        del visible["Bcc"]
        del visible["Resent-Bcc"]
        content = b"".join(serialising.serialised(visible, utf8=international))
        return self.sendmail(from_addr, recipients, content, mail_options, rcpt_options)


def _named(msg: Message, name: str) -> Iterator[str]:
    """The mailboxes of all fields of this name, by their structure (WIRE.md S10), not by guessing."""
    for key, value in serialising.fields_of(msg):
        if key.lower() == name.lower():
            yield from (str(mailbox(each)) for each in mailboxes(value))


def _sender(msg: Message, prefix: str) -> str:
    name = prefix + ("Sender" if prefix + "Sender" in msg else "From")
    for address in _named(msg, name):
        return address
    raise SMTPInputError(f"no sender: the message names none in {name}, and none was given")
