"""Stacked bars of the five states. Counts in, lengths out: nothing here knows a database or a page."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mailbridge import State

# Each stands out by a contrast of 3 against the admin's white and its dark grey (WCAG 2.1 section 1.4.11).
COLOURS = {
    State.ACCEPTED: "#2e9e5b",
    State.DEFERRED: "#b7791f",
    State.REJECTED: "#d64545",
    State.NOT_SENT: "#808080",
    State.UNKNOWN: "#8b6fd6",
}
# In units of the drawing: the longest bar, the shortest segment, and the room that both may take together.
LONGEST, SHORTEST = 1000, 4
WIDTH = LONGEST + SHORTEST * len(COLOURS)

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Segment:
    """The part of a bar that stands for one state."""

    state: State
    count: int = 0
    start: int = 0
    length: int = 0

    @property
    def name(self) -> str:
        """The state, as people write it."""
        return self.state.replace("_", " ")

    @property
    def colour(self) -> str:
        """The state's colour, as an attribute of SVG takes it."""
        return COLOURS[self.state]


@dataclass(frozen=True, slots=True)
class Bar:
    """A day or a domain, with a segment for each state, empty ones too."""

    label: object
    segments: tuple[Segment, ...]

    @property
    def total(self) -> int:
        """How many recipients."""
        return sum(segment.count for segment in self.segments)


LEGEND = tuple(map(Segment, COLOURS))


def bars(rows: Iterable[tuple[object, Counts]]) -> list[Bar]:
    """Draw each row to the scale of the longest.

    Args:
        rows: What a bar is called, and how many recipients ended in each state.
    """
    rows = list(rows)
    peak = max((sum(counts.get(state, 0) for state in COLOURS) for _, counts in rows), default=0)
    return [Bar(label, tuple(_segments(counts, peak))) for label, counts in rows]


def _segments(counts: Counts, peak: int) -> Iterator[Segment]:
    start = 0
    for state in COLOURS:
        count = counts.get(state, 0)
        # One refusal among a million is still seen.
        length = max(SHORTEST, round(count * LONGEST / peak)) if count else 0
        yield Segment(state, count, start, length)
        start += length


def every_day(found: Mapping[datetime.date, Counts], last: datetime.date, days: int) -> list[tuple[object, Counts]]:
    """The rows of so many days, the last one first, those without mail too."""
    dates = (last - datetime.timedelta(days=ago) for ago in range(days))
    return [(date, found.get(date, {})) for date in dates]
