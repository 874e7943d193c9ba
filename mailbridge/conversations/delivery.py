"""What became of a message so far. A receipt can be written at any moment, whatever went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..errors import SMTPConnectionReset, SMTPException, SMTPGivenUp, SMTPServerDisconnected
from ..exchanges import Exchange
from ..facts import Endpoint, Phase
from ..message import Prepared, Recipient
from ..protocol import SMTPProtocol
from ..receipts import Receipt, RecipientResult, State
from ..replies import Reply


@dataclass(slots=True)
class Transaction:
    """One MAIL with its recipients and content.

    Attributes:
        smtp: The connection that it runs on.
        recipients: Who it is for.
        mail: MAIL under way.
        rcpts: RCPT under way, in the order of `recipients`; shorter while not all were said.
        data: DATA under way, where it is used.
        content: The end of DATA or each BDAT chunk under way; the last one commits.
        given_up: Nothing more of it will be sent, though nobody refused it.
        again: Recipients beyond the server's limit, who go in the next transaction.
        one_flight: The content left with the envelope, before any reply to it.
    """

    smtp: SMTPProtocol
    recipients: Sequence[Recipient]
    mail: Exchange | None = None
    rcpts: list[Exchange] = field(default_factory=list)
    data: Exchange | None = None
    content: list[Exchange] = field(default_factory=list)
    given_up: bool = False
    again: list[Recipient] = field(default_factory=list)
    one_flight: bool = False

    @property
    def sender_refused(self) -> bool:
        """MAIL was refused, and with it whatever follows."""
        return self.mail is not None and self.mail.refused

    @property
    def accepted(self) -> list[Recipient]:
        """The recipients whose RCPT was accepted; nobody's counts behind a refused MAIL."""
        if self.sender_refused:
            return []
        return [r for r, e in zip(self.recipients, self.rcpts, strict=False) if e.positive]

    @property
    def refused(self) -> list[tuple[Recipient, Reply]]:
        """The recipients whose RCPT was refused."""
        pairs = zip(self.recipients, self.rcpts, strict=False)
        return [(recipient, exchange.replies[-1]) for recipient, exchange in pairs if exchange.refused]

    @property
    def commit(self) -> Exchange | None:
        """The exchange whose last octet is the commit point, where it was queued."""
        return next((exchange for exchange in self.content if exchange.command.commits), None)

    @property
    def refused_chunk(self) -> Reply | None:
        """The refusal of a chunk before the last one. It is everybody's, and what follows is in vain."""
        chunks = (chunk for chunk in self.content if not chunk.command.commits)
        return next((chunk.replies[-1] for chunk in chunks if chunk.refused), None)

    def results(self) -> Iterator[tuple[Recipient, State, Reply | None, Phase | None]]:
        """The state of each recipient, by what is known now."""
        place = 0
        for index, recipient in enumerate(self.recipients):
            rcpt = self.rcpts[index] if index < len(self.rcpts) else None
            yield recipient, *self._result(rcpt, place)
            place += bool(rcpt and rcpt.positive)

    def _result(self, rcpt: Exchange | None, place: int) -> tuple[State, Reply | None, Phase | None]:
        # The first refusal decides: what follows a refused MAIL or RCPT only repeats it.
        for exchange in (self.mail, rcpt, self.data):
            if exchange and exchange.refused:
                return _refusal(exchange.replies[-1], exchange.command.phase)
        if self.given_up:
            return State.NOT_SENT, None, Phase.RCPT
        if refusal := self.refused_chunk:
            return _refusal(refusal, Phase.CONTENT)
        commit = self.commit
        if commit and commit.replies and (place < len(commit.replies) or not self.smtp.lmtp):
            reply = commit.replies[place if self.smtp.lmtp else -1]
            return (State.ACCEPTED, reply, Phase.CONTENT) if reply.positive else _refusal(reply, Phase.CONTENT)
        if commit and self.smtp.offered(commit) and not self.smtp.unprocessed(commit):
            return State.UNKNOWN, None, Phase.CONTENT
        return State.NOT_SENT, None, None


def _refusal(reply: Reply, phase: Phase) -> tuple[State, Reply, Phase]:
    return (State.DEFERRED if reply.transient else State.REJECTED), reply, phase


class Delivery:
    """A message on its way: its transactions so far, and what keeps single recipients out of them.

    Attributes:
        hot: A reply was read on its connection a moment before it begins.
        retried: It went the second way already, over a fresh connection: there is no third.
        done: Nothing more becomes of it. In a batch others may go on.
        ended: What ended it, if it did not end by itself.
    """

    def __init__(self, mail: Prepared, *, abort: bool = False) -> None:
        """Begin with a prepared message.

        Args:
            mail: What to send.
            abort: All or nothing: one refused recipient gives the message up before its content.
        """
        self.mail = mail
        self.abort = abort
        self.transactions: list[Transaction] = []
        self.unfit: dict[Recipient, SMTPException] = {}
        self.hot = False
        self.retried = False
        self.done = False
        self.ended: SMTPException | None = None

    @property
    def at_stake(self) -> bool:
        """A commit point was offered to a socket: the message must not be sent again."""
        commits = [(t.smtp, t.commit) for t in self.transactions if t.commit]
        return any(smtp.offered(commit) and not smtp.unprocessed(commit) for smtp, commit in commits)

    def end(self, error: SMTPException | None) -> None:
        """Nothing more becomes of it."""
        self.done, self.ended = True, error

    @property
    def unheard(self) -> bool:
        """No word came about it, and nothing of it can have been accepted."""
        return not self.at_stake and self.first_reply is None

    @property
    def first_reply(self) -> Reply | None:
        """The reply to the first MAIL."""
        mail = self.transactions[0].mail if self.transactions else None
        return mail.reply if mail else None

    @property
    def died_in_one_flight(self) -> bool:
        """Content that left with its envelope met nothing but the end of the stream: some servers die of it (B2)."""
        return any(t.one_flight and t.mail and not t.mail.replies and t.smtp.over for t in self.transactions)

    def found_dead(self, error: SMTPException | None) -> bool:
        """Its connection ended before anything of it can have been accepted, by a 421 or by no word at all."""
        if self.first_reply is not None:
            return self.first_reply.code == 421
        if self.at_stake:
            return False
        return isinstance(error, SMTPConnectionReset) or type(error) is SMTPServerDisconnected

    @property
    def complete(self) -> bool:
        """Every recipient was accepted, each in the first transaction that it was in."""
        states = [state for transaction in self.transactions for _, state, *_ in transaction.results()]
        return len(states) == len(self.mail.recipients) and all(state is State.ACCEPTED for state in states)

    def reset(self) -> None:
        """Forget what was tried on a connection that turned out to be dead."""
        self.transactions.clear()
        self.unfit.clear()
        self.hot = False

    @property
    def reply(self) -> Reply | None:
        """The last reply to the content."""
        commits = (t.commit for t in reversed(self.transactions))
        return next((c.reply for c in commits if c and c.reply), None)

    def receipt(
        self,
        error: Exception | None = None,
        *,
        server: Endpoint | None = None,
        duration: float = 0.0,
        reused: bool = False,
    ) -> Receipt:
        """What became of it, given the error that ended it, if one did."""
        found: dict[Recipient, tuple[State, Reply | None, Phase | None, Exception | None]] = {}
        for transaction in self.transactions:
            for recipient, state, reply, phase in transaction.results():
                # A later transaction says more about those who went again, if they came to it.
                if recipient in found and state is State.NOT_SENT:
                    continue
                why = None if reply else error
                if transaction.given_up and why:
                    why = SMTPGivenUp("given up because others were refused", phase=phase)
                found[recipient] = state, reply, phase or getattr(why, "phase", None), why
        results = {}
        for recipient in self.mail.recipients:
            if recipient not in found:
                why = self.unfit.get(recipient) or error
                found[recipient] = State.NOT_SENT, None, getattr(why, "phase", None), why
            for name in recipient.names:
                results[name] = RecipientResult(name, *found[recipient])
        return Receipt(
            self.mail.sender_name, results, self.mail.message_id, self.reply, error, server, duration, reused
        )
