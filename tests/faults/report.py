"""What came of many cuts, counted and printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailbridge import State
from tests.faults.cuts import Way


@dataclass
class Tally:
    """What came of many cuts.

    Attributes:
        sessions: How many combinations were cut.
        cuts: How many cuts there were, by where they were and by way.
        runs: In how many sessions: those that neither side can tell from one another are one.
        outcomes: How many recipients ended in each state, by way.
        wrongs: What did not agree, each with the session and the cut.
    """

    sessions: int = 0
    cuts: Counter[tuple[str, str]] = field(default_factory=Counter)
    runs: int = 0
    outcomes: Counter[tuple[str, State]] = field(default_factory=Counter)
    wrongs: list[str] = field(default_factory=list)

    def count(self, where: str, way: Way, cuts: int, states: Iterator[State]) -> None:
        """A session was cut in so many places that are one, and its recipients ended like this."""
        self.runs += 1
        self.cuts[where, way] += cuts
        for state in states:
            self.outcomes[way, state] += 1

    def add(self, other: Tally) -> None:
        """Take over another one's counts."""
        self.sessions += other.sessions
        self.cuts += other.cuts
        self.runs += other.runs
        self.outcomes += other.outcomes
        self.wrongs += other.wrongs

    def lines(self) -> Iterator[str]:
        """All of it, for a reader."""
        total = self.cuts.total()
        yield f"{total:,} cuts of {self.sessions} kinds of sessions, in {self.runs:,} runs"
        yield from _table("cuts", self.cuts)
        yield from _table(
            "recipients that ended", Counter({(state, way): n for (way, state), n in self.outcomes.items()})
        )
        for wrong in self.wrongs[:SHOWN]:
            yield f"WRONG {wrong}"
        if len(self.wrongs) > SHOWN:
            yield f"... and {len(self.wrongs) - SHOWN:,} more"
        yield f"{len(self.wrongs):,} cuts after which the server's record and the client's receipts do not agree"


# More say nothing new.
SHOWN = 20


def _table(what: str, counts: Counter[tuple[str, str]]) -> Iterator[str]:
    """Counts by row and column."""
    rows, columns = dict.fromkeys(row for row, _ in counts), dict.fromkeys(column for _, column in counts)
    yield f"{what:24}" + "".join(f"{column:>12}" for column in columns)
    for row in rows:
        yield f"  {row:22}" + "".join(f"{counts[row, column]:12,}" for column in columns)
