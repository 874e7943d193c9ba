"""`Answer`: a reply that a server means to give."""

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply; `text` may have several lines."""

    code: int
    enhanced: str = ""
    text: str = "ok"

    @property
    def severity(self) -> int:
        """The first digit of the code."""
        return self.code // 100

    def serialize(self, *, enhanced: bool = True) -> bytes:
        """The reply on the wire; `enhanced=False` leaves the enhanced code out."""
        return _serialized(self, enhanced)


@lru_cache(maxsize=256)  # a server says the same few things again and again
def _serialized(answer: Answer, enhanced: bool) -> bytes:
    prefix = f"{answer.enhanced} " if enhanced and answer.enhanced else ""
    lines = [prefix + line for line in answer.text.split("\n")]
    separators = ["-"] * (len(lines) - 1) + [" "]
    reply = "".join(f"{answer.code}{s}{line}\r\n" for s, line in zip(separators, lines, strict=True))
    return reply.encode()


def refusal(code: int, enhanced: str, text: str) -> Answer:
    """A reply that says no.

    Raises:
        ValueError: the code does not.
    """
    if code not in range(400, 600):
        raise ValueError(f"a refusal has a code from 400 to 599, not {code!r}")
    return Answer(code, enhanced, text)


def first_digit(raw: bytes) -> int | None:
    """The class of a raw reply: the first digit of its last line, None if there is none."""
    last = raw.rstrip(b"\r\n").rpartition(b"\n")[2]
    return int(last[:1]) if last[:1].isdigit() else None
