"""The state machine: what may be said now, and which reply belongs to which command.

As much as possible stands in the two tables. Without I/O: a driver carries octets between it
and a socket, a conversation decides what is said next.
"""

from __future__ import annotations

from collections import deque

from . import commands
from .capabilities import Capabilities
from .commands import Command
from .errors import SMTPException, SMTPProtocolError, SMTPSecurityError, SMTPServerDisconnected
from .exchanges import UNSAID, Exchange
from .facts import Phase
from .replies import Reply
from .standing import LESSONS, Standing
from .states import ALLOWED, LEADS_TO, State
from .transcript import Transcript
from .wire import NOTHING, DotStuffer, Octets, ReplyBuffer, SendBuffer

# RFC 2920 section 3.1: what is unanswered must be bounded, or two full TCP windows wait for each other.
OUTSTANDING = 128
# Exim hangs up at the 11th RSET on a connection that did not follow an accepted message (smtp_accept_max_nonmail).
RESETS = 8


class SMTPProtocol(Standing):
    """One connection's side of the dialogue, and where the session stands.

    Attributes:
        secure: TLS protects the connection.
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
        super().__init__(lmtp=lmtp, pipelining=pipelining, chunking=chunking, overlap=overlap, max_mails=max_mails)
        self.secure = False
        self.dismissal: Reply | None = None
        self.transcript = Transcript()
        self.greeting = Exchange(commands.Greeting(), 0)
        self.replies_read = 0
        self._outstanding: deque[Exchange] = deque([self.greeting])
        self._dismissed_at: Phase | None = None
        self._behind_dismissal: tuple[Exchange, ...] = ()
        self._ended_cleanly = False
        self._mails = self._chunk = 0
        self._replies = ReplyBuffer()
        self._stuffer = DotStuffer()
        self._content_of: Exchange | None = None
        self._chunk_of: Exchange | None = None
        self._out = SendBuffer()

    # What can be asked of it.

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
        if self.state < State.CLOSING:
            return False
        gone = self.dismissal is not None and not any(map(self._at_stake, self._outstanding))
        return gone or self.state is State.CLOSED

    @property
    def full(self) -> bool:
        """No further transaction here: the server's limit (RFC 9422 section 3.1), the caller's, or too many RSETs."""
        return self._mails >= self._most_mails or self._resets >= RESETS

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

    def offered(self, exchange: Exchange) -> bool:
        """The last octet was offered to the socket: the server may have all of it."""
        return exchange.end <= self._out.offered

    def unprocessed(self, exchange: Exchange) -> bool:
        """It stood behind a 421 after which the stream ended cleanly, so the server never took it up."""
        return self._ended_cleanly and exchange in self._behind_dismissal

    @property
    def free(self) -> bool:
        """The rules of pipelining let a command follow what is under way."""
        if not self._outstanding:
            return True
        last = self._outstanding[-1].command
        # RFC 2920 section 3.1: a command that ends a group is the last one before its reply.
        may_follow = not last.ends_group or (self._may_overlap and type(last) is commands.EndOfData)
        return self.pipelining and may_follow and len(self._outstanding) < OUTSTANDING

    # What a conversation says.

    def send(self, command: Command) -> Exchange:
        """Queue a command.

        Raises:
            RuntimeError: It may not be said now; conversations never try.
            SMTPServerDisconnected: The connection is over.
            SMTPInputError: See `commands.line`; nothing was queued.
        """
        kind = type(command)
        if kind not in ALLOWED[self.state] or self._chunk or (self._outstanding and not self.free):
            raise self._out_of_turn(command)
        octets = command.serialize()
        if kind is commands.EndOfData:
            self._out.append(self._stuffer.end())
        exchange = Exchange(command, self._out.append(octets))
        self._outstanding.append(exchange)
        self.transcript.sent(command, octets)
        if kind in LEADS_TO:
            self.state = LEADS_TO[kind]
        if kind is commands.Mail:
            self._mails += 1
        elif isinstance(command, commands.Bdat):
            self._begin_chunk(command, exchange)
        return exchange

    def _out_of_turn(self, command: Command) -> Exception:
        if self.state is State.CLOSED or self.dismissal:
            return self.ending(command.phase)
        return RuntimeError(f"{type(command).__name__} may not be sent in state {self.state.name}")

    def _begin_chunk(self, command: commands.Bdat, exchange: Exchange) -> None:
        self._content_of = exchange
        if command.last:
            self.state = State.READY
        if command.size:
            self._chunk, self._chunk_of, exchange.end = command.size, exchange, UNSAID

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
            end = self._out.append(octets)
            self._chunk -= len(octets)
            if not self._chunk:
                self._chunk_of.end, self._chunk_of = end, None
        else:
            raise RuntimeError("no content, or less of it, is due now")
        self.transcript.content(len(octets))

    # What a driver carries.

    def data_to_send(self) -> memoryview:
        """What to write next; empty when all is written, or when nobody listens any more.

        A view shows nothing of itself in a traceback.
        """
        return NOTHING if self.over else self._out.view()

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
            # CVE-2011-0411 and its many heirs: what stands behind the 220 was sent in clear, by anybody.
            if self.state is State.TLS and self._replies:
                raise SMTPSecurityError("octets behind the reply to STARTTLS: somebody injects", phase=Phase.STARTTLS)
        except SMTPException:
            self.connection_lost()
            raise

    def tls_established(self) -> None:
        """The handshake is done."""
        self.secure = True
        self.transcript.note("TLS established")
        if self.state is State.TLS:
            # RFC 3207 section 4.2: forget all that was learned in plain text.
            self._announced(Capabilities())
            self.state = self._between = State.NEW

    def _end_of_stream(self) -> None:
        self._ended_cleanly = self.dismissal is not None and not self._replies
        self.transcript.note("the server closed the connection")
        self.state = State.CLOSED

    def connection_lost(self) -> None:
        """The stream broke, a deadline passed, or the client gives up."""
        self._ended_cleanly = False
        self.state = State.CLOSED

    def expect_more(self) -> None:
        """Somebody waits for a reply.

        Raises:
            SMTPServerDisconnected: That is in vain.
        """
        if self.over:
            raise self.ending()

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
        command, refused, early = exchange.command, reply.code >= 400, exchange.end > self._out.offered
        if self.lmtp and command.commits and not exchange.replies:
            # RFC 2033 section 4.2: LMTP answers the content once for each accepted recipient.
            exchange.due = max(self._accepted, 1)
        if command.secret:
            reply = self._hushed(command, reply)
        else:
            self.transcript.received(reply)
        if not refused:
            self._check(command, reply, early=early)
        exchange.replies.append(reply)
        exchange.due -= 1
        if exchange.due == 0:
            self._outstanding.popleft()
        # Behind a refused RSET what follows would join the old transaction; Exim closes there.
        joined = refused and type(command) is commands.Rset and self._open
        learn = LESSONS.get(type(command))
        self._settle(learn(self, exchange, reply) if learn else None, exchange)
        if refused and (reply.code == 421 or early or joined):
            self._dismissed(reply, command.phase)

    def _hushed(self, command: Command, reply: Reply) -> Reply:
        """Write a reply down without the secret that it may repeat, or be a challenge for."""
        hushed = reply if reply.intermediate else command.hushed(reply)
        self.transcript.received(reply, secret=hushed is not reply or reply.intermediate)
        return hushed

    def _unsolicited(self, reply: Reply) -> None:
        self.transcript.received(reply)
        if self._content_of and self.state is State.CONTENT and reply.refused:
            # It has seen enough: this is the answer to the content.
            self._content_of.replies.append(reply)
        # RFC 5321 section 3.8: a server may say 421 at any time, and nothing else unasked.
        elif reply.code != 421:
            raise SMTPProtocolError(f"a reply to nothing that was said: {reply}")
        self._dismissed(reply)

    def _check(self, command: Command, reply: Reply, *, early: bool) -> None:
        if early:
            raise SMTPProtocolError(f"a reply to what was not said yet: {reply}")
        if reply.code // 100 not in command.positive:
            raise SMTPProtocolError(f"{reply} is no answer to {command.phase}")
        if not self._accepted and type(command) is commands.Bdat and command.commits:
            raise SMTPProtocolError(f"content was accepted ({reply}) though every recipient was refused")

    def _settle(self, state: State | None, exchange: Exchange) -> None:
        """Take the state that a reply leads to, or the one that is left when nothing more is under way."""
        if self.state >= State.CLOSING:
            return
        if state is not None:
            self.state = state
            if state is State.CONTENT:
                self._stuffer, self._content_of = DotStuffer(), exchange
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
