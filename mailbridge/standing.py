"""Where a session stands: what the replies so far told about the server and the transaction."""

from __future__ import annotations

import sys
from collections.abc import Callable

from . import commands
from .addresses import Address
from .capabilities import Capabilities
from .commands import Command
from .exchanges import Exchange
from .replies import Reply
from .states import State

SENDERS = 64  # that this connection is known to take, for the one-flight rule


class Standing:
    """What is known of a session, learned from one reply after the other.

    Attributes:
        state: What may be said is `ALLOWED[state]`.
        capabilities: What the server announced last; empty after STARTTLS (RFC 3207 section 4.2).
        pipelining: Several commands may be under way (RFC 2920).
        chunking: BDAT may be used (RFC 3030).
        overlap: The next group may follow the content before its reply (RFC 2920 section 3.1; SERVERS.md P1).
        authenticated: The server took the credentials.
    """

    def __init__(
        self, *, lmtp: bool, pipelining: bool, chunking: bool, overlap: bool, max_mails: int | None = None
    ) -> None:
        self.state = State.GREETING
        self.lmtp = lmtp
        self.authenticated = False
        self._may_pipeline, self._may_chunk, self._may_overlap = pipelining, chunking, overlap
        self._max_mails = max_mails
        # A transaction is open, so many of its recipients were accepted; where the session is between two.
        self._open, self._accepted, self._between = False, 0, State.NEW
        self._resets = 0
        self._senders: set[bytes] = set()
        self._announced(Capabilities())

    def has_accepted(self, sender: Address | None) -> bool:
        """This sender was accepted on this connection before."""
        return _path(sender) in self._senders

    def _announced(self, capabilities: Capabilities) -> None:
        """Take what the server offers, as far as the caller allows it."""
        self.capabilities = capabilities
        self.pipelining = self._may_pipeline and capabilities.pipelining
        self.chunking = self._may_chunk and capabilities.chunking
        self.overlap = self.pipelining and self._may_overlap
        limits = (capabilities.limit("MAILMAX"), self._max_mails)
        self._most_mails = min((limit for limit in limits if limit is not None), default=sys.maxsize)

    def _of_mail(self, exchange: Exchange, reply: Reply) -> None:
        assert isinstance(exchange.command, commands.Mail)  # noqa: S101 - see LESSONS
        if reply.refused:
            # Dovecot's submission service may die at the next command: no content goes there unasked.
            self._senders = set()
            return
        self._open, self._accepted = True, 0
        path = _path(exchange.command.sender)
        if path not in self._senders:
            self._senders = {path} if len(self._senders) >= SENDERS else self._senders | {path}

    def _of_rcpt(self, _: Exchange, reply: Reply) -> None:
        self._accepted += self._open and not reply.refused

    def _of_data(self, _: Exchange, reply: Reply) -> State | None:
        return None if reply.refused else State.CONTENT

    def _of_content(self, exchange: Exchange, _: Reply) -> None:
        if exchange.due == 0 and self._accepted and exchange.command.commits:
            # Behind a content that nobody got, the next MAIL gets 503, and its message this one's sender:
            # at Exim where there were no recipients, at Postfix where a policy refused the content.
            self._open, self._accepted = all(reply.refused for reply in exchange.replies), 0

    def _of_rset(self, _: Exchange, reply: Reply) -> None:
        if reply.positive:
            self._resets += self._open
            self._open, self._accepted = False, 0

    def _of_hello(self, exchange: Exchange, reply: Reply) -> None:
        if reply.positive:
            only_helo = type(exchange.command) is commands.Helo
            name = reply.lines[0].partition(" ")[0]
            self._announced(Capabilities(name) if only_helo else Capabilities.parse(reply))
            self._open, self._accepted, self._between = False, 0, State.READY

    def _of_starttls(self, _: Exchange, reply: Reply) -> State | None:
        return State.TLS if reply.positive else None

    def _of_auth(self, _: Exchange, reply: Reply) -> State | None:
        self.authenticated |= reply.positive
        return State.CHALLENGED if reply.intermediate else None


def _path(sender: Address | None) -> bytes:
    return sender.path if sender else b"<>"


# What is learned from the replies to a command, and the state that they lead to at once.
LESSONS: dict[type[Command], Callable[[Standing, Exchange, Reply], State | None]] = {
    commands.Mail: Standing._of_mail,
    commands.Rcpt: Standing._of_rcpt,
    commands.Data: Standing._of_data,
    commands.EndOfData: Standing._of_content,
    commands.Bdat: Standing._of_content,
    commands.Rset: Standing._of_rset,
    commands.Ehlo: Standing._of_hello,
    commands.Helo: Standing._of_hello,
    commands.Lhlo: Standing._of_hello,
    commands.StartTLS: Standing._of_starttls,
    commands.Auth: Standing._of_auth,
    commands.AuthResponse: Standing._of_auth,
}
