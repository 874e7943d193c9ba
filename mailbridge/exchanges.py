"""A command and its replies, kept together from the first octet to the last."""

from __future__ import annotations

from typing import Final

from .commands import Command
from .replies import Reply

# The end of what is not queued yet: no stream comes near it, and mypyc still takes it for a machine's number.
UNSAID: Final = 1 << 60


class Exchange:
    """A command under way and the replies that it got.

    Attributes:
        command: What was said.
        replies: One reply; over LMTP the content gets one for each accepted recipient.
        due: How many replies it still waits for.
        end: The offset in the outgoing stream behind its last octet, UNSAID while that is not queued.
    """

    __slots__ = ("command", "due", "end", "replies")

    def __init__(self, command: Command, end: int = UNSAID) -> None:
        self.command = command
        self.replies: list[Reply] = []
        self.due = 1
        self.end = end

    @property
    def reply(self) -> Reply | None:
        """The last reply that came."""
        return self.replies[-1] if self.replies else None

    @property
    def done(self) -> bool:
        """No further reply is due."""
        return self.due == 0

    @property
    def positive(self) -> bool:
        """It was answered, and not refused."""
        return bool(self.replies) and not self.replies[-1].refused

    @property
    def refused(self) -> bool:
        """It was answered by a refusal."""
        return bool(self.replies) and self.replies[-1].refused
