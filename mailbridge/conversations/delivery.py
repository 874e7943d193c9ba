"""What became of a message so far. A receipt can be written at any moment, whatever went wrong."""

from __future__ import annotations

from ..errors import SMTPConnectionReset, SMTPException, SMTPGivenUp, SMTPServerDisconnected
from ..exchanges import Exchange
from ..facts import Endpoint, Phase
from ..preparing import Prepared, Recipient
from ..protocol import SMTPProtocol
from ..receipts import Receipt, RecipientResult, State
from ..replies import Reply

Fate = tuple[State, Reply | None, Phase | None]
Verdict = tuple[State, Reply | None, Phase | None, Exception | None]


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

    def __init__(self, smtp: SMTPProtocol, recipients: tuple[Recipient, ...], mail: Exchange | None = None) -> None:
        self.smtp = smtp
        self.recipients = recipients
        self.mail = mail
        self.rcpts: list[Exchange] = []
        self.data: Exchange | None = None
        self.content: list[Exchange] = []
        self.given_up = False
        self.again: list[Recipient] = []
        self.one_flight = False

    @property
    def sender_refused(self) -> bool:
        """MAIL was refused, and with it whatever follows."""
        return self.mail is not None and self.mail.refused

    @property
    def accepted(self) -> list[Recipient]:
        """The recipients whose RCPT was accepted; nobody's counts behind a refused MAIL."""
        if self.sender_refused:
            return []
        return [self.recipients[place] for place, rcpt in enumerate(self.rcpts) if rcpt.positive]

    @property
    def refused(self) -> list[tuple[Recipient, Reply]]:
        """The recipients whose RCPT was refused."""
        return [(self.recipients[place], rcpt.replies[-1]) for place, rcpt in enumerate(self.rcpts) if rcpt.refused]

    @property
    def commit(self) -> Exchange | None:
        """The exchange whose last octet is the commit point, where it was queued."""
        last = self.content[-1] if self.content else None
        return last if last and last.command.commits else None

    @property
    def refused_chunk(self) -> Reply | None:
        """The refusal of a chunk before the last one. It is everybody's, and what follows is in vain."""
        for chunk in self.content:
            if chunk.refused and not chunk.command.commits:
                return chunk.replies[-1]
        return None

    def fates(self) -> list[tuple[Recipient, Fate]]:
        """What became of each recipient, by what is known now."""
        found: list[tuple[Recipient, Fate]] = []
        place = 0
        shared = None if self.smtp.lmtp else self._behind_rcpt()
        for index, recipient in enumerate(self.recipients):
            rcpt = self.rcpts[index] if index < len(self.rcpts) else None
            # The first refusal decides: what follows a refused MAIL or RCPT only repeats it.
            first = self.mail if self.sender_refused else rcpt
            if first and first.refused:
                found.append((recipient, _refusal(first.replies[-1], first.command.phase)))
                continue
            found.append((recipient, shared or self._behind_rcpt(place)))
            place += bool(rcpt and rcpt.replies)
        return found

    def _behind_rcpt(self, place: int | None = None) -> Fate:
        """The fate of whoever was not refused so far; over LMTP of the one at this place among them."""
        if self.data and self.data.refused:
            return _refusal(self.data.replies[-1], Phase.DATA)
        if self.given_up:
            return State.NOT_SENT, None, Phase.RCPT
        if refusal := self.refused_chunk:
            return _refusal(refusal, Phase.CONTENT)
        commit = self.commit
        if commit and commit.replies and (place is None or place < len(commit.replies)):
            reply = commit.replies[-1 if place is None else place]
            return _refusal(reply, Phase.CONTENT) if reply.refused else (State.ACCEPTED, reply, Phase.CONTENT)
        if commit and self.smtp.offered(commit) and not self.smtp.unprocessed(commit):
            return State.UNKNOWN, None, Phase.CONTENT
        return State.NOT_SENT, None, None


def _refusal(reply: Reply, phase: Phase) -> Fate:
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
        for transaction in self.transactions:
            mail = transaction.mail
            if transaction.one_flight and mail and not mail.replies and transaction.smtp.over:
                return True
        return False

    def found_dead(self, error: SMTPException | None) -> bool:
        """Its connection ended before anything of it can have been accepted, by a 421 or by no word at all."""
        if self.first_reply is not None:
            return self.first_reply.code == 421
        if self.at_stake:
            return False
        return isinstance(error, SMTPConnectionReset) or type(error) is SMTPServerDisconnected

    def reset(self) -> None:
        """Forget what was tried on a connection that turned out to be dead."""
        self.transactions.clear()
        self.unfit.clear()
        self.hot = False

    @property
    def reply(self) -> Reply | None:
        """The last reply to the content."""
        for transaction in reversed(self.transactions):
            if (commit := transaction.commit) and commit.replies:
                return commit.replies[-1]
        return None

    def receipt(
        self,
        error: Exception | None = None,
        *,
        server: Endpoint | None = None,
        duration: float = 0.0,
        reused: bool = False,
    ) -> Receipt:
        """What became of it, given the error that ended it, if one did."""
        results = {}
        fates = self._fates(error)
        for recipient in self.mail.recipients:
            state, reply, phase, why = fates.get(recipient) or _unbegun(self.unfit.get(recipient) or error)
            for name in recipient.names:
                results[name] = RecipientResult(name, state, reply, phase, why)
        mail = self.mail
        return Receipt(mail.sender_name, results, mail.message_id, self.reply, error, server, duration, reused)

    def _fates(self, error: Exception | None) -> dict[Recipient, Verdict]:
        found: dict[Recipient, Verdict] = {}
        for transaction in self.transactions:
            for recipient, (state, reply, phase) in transaction.fates():
                if reply:
                    found[recipient] = state, reply, phase, None
                # A later transaction says more about those who went again, if they came to it.
                elif recipient not in found or state is not State.NOT_SENT:
                    given_up = transaction.given_up and error
                    why = SMTPGivenUp("given up because others were refused", phase=phase) if given_up else error
                    found[recipient] = state, None, phase or getattr(why, "phase", None), why
        return found


def _unbegun(why: Exception | None) -> Verdict:
    return State.NOT_SENT, None, getattr(why, "phase", None), why
