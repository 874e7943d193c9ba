"""The state machine: what may be said now, and which reply belongs to which command.

As much as possible stands in the two tables. Without I/O: a driver carries octets between it
and a socket, a conversation decides what is said next.
"""

from __future__ import annotations

from collections import deque

from . import commands
from .addresses import Address
from .capabilities import Capabilities
from .commands import Command
from .errors import SMTPException, SMTPProtocolError, SMTPSecurityError, SMTPServerDisconnected
from .exchanges import Exchange
from .facts import Phase
from .replies import Reply
from .states import ALLOWED, LEADS_TO, State
from .transcript import Transcript
from .wire import DotStuffer, Octets, ReplyBuffer, SendBuffer

# RFC 2920 section 3.1: what is unanswered must be bounded, or two full TCP windows wait for each other.
OUTSTANDING = 128
SENDERS = 64  # that this connection is known to take, for the one-flight rule
# Exim hangs up at the 11th RSET on a connection that did not follow an accepted message (smtp_accept_max_nonmail).
RESETS = 8


class SMTPProtocol:
    """One connection's side of the dialogue.

    Attributes:
        state: What may be said is `ALLOWED[state]`.
        capabilities: What the server announced last; empty after STARTTLS (RFC 3207 section 4.2).
        secure: TLS protects the connection.
        authenticated: The server took the credentials.
        dismissal: The reply with which the server ended the session: a 421, or a refusal of what it had not got yet.
        transcript: The redacted record of what was said.
    """

    def __init__(
        self,
        *,
        lmtp: bool = False,
        pipelining: bool = True,
        chunking: bool = True,
        overlap: bool = False,
        max_mails: int | None = None,
    ) -> None:
        self.state = State.GREETING
        self.lmtp = lmtp
        self.capabilities = Capabilities()
        self.secure = False
        self.authenticated = False
        self.dismissal: Reply | None = None
        self.transcript = Transcript()
        self.greeting = Exchange(commands.Greeting())
        self.greeting.end = 0
        self.replies_read = 0
        self._may_pipeline, self._may_chunk, self._may_overlap = pipelining, chunking, overlap
        self._max_mails = max_mails
        self._outstanding: deque[Exchange] = deque([self.greeting])
        self._dismissed_at: Phase | None = None
        self._behind_dismissal: tuple[Exchange, ...] = ()
        self._ended_cleanly = False
        self._open, self._between = False, State.NEW
        self._accepted = self._mails = self._resets = self._chunk = 0
        self._senders: set[Address | None] = set()
        self._replies = ReplyBuffer()
        self._stuffer = DotStuffer()
        self._content_of: Exchange | None = None
        self._chunk_of: Exchange | None = None
        self._out = SendBuffer()

    # What can be asked of it.

    @property
    def pipelining(self) -> bool:
        """Several commands may be under way (RFC 2920)."""
        return self._may_pipeline and self.capabilities.pipelining

    @property
    def chunking(self) -> bool:
        """BDAT may be used (RFC 3030)."""
        return self._may_chunk and self.capabilities.chunking

    @property
    def overlap(self) -> bool:
        """The next group may follow the content before its reply (RFC 2920 section 3.1; SERVERS.md P1)."""
        return self.pipelining and self._may_overlap

    @property
    def busy(self) -> bool:
        """Something was said that has not all of its replies."""
        return bool(self._outstanding)

    @property
    def pending(self) -> int:
        """Octets that wait to be sent."""
        return len(self._out)

    @property
    def owes_reset(self) -> bool:
        """RSET must go before the next MAIL: a transaction failed, or one under way still may.

        Without it that MAIL is refused as nested, and what is pipelined behind it goes out with the old sender.
        """
        return self._open or any(exchange.command.commits for exchange in self._outstanding)

    @property
    def reusable(self) -> bool:
        """Another transaction can begin here: nothing is under way, nothing is buffered, at most a RSET is owed."""
        between = self.state is State.READY or (self.state is State.TRANSACTION and self.owes_reset)
        return between and not self._outstanding and not self._replies and not self.pending

    @property
    def over(self) -> bool:
        """Nothing more can be learned here: the stream ended, or a 421 left nothing at stake."""
        gone = self.dismissal is not None and not any(map(self._at_stake, self._outstanding))
        return gone or self.state is State.CLOSED

    @property
    def full(self) -> bool:
        """No further transaction here: the server's limit (RFC 9422 section 3.1), the caller's, or too many RSETs."""
        limits = (self.capabilities.limit("MAILMAX"), self._max_mails)
        return self._resets >= RESETS or any(limit is not None and self._mails >= limit for limit in limits)

    @property
    def phase(self) -> Phase | None:
        """The step that is waited for, for the error that may end it."""
        if self._outstanding:
            return self._outstanding[0].command.phase
        return Phase.CONTENT if self._content_of else None

    @property
    def awaits_content_reply(self) -> bool:
        """The next reply is the one to the content, which takes servers longest."""
        return bool(self._outstanding) and self._at_stake(self._outstanding[0])

    def has_accepted(self, sender: Address | None) -> bool:
        """This sender was accepted on this connection before."""
        return sender in self._senders

    def offered(self, exchange: Exchange) -> bool:
        """The last octet was offered to the socket: the server may have all of it."""
        return exchange.end is not None and self._out.offered(exchange.end)

    def unprocessed(self, exchange: Exchange) -> bool:
        """It stood behind a 421 after which the stream ended cleanly, so the server never took it up."""
        return self._ended_cleanly and exchange in self._behind_dismissal

    def free_for(self, command: Command) -> bool:
        """The rules of pipelining let this command follow what is under way."""
        if not self._outstanding:
            return True
        if not self.pipelining or not self._may_follow(self._outstanding[-1].command):
            return False
        return len(self._outstanding) < OUTSTANDING

    def _may_follow(self, last: Command) -> bool:
        # RFC 2920 section 3.1: a command that ends a group is the last one before its reply.
        return not last.ends_group or (self._may_overlap and isinstance(last, commands.EndOfData))

    # What a conversation says.

    def send(self, command: Command) -> Exchange:
        """Queue a command.

        Raises:
            RuntimeError: It may not be said now; conversations never try.
            SMTPServerDisconnected: The connection is over.
            SMTPInputError: See `commands.line`; nothing was queued.
        """
        if self.state is State.CLOSED or self.dismissal:
            raise self.ending(command.phase)
        kind = type(command)
        if kind not in ALLOWED.get(self.state, ()) or self._chunk or not self.free_for(command):
            raise RuntimeError(f"{kind.__name__} may not be sent in state {self.state.name}")
        exchange = Exchange(command)
        if kind is commands.EndOfData:
            self._out.append(self._stuffer.end())
        octets = command.serialize()
        self._out.append(octets)
        exchange.end = self._out.queued
        self._outstanding.append(exchange)
        self.transcript.sent(command, octets)
        self.state = LEADS_TO.get(kind, self.state)
        self._mails += kind is commands.Mail
        if isinstance(command, commands.Bdat):
            self._begin_chunk(command, exchange)
        return exchange

    def _begin_chunk(self, command: commands.Bdat, exchange: Exchange) -> None:
        self._content_of = exchange
        if command.last:
            self.state = State.READY
        if command.size:
            self._chunk, self._chunk_of, exchange.end = command.size, exchange, None

    def send_content(self, octets: Octets) -> None:
        """Queue canonical content: behind a 354 with its dots stuffed, behind BDAT as it is.

        Raises:
            RuntimeError: No content is due, or more than BDAT announced.
        """
        if self.dismissal or self.state is State.CLOSED:
            raise self.ending()
        if self.state is State.CONTENT:
            self._out.append(self._stuffer.feed(octets))
        elif self._chunk_of and len(octets) <= self._chunk:
            self._out.append(octets)
            self._chunk -= len(octets)
            if not self._chunk:
                self._chunk_of.end, self._chunk_of = self._out.queued, None
        else:
            raise RuntimeError("no content, or less of it, is due now")
        self.transcript.content(len(octets))

    # What a driver carries.

    def data_to_send(self) -> memoryview:
        """What to write next; empty when all is written. A view shows nothing of itself in a traceback."""
        return self._out.view()

    def attempting(self, octets: int) -> None:
        """A write begins: until it is known how much of it left, count it as gone. 0: none of it left."""
        self._out.attempting(octets)

    def sent(self, octets: int) -> None:
        """So many octets left."""
        self._out.take(octets)

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take what the server sent; no octets mean that the stream ended.

        Raises:
            SMTPProtocolError: It is not what SMTP allows here. The connection must be closed.
            SMTPSecurityError: Octets stand behind the 220 to STARTTLS.
        """
        try:
            if not data:
                self._end_of_stream()
                return
            self._replies.feed(data)
            if self.state is State.GREETING and self._replies.looks_like_tls:
                raise SMTPSecurityError("the server speaks TLS at once on this port", advice="Use implicit TLS (smtps)")
            while reply := self._replies.next():
                self._answered(reply)
            self._check_behind_starttls()
        except SMTPException:
            self.connection_lost()
            raise

    def _check_behind_starttls(self) -> None:
        # CVE-2011-0411 and its many heirs: what stands behind the 220 was sent in clear, by anybody.
        if self.state is State.TLS and self._replies:
            raise SMTPSecurityError("octets behind the reply to STARTTLS: somebody injects", phase=Phase.STARTTLS)

    def tls_established(self) -> None:
        """The handshake is done."""
        self.secure = True
        self.transcript.note("TLS established")
        if self.state is State.TLS:
            # RFC 3207 section 4.2: forget all that was learned in plain text.
            self.capabilities = Capabilities()
            self.state = self._between = State.NEW

    def _end_of_stream(self) -> None:
        self._ended_cleanly = self.dismissal is not None and not self._replies
        self.transcript.note("the server closed the connection")
        self.state = State.CLOSED

    def connection_lost(self) -> None:
        """The stream broke, a deadline passed, or the client gives up."""
        self._ended_cleanly = False
        self.state = State.CLOSED

    def ending(self, step: Phase | None = None) -> SMTPException:
        """The error that says why nothing more will come, or why this next step cannot be taken."""
        phase = self._dismissed_at or self.phase or step
        error = SMTPServerDisconnected("the server closed the connection", phase=phase)
        error.reply = self.dismissal
        return error

    # What a reply means.

    def _answered(self, reply: Reply) -> None:
        self.replies_read += 1
        if self.state is State.TLS:
            raise SMTPSecurityError("a reply behind the one to STARTTLS: somebody injects", phase=Phase.STARTTLS)
        if self.dismissal:
            # An octet of doubt: what stood behind the 421 may have been taken up after all.
            self._behind_dismissal = ()
        if not self._outstanding:
            self._unsolicited(reply)
            return
        exchange = self._outstanding[0]
        early = not self.offered(exchange)
        if early and not reply.refused:
            raise SMTPProtocolError(f"a reply to what was not said yet: {reply}")
        if not exchange.replies:
            exchange.due = self._replies_due(exchange.command)
        hushed = exchange.command.hushed(reply) if reply.refused else reply
        hidden = hushed is not reply or (exchange.command.secret and reply.intermediate)
        self.transcript.received(reply, secret=hidden)
        reply = hushed
        self._check(exchange.command, reply)
        exchange.replies.append(reply)
        exchange.due -= 1
        if exchange.due == 0:
            self._outstanding.popleft()
        self._learn(exchange, reply)
        self._settle(exchange, reply)
        # Behind a refused RSET what follows would join the old transaction; Exim closes there.
        joined = isinstance(exchange.command, commands.Rset) and self._open and reply.refused
        if reply.code == 421 or early or joined:
            self._dismissed(reply, exchange.command.phase)

    def _unsolicited(self, reply: Reply) -> None:
        self.transcript.received(reply)
        if self._content_of and self.state is State.CONTENT and reply.refused:
            # It has seen enough: this is the answer to the content.
            self._content_of.replies.append(reply)
        # RFC 5321 section 3.8: a server may say 421 at any time, and nothing else unasked.
        elif reply.code != 421:
            raise SMTPProtocolError(f"a reply to nothing that was said: {reply}")
        self._dismissed(reply)

    def _replies_due(self, command: Command) -> int:
        """RFC 2033 section 4.2: LMTP answers the content once for each accepted recipient."""
        return max(self._accepted, 1) if self.lmtp and command.commits else 1

    def _check(self, command: Command, reply: Reply) -> None:
        if not reply.refused and reply.code // 100 not in command.positive:
            raise SMTPProtocolError(f"{reply} is no answer to {command.phase}")
        nobody = not self._open or not self._accepted
        if nobody and type(command) is commands.Bdat and command.commits and reply.positive:
            raise SMTPProtocolError(f"content was accepted ({reply}) though every recipient was refused")

    def _learn(self, exchange: Exchange, reply: Reply) -> None:
        """Keep what a positive reply says about the session."""
        match exchange.command:
            case commands.Mail(sender=sender) if reply.positive:
                self._open, self._accepted = True, 0
                if sender not in self._senders:
                    self._senders = {sender} if len(self._senders) >= SENDERS else self._senders | {sender}
            case commands.Mail() if reply.refused:
                # Dovecot's submission service may die at the next command: no content goes there unasked.
                self._senders = set()
            case commands.Rcpt() if reply.positive and self._open:
                self._accepted += 1
            case commands.Rset() if reply.positive:
                self._resets += self._open
                self._open, self._accepted = False, 0
            case commands.EndOfData() | commands.Bdat(last=True) if exchange.done and self._accepted:
                # Behind a content that nobody got, the next MAIL gets 503, and its message this one's sender:
                # at Exim where there were no recipients, at Postfix where a policy refused the content.
                self._open, self._accepted = not any(each.positive for each in exchange.replies), 0
            case commands.Hello() if reply.positive:
                only_helo = isinstance(exchange.command, commands.Helo)
                name = reply.lines[0].partition(" ")[0]
                self.capabilities = Capabilities(name) if only_helo else Capabilities.parse(reply)
                self._open, self._between = False, State.READY
            case commands.Auth() | commands.AuthResponse() if reply.positive:
                self.authenticated = True

    def _settle(self, exchange: Exchange, reply: Reply) -> None:
        """Find the state that a reply leads to."""
        command = exchange.command
        if self.state >= State.CLOSING:
            return
        if command.phase is Phase.STARTTLS and reply.positive:
            self.state = State.TLS
        elif reply.intermediate and command.phase is Phase.AUTH:
            self.state = State.CHALLENGED
        elif reply.intermediate and command.phase is Phase.DATA:
            self.state, self._stuffer, self._content_of = State.CONTENT, DotStuffer(), exchange
        elif not self._outstanding and self.state is not State.CHUNKS:
            self.state, self._content_of = (State.TRANSACTION if self._open else self._between), None

    def _dismissed(self, reply: Reply, phase: Phase | None = None) -> None:
        """RFC 5321 section 3.8: after a 421 nothing more is written, and the client closes."""
        if self.dismissal is None:
            self.dismissal, self._dismissed_at = reply, phase
        # What has a reply already was taken up: over LMTP the other recipients of that content stay in doubt.
        self._behind_dismissal = tuple(exchange for exchange in self._outstanding if not exchange.replies)
        self.state = State.CLOSING
        self._out.drop()

    def _at_stake(self, exchange: Exchange) -> bool:
        """It holds content that the server may have whole."""
        return exchange.command.commits and self.offered(exchange)
