"""What a check found, as frozen values, and how they are told to people and to machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ..facts import printable
from ..receipts import Receipt

# Columns of the printed form: what the longest name of a step needs, and a time of minutes.
_NAME, _SECONDS = 8, 9

Fact = str | int | list[str]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a check.

    Attributes:
        name: The phase of the session that it was, "SEND" for a whole message.
        seconds: How long it took.
        ok: It went well; with a finding all the same, it may not go on so.
        facts: What was learned.
        finding: What is wrong and what to change, in plain words; empty where nothing is.
    """

    name: str
    seconds: float
    ok: bool = True
    facts: Mapping[str, Fact] = field(default_factory=dict)
    finding: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))

    @property
    def verdict(self) -> str:
        """In one word: "ok", "warn" or "FAIL"."""
        return "FAIL" if not self.ok else "warn" if self.finding else "ok"

    def lines(self) -> Iterator[str]:
        """The step for people: one line, and one more for a finding."""
        facts = "; ".join(f"{name} {_spelled(fact)}" for name, fact in self.facts.items())
        time = f"{self.seconds * 1000:.1f} ms"
        yield f"{self.verdict:<4}  {self.name:<{_NAME}}  {time:>{_SECONDS}}  {facts}".rstrip()
        if self.finding:
            yield f"      {self.finding}"

    def as_dict(self) -> dict[str, Any]:
        """The step for machines."""
        return {
            "name": self.name,
            "seconds": round(self.seconds, 6),
            "ok": self.ok,
            "facts": {name: list(fact) if isinstance(fact, list) else fact for name, fact in self.facts.items()},
            "finding": self.finding or None,
        }


def _spelled(fact: Fact) -> str:
    return ", ".join(fact) or "none" if isinstance(fact, list) else str(fact)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a check found.

    Attributes:
        server: Who was checked: host and port, or the path of a unix socket.
        security: How the connection was to be protected.
        steps: The steps, in order, up to the first that failed.
        receipt: What became of the test message, where one was sent.
    """

    server: str
    security: str
    steps: tuple[Step, ...]
    receipt: Receipt | None = None

    @property
    def ok(self) -> bool:
        """No step failed. Findings may still warn."""
        return all(step.ok for step in self.steps)

    @property
    def findings(self) -> tuple[str, ...]:
        """What is wrong, or soon will be, in plain words."""
        return tuple(step.finding for step in self.steps if step.finding)

    @property
    def seconds(self) -> float:
        """How long all steps took together."""
        return sum(step.seconds for step in self.steps)

    @property
    def summary(self) -> str:
        """The whole in one line."""
        failed = ", ".join(dict.fromkeys(step.name for step in self.steps if not step.ok))
        warned = sum(step.verdict == "warn" for step in self.steps)
        warnings = f", {warned} warning{'s' if warned > 1 else ''}" if warned else ""
        return f"{self.server}: {f'failed at {failed}' if failed else 'all well'}{warnings}"

    def lines(self) -> list[str]:
        """The diagnosis for people."""
        steps = [line for step in self.steps for line in step.lines()]
        return [f"{self.server}, security={self.security}", *steps, *self._receipt_lines(), self.summary]

    def _receipt_lines(self) -> Iterator[str]:
        for result in self.receipt.results.values() if self.receipt else ():
            words = printable(str(result.reply or result.error or ""))
            yield f"      {printable(result.recipient)} {result.state} {words}".rstrip()

    def as_dict(self) -> dict[str, Any]:
        """The diagnosis for machines: only what JSON knows. The names are stable."""
        return {
            "server": self.server,
            "security": self.security,
            "ok": self.ok,
            "seconds": round(self.seconds, 6),
            "steps": [step.as_dict() for step in self.steps],
            "receipt": _receipt(self.receipt) if self.receipt else None,
        }


def _receipt(receipt: Receipt) -> dict[str, Any]:
    return {
        "message_id": receipt.message_id,
        "queue_id": receipt.queue_id,
        "sender": receipt.sender,
        "recipients": [
            {
                "recipient": result.recipient,
                "state": str(result.state),
                "code": result.code,
                "enhanced": str(result.enhanced) if result.enhanced else None,
                "text": printable(result.text),
            }
            for result in receipt.results.values()
        ],
    }
