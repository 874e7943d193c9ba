"""What became of a message: one state for each recipient, with the reply that decided it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from .facts import Endpoint, Phase
from .replies import EnhancedCode, Reply


class State(StrEnum):
    """How it ended for one recipient. Each recipient is in exactly one of these."""

    ACCEPTED = "accepted"
    """The server took responsibility for the message."""
    DEFERRED = "deferred"
    """A 4yz reply refused it for now."""
    REJECTED = "rejected"
    """A 5yz reply refused it for good."""
    NOT_SENT = "not_sent"
    """Nothing accepted it and no reply refused it: safe to send again."""
    UNKNOWN = "unknown"
    """The content was complete on its way and no reply came: it may have arrived."""


# Both values are made for every message. mypyc compiles an __init__ that stands here, not the one of `dataclass`, and
# it has slots of its own.
@dataclass(frozen=True, init=False)
class RecipientResult:
    """The end of the story for one recipient.

    Attributes:
        recipient: The address as the caller wrote it.
        state: The one state that it ended in.
        reply: The reply that decided it, or None where none came.
        phase: The step in which it was decided.
        error: Why, where no reply says so.
    """

    recipient: str
    state: State
    reply: Reply | None = None
    phase: Phase | None = None
    error: Exception | None = field(default=None, compare=False)

    def __init__(
        self,
        recipient: str,
        state: State,
        reply: Reply | None = None,
        phase: Phase | None = None,
        error: Exception | None = None,
    ) -> None:
        object.__setattr__(self, "recipient", recipient)
        object.__setattr__(self, "state", state)
        object.__setattr__(self, "reply", reply)
        object.__setattr__(self, "phase", phase)
        object.__setattr__(self, "error", error)

    @property
    def code(self) -> int | None:
        """The reply code, where a reply came."""
        return self.reply.code if self.reply else None

    @property
    def enhanced(self) -> EnhancedCode | None:
        """The enhanced status code, where the reply has one."""
        return self.reply.enhanced if self.reply else None

    @property
    def text(self) -> str:
        """The server's words, or the error's where the server said nothing."""
        return self.reply.text if self.reply else str(self.error or "")

    @property
    def temporary(self) -> bool:
        """It is safe and sensible to send to this recipient again."""
        if self.state is State.NOT_SENT:
            return bool(getattr(self.error, "temporary", True))
        return self.state is State.DEFERRED

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.recipient, self.state, self.reply, self.phase, self.error)


# Where servers put the name under which they queued a message. Postfix and most relays; Exim;
# Haraka; Sendmail and OpenSMTPD; Google; Amazon SES, which says nothing but "Ok" and the name.
_QUEUE_IDS = tuple(
    re.compile(pattern)
    for pattern in (
        r"queued as\s+<?([\w.@+=-]+)",
        r"\bid=([\w.-]+)",
        r"[Qq]ueued \(([\w.-]+)\)",
        r"^([\w.-]+) Message accepted for delivery",
        r"^OK\s+\d+ ([\w.-]+) - gsmtp",
        r"^Ok ([\w-]{10,})$",
    )
)


def queue_id(reply: Reply | None) -> str | None:
    """What the server called the message, where its reply to the content says so."""
    if reply is None or not reply.positive:
        return None
    matches = (pattern.search(reply.text) for pattern in _QUEUE_IDS)
    return next((match[1].rstrip(".") for match in matches if match), None)


@dataclass(frozen=True, init=False)
class Receipt:
    """What became of one message.

    Attributes:
        sender: The reverse-path as the caller wrote it; empty for the null sender.
        results: Every recipient, in the caller's order and spelling.
        message_id: The Message-ID header of the message.
        reply: The last reply to the content, where one came.
        error: The first thing that went wrong, as an exception; None where nothing did.
        server: Where it was sent.
        duration: Seconds from the first octet to the last reply.
        reused: The connection had carried a message before.
    """

    sender: str
    results: Mapping[str, RecipientResult]
    message_id: str | None = None
    reply: Reply | None = None
    error: Exception | None = field(default=None, compare=False)
    server: Endpoint | None = None
    duration: float = 0.0
    reused: bool = False

    def __init__(
        self,
        sender: str,
        results: Mapping[str, RecipientResult],
        message_id: str | None = None,
        reply: Reply | None = None,
        error: Exception | None = None,
        server: Endpoint | None = None,
        duration: float = 0.0,
        reused: bool = False,
    ) -> None:
        object.__setattr__(self, "sender", sender)
        object.__setattr__(self, "results", MappingProxyType(dict(results)))
        object.__setattr__(self, "message_id", message_id)
        object.__setattr__(self, "reply", reply)
        object.__setattr__(self, "error", error)
        object.__setattr__(self, "server", server)
        object.__setattr__(self, "duration", duration)
        object.__setattr__(self, "reused", reused)

    def _in(self, *states: State) -> dict[str, RecipientResult]:
        return {key: result for key, result in self.results.items() if result.state in states}

    @property
    def states(self) -> set[State]:
        """The states that occur among its recipients."""
        return {result.state for result in self.results.values()}

    @property
    def accepted(self) -> dict[str, RecipientResult]:
        """The recipients that the server took responsibility for."""
        return self._in(State.ACCEPTED)

    @property
    def deferred(self) -> dict[str, RecipientResult]:
        """The recipients that were refused for now (4yz)."""
        return self._in(State.DEFERRED)

    @property
    def rejected(self) -> dict[str, RecipientResult]:
        """The recipients that were refused for good (5yz)."""
        return self._in(State.REJECTED)

    @property
    def refused(self) -> dict[str, RecipientResult]:
        """The recipients that a reply refused: deferred and rejected ones."""
        return self._in(State.DEFERRED, State.REJECTED)

    @property
    def not_sent(self) -> dict[str, RecipientResult]:
        """The recipients that nothing accepted and nothing refused: safe to send again."""
        return self._in(State.NOT_SENT)

    @property
    def unknown(self) -> dict[str, RecipientResult]:
        """The recipients that may or may not have got the message: nobody can know."""
        return self._in(State.UNKNOWN)

    @property
    def complete(self) -> bool:
        """Every recipient was accepted, and there were some."""
        for result in self.results.values():
            if result.state is not State.ACCEPTED:
                return False
        return bool(self.results)

    @property
    def delivered(self) -> bool:
        """At least one recipient was accepted, and no recipient's fate is open."""
        return State.ACCEPTED in (states := self.states) and states.isdisjoint((State.UNKNOWN, State.NOT_SENT))

    @property
    def queue_id(self) -> str | None:
        """What the server called the message, where its reply says so."""
        return queue_id(self.reply)

    def __reduce__(self) -> tuple[Any, ...]:
        # A mapping proxy does not pickle; the plain dictionary inside it does.
        values = (self.sender, dict(self.results), self.message_id, self.reply, self.error)
        return type(self), (*values, self.server, self.duration, self.reused)
