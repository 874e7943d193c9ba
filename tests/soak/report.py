"""What a soak showed, as a page of Markdown."""

import platform
from dataclasses import dataclass
from os import cpu_count, getloadavg
from statistics import median
from typing import Any

from tests.soak.ledger import Account
from tests.soak.load import TOO_LONG

Sample = dict[str, Any]
# Seconds of a full run; a shorter one judges counts and no course of things.
FULL = 600.0
MIB = 1024 * 1024
# What is flat: memory that grew by less than this in the second half (a process keeps what it needed once, and comes to
# its most in the first one), and living objects, which show a leak at once, by less than such a part since the start.
GROWTH, BREEDING = 4 * MIB, 0.15
# How much slower it may be at the end than at the start.
SLOWER = 0.2


@dataclass(frozen=True)
class Leg:
    """One server's part.

    Attributes:
        name: Of the server.
        story: What befell it.
        account: What the comparison of the books gave.
        samples: A look at the client's process each second.
        end: How it ended.
    """

    name: str
    story: str
    account: Account
    samples: list[Sample]
    end: Sample

    def fifth(self, number: int) -> list[Sample]:
        """The samples of one fifth of the time; the first one is 0."""
        length = len(self.samples)
        return self.samples[length * number // 5 : length * (number + 1) // 5]

    def typical(self, key: str, number: int) -> float:
        """The median of something in one fifth of the time."""
        return median(sample[key] for sample in self.fifth(number))

    def rate(self, number: int) -> float:
        """Accepted messages per second in one fifth of the time."""
        return _slope(self.fifth(number), "accepted", "at")

    def cost(self, number: int) -> float:
        """Seconds of the client's CPU per accepted message in one fifth of the time."""
        return _slope(self.fifth(number), "cpu", "accepted")

    @property
    def failures(self) -> list[str]:
        """What does not hold."""
        found = [*self.account.lines(), *self.end["strange"]]
        if self.end["begun"] != self.account.messages:
            found.append(f"{self.end['begun']} messages were handed over, {self.account.messages} have a receipt")
        if self.end["longest"] > TOO_LONG:
            found.append(f"one send took {self.end['longest']:.0f} s")
        if self.end["left_open"]:
            found.append(f"{self.end['left_open']} descriptors are open after the pools were closed")
        return found + (self._course() if self.samples and self.samples[-1]["at"] >= FULL * 0.9 else [])

    def most(self, key: str, number: int) -> float:
        """The most of something in one fifth of the time."""
        return max(sample[key] for sample in self.fifth(number))

    def _course(self) -> list[str]:
        found = [
            f"{grown:.0f} more {key} in the last fifth than in the first"
            for key in ("descriptors", "threads")
            if (grown := self.most(key, 4) - self.most(key, 0)) > 2
        ]
        if (grown := self.typical("memory", 4) - self.typical("memory", 2)) > GROWTH:
            found.append(f"memory grew by {grown / MIB:.1f} MiB from the third fifth to the last")
        if (more := self.typical("objects", 4) / self.typical("objects", 1) - 1) > BREEDING:
            found.append(f"{more:.0%} more living objects in the last fifth than in the second")
        # A machine that others use too bends the clock: what the CPU says counts as well.
        if min(self.rate(0) / self.rate(4), self.cost(4) / self.cost(0)) > 1 / (1 - SLOWER):
            found.append(f"from {self.rate(0):.0f}/s to {self.rate(4):.0f}/s")
        return found

    @property
    def holds(self) -> bool:
        """Nothing is wrong."""
        return not self.failures


def _slope(samples: list[Sample], rise: str, run: str) -> float:
    if len(samples) < 2:
        return 0.0
    return float(samples[-1][rise] - samples[0][rise]) / max(float(samples[-1][run] - samples[0][run]), 1e-9)


def _rows(leg: Leg) -> list[tuple[str, str]]:
    account, states = leg.account, leg.account.states
    last = leg.samples[-1]
    return [
        ("what befell it", leg.story),
        ("messages handed over, with a receipt", f"{leg.end['begun']:,}, {account.messages:,}"),
        *((f"recipients {state}", f"{states[state]:,}") for state in ("accepted", "deferred", "rejected", "not_sent")),
        ("recipients unknown; of these the server has", f"{states['unknown']:,}; {account.unknown_taken:,}"),
        ("disagreements between receipts and record", f"{sum(map(len, account.disagreements.values())):,}"),
        ("delivered twice by the server itself", f"{account.repeated:,}"),
        ("longest send, s", f"{leg.end['longest']:.1f}"),
        (
            "accepted messages per second, by fifths of the time",
            _fifths(leg, lambda number: f"{leg.rate(number):,.0f}"),
        ),
        ("µs of CPU for each of them", _fifths(leg, lambda number: f"{leg.cost(number) * 1e6:,.0f}")),
        ("memory, MiB", _fifths(leg, lambda number: f"{leg.typical('memory', number) / MIB:.1f}")),
        ("living objects", _fifths(leg, lambda number: f"{leg.typical('objects', number):,.0f}")),
        ("descriptors at most", _fifths(leg, lambda number: f"{leg.most('descriptors', number):.0f}")),
        ("descriptors left when the pools were closed", f"{leg.end['left_open']}"),
        ("threads at most", _fifths(leg, lambda number: f"{leg.most('threads', number):.0f}")),
        ("seconds", f"{last['at']:.0f}"),
        ("everything holds", "yes" if leg.holds else "NO"),
    ]


def _fifths(leg: Leg, cell: Any) -> str:
    return ", ".join(cell(number) for number in range(5)) if len(leg.samples) >= 10 else "-"


def report(legs: list[Leg], effort: Any) -> str:
    """The page."""
    columns = [dict(_rows(leg)) for leg in legs]
    machine = f"{cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    each = f"each of {effort.pool} connections"
    who = f"{effort.threads} threads on a `Pool` and {effort.tasks} tasks on a `mailbridge.asyncio.Pool`, {each}"
    lines = [
        "# Soak",
        "",
        f"{machine}, load {getloadavg()[0]:.1f} at the end.",
        f"{who}, in one process for each server; both servers at the same time.",
        "`make soak` wrote this; [tests/soak](../tests/soak/README.md) says how.",
        "",
        "| | " + " | ".join(leg.name for leg in legs) + " |",
        "| --- |" + " --- |" * len(legs),
        *(f"| {title} | " + " | ".join(column[title] for column in columns) + " |" for title in columns[0]),
    ]
    for leg in legs:
        if leg.failures:
            lines += ["", f"What does not hold with the {leg.name}:", "", *(f"- {line}" for line in leg.failures)]
    return "\n".join(lines) + "\n"
