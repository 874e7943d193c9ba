"""What was said on one connection, and the answers that were heard: notes of a listener who knows nothing of us."""

from __future__ import annotations

from dataclasses import dataclass, field


class Illegal(AssertionError):  # noqa: N818 - it is what a client did, not what went wrong here
    """The client said what it must not say."""


@dataclass(eq=False)
class Said:
    """Something that was said and is answered: a line, the content behind a 354 with its dot, a chunk with its BDAT."""

    verb: str
    argument: str = ""
    content: bytes = b""
    missing: int = 0  # octets of its chunk that have not been said yet
    replies: list[int] = field(default_factory=list)
    due: int = 1

    @property
    def last(self) -> bool:
        """What it says completes the content."""
        return self.verb == "CONTENT" or (self.verb == "BDAT" and self.argument.endswith(" LAST"))

    @property
    def accepted(self) -> bool:
        """It was answered, and not refused."""
        return bool(self.replies) and self.replies[-1] < 400

    @property
    def refused(self) -> bool:
        """It was answered by a refusal."""
        return bool(self.replies) and self.replies[-1] >= 400


@dataclass(eq=False)
class Transaction:
    """MAIL and what belongs to it."""

    mail: Said
    words: dict[str, str]
    rcpts: list[Said] = field(default_factory=list)
    data: Said | None = None
    chunks: list[Said] = field(default_factory=list)
    commit: Said | None = None

    @property
    def nobody(self) -> bool:
        """It is known that nobody gets it."""
        answered = self.rcpts and all(rcpt.replies for rcpt in self.rcpts)
        return self.mail.refused or bool(answered and not any(rcpt.accepted for rcpt in self.rcpts))

    @property
    def content(self) -> bytes:
        """What was said of its content."""
        return b"".join(said.content for said in (*self.chunks, *filter(None, [self.commit])))
