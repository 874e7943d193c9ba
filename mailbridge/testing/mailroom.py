"""`Mailroom`: what an inbox has received and refused, and whom it refuses."""

import datetime
import email
import email.policy
import threading
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage

from mailbridge.testing.answers import Answer, refusal
from mailbridge.testing.awaiting import PATIENCE


@dataclass(frozen=True, slots=True)
class Received:
    """A message in the inbox; `content` is what was sent, with CRLF line ends."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    received_at: datetime.datetime
    authenticated_as: str | None
    tls: bool

    @property
    def message(self) -> EmailMessage:
        """The content, parsed anew at each access."""
        return email.message_from_bytes(self.content, policy=email.policy.default)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A recipient that the inbox turned away, and what it said."""

    sender: str
    recipient: str
    reply: str
    refused_at: datetime.datetime


class Mailroom:
    """The lists and their lock; safe from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._messages: list[Received] = []
        self._refusals: list[Refusal] = []
        self._dictated: dict[str, Answer] = {}

    @property
    def messages(self) -> list[Received]:
        """What has arrived so far."""
        with self._changed:
            return list(self._messages)

    @property
    def refusals(self) -> list[Refusal]:
        """Which recipients were turned away so far."""
        with self._changed:
            return list(self._refusals)

    def refuse(self, recipient: str, code: int = 550, enhanced: str = "5.1.1", text: str = "no such user") -> None:
        """Answer RCPT for this recipient with `code`."""
        with self._changed:
            self._dictated[recipient] = refusal(code, enhanced, text)

    def defer(self, recipient: str, code: int = 451, enhanced: str = "4.2.0", text: str = "try again later") -> None:
        """Answer RCPT for this recipient with a temporary `code`."""
        self.refuse(recipient, code, enhanced, text)

    def clear(self) -> None:
        """Forget messages and refusals; whom to refuse stays."""
        with self._changed:
            self._messages.clear()
            self._refusals.clear()

    def wait_for(self, condition: Callable[[], object], timeout: float = PATIENCE) -> None:
        """Wait until `condition()` is true; it is asked again whenever something arrived.

        Raises:
            TimeoutError: it did not become true within `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                raise TimeoutError(f"still not true after {timeout} s")

    def verdict(self, sender: str, recipient: str) -> str | None:
        """The reply that turns this recipient away, noted as such; None if it is welcome."""
        with self._changed:
            answer = self._dictated.get(recipient)
            if answer is None:
                return None
            reply = answer.serialize().decode().rstrip("\r\n")
            self._refusals.append(Refusal(sender, recipient, reply, _now()))
            self._changed.notify_all()
            return reply

    def keep(self, sender: str, recipients: list[str], content: bytes, user: str | None, *, tls: bool) -> None:
        """Put a message into the inbox."""
        with self._changed:
            received = Received(sender, tuple(recipients), content, _now(), user, tls)
            self._messages.append(received)
            self._changed.notify_all()


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
