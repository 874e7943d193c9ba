"""`Dialogue`: what a server knows of one session, and how it replies."""

from collections.abc import Generator
from dataclasses import dataclass, field

from mailbridge.testing.actions import Then
from mailbridge.testing.answers import Answer, first_digit
from mailbridge.testing.intake import Intake, Need
from mailbridge.testing.outlet import Outlet
from mailbridge.testing.records import Accepted, Record
from mailbridge.testing.script import Rule, Script

Conversation = Generator[Need, bytes, None]


@dataclass(slots=True)
class Transaction:
    """A mail transaction (RFC 5321 section 3.3), from MAIL on."""

    sender: str
    parameters: dict[str, str]
    recipients: list[str] = field(default_factory=list)
    rcpt_parameters: dict[str, dict[str, str]] = field(default_factory=dict)
    chunks: bytearray | None = None
    failed: bool = False


class Dialogue:
    """The state of one session. The verbs read and change it; `Session` drives it."""

    def __init__(self, script: Script, record: Record) -> None:
        self.settings = script.settings
        self.script = script
        self.record = record
        self.connection = record.connect()
        self.outlet = Outlet(script, self.connection)
        self.intake = Intake(lax=script.settings.lax_newlines)
        self.reply = b""
        self.severity = 0
        self.mails = 0
        self.forget()

    def forget(self) -> None:
        """Everything starts anew: the beginning, and RFC 3207 section 4.2 after STARTTLS."""
        self.greeted = False
        self.offered: dict[str, str] = {}
        self.transaction: Transaction | None = None
        self.intake.clear()

    def note(self, line: bytes) -> None:
        """Remember a line that the client sent."""
        self.connection.lines.append(line)
        self.record.lines.append(line)

    def say(self, event: str, answer: Answer, *also: str) -> bool:
        """Reply to `event` (or one of `also`) as the script dictates, or else with `answer`.

        `reply` and `severity` then hold what was said: its octets and its first digit.

        Returns:
            Whether the command takes effect (RFC 5321 section 4.2.1: 2yz and 3yz).
        """
        rule = self._rule(event, *also)
        reply = self._serialize(answer) if rule is None or rule.raw is None else rule.raw
        self.reply = self.outlet.write(reply)
        self.severity = first_digit(self.reply) or answer.severity
        if rule is not None:
            if rule.held:
                self.outlet.hold()
            self.outlet.end(rule.then)
        return self.severity in (2, 3)

    def interrupt(self, event: str) -> bool:
        """Do what the script dictates for an event that has no usual reply; whether it did."""
        rule = self._rule(event)
        if rule is None:
            return False
        self.outlet.write(rule.raw or b"")
        self.outlet.end(rule.then)
        return True

    def hang_up(self, event: str, answer: Answer) -> None:
        """Reply, then close."""
        self.say(event, answer)
        self.outlet.end(Then.CLOSE)

    def accept(self, transaction: Transaction, recipients: tuple[str, ...], content: bytes) -> None:
        """Take responsibility for a message."""
        self.connection.messages += 1
        self.record.messages.append(
            Accepted(
                sender=transaction.sender,
                recipients=recipients,
                content=content,
                mail_parameters=transaction.parameters,
                rcpt_parameters={r: transaction.rcpt_parameters[r] for r in recipients},
                connection=self.connection.number,
                authenticated_as=self.connection.authenticated_as,
                tls=self.connection.tls,
            )
        )

    def too_soon(self, *, whatever: bool = False) -> bool:
        """Whether the client said more than it may before it has its reply: then it is shown out.

        Args:
            whatever: Nothing may follow here, not even with PIPELINING (RFC 2920 section 3.1).
        """
        allowed = "PIPELINING" in self.offered and not whatever
        if allowed or not self.settings.strict_pipelining or not len(self.intake):
            return False
        self.hang_up("PIPELINING", Answer(554, "5.5.0", "you talk too soon"))
        return True

    def _rule(self, *events: str) -> Rule | None:
        occurring = [rule for rule in self.script.rules if rule.event in events and rule.occurs()]
        return occurring[-1] if occurring else None

    def _serialize(self, answer: Answer) -> bytes:
        # Refusals have their codes even where the extension is not offered: some servers do so.
        announced = "ENHANCEDSTATUSCODES" in self.offered or answer.severity > 3
        return answer.serialize(enhanced=announced)
