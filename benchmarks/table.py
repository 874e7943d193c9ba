"""The table: medians, ratios paired by round, and whether the goal is reached."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterable
from pathlib import Path

from .measuring import Sample
from .rows import PEERS, Kind, Row

Samples = dict[str, list[Sample]]
_UNITS = {Kind.ROUNDS: "round trips", Kind.LATENCY: "RTT", Kind.RATE: "", Kind.MEMORY: "MiB"}
_NOTHING = "-"


def machine() -> str:
    """What the figures were measured on."""
    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = f"{names[0]}, " if names else ""
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{model}{os.cpu_count()} cores, {system}, load {os.getloadavg()[0]:.1f} at the end"


def _median(samples: list[Sample], field: str) -> float:
    found: float = statistics.median(getattr(sample, field) for sample in samples)
    return found


def _cell(kind: Kind, samples: list[Sample] | None) -> str:
    if not samples:
        return _NOTHING
    value = _median(samples, "value")
    if kind is Kind.RATE:
        return f"{value:,.0f}/s, {_median(samples, 'cpu') * 1e6:,.0f} µs"
    return f"{value:.3g}"


def _ratios(ours: list[Sample], others: list[Sample]) -> tuple[float, float]:
    """How many times as fast as the reference: by the clock, and by CPU. Each round's pair counts once."""
    pairs = list(zip(ours, others, strict=True))
    return (
        statistics.median(we.value / they.value for we, they in pairs),
        statistics.median(they.cpu / we.cpu for we, they in pairs),
    )


def _result(row: Row, found: Samples, us: str, reference: str) -> tuple[str, bool | None]:
    """The ratio of one of ours, and whether it is what we want; None where it was not measured."""
    ours, others = found.get(us), found.get(reference)
    if not ours:
        return _NOTHING, None
    if row.kind is not Kind.RATE:
        # A round trip more or less at the ends of a batch, and an octet of the last page, are no miss.
        return "", _median(ours, "value") <= row.goal * 1.001
    if not others:
        return _NOTHING, None
    ratios, unfair = _ratios(ours, others), _median(ours, "unfair")
    fair = f"; longest wait {unfair:.1f} x median" if unfair else ""
    return f"{ratios[0]:.2f} x {reference} (CPU {ratios[1]:.2f} x){fair}", max(ratios) >= row.goal and unfair <= 10


def _reached(pure: bool | None, compiled: bool | None) -> str:
    if pure or compiled:
        return "yes" if pure else "compiled"
    return _NOTHING if pure is None and compiled is None else "no"


def _line(row: Row, found: Samples) -> Iterable[str]:
    yield f"{row.title} ({_UNITS[row.kind]})" if _UNITS[row.kind] else row.title
    for peer in PEERS:
        names = [name for name in found if name == peer or (peer == "Django" and name == "Django send_mail")]
        yield _cell(row.kind, found[names[0]] if names else None)
    reached: list[bool | None] = [None, None]
    for place, (us, reference) in enumerate((*row.pairs, ("", ""))[:2]):
        yield _cell(row.kind, found.get(us))
        ratio, reached[place] = _result(row, found, us, reference)
        yield ratio
    yield f"≤ {row.goal:g}" if row.goal_is_limit else f"≥ {row.goal:g} x"
    yield _reached(*reached)


HEAD = ("work", *PEERS, "mailbridge", "ratio", "mailbridge compiled", "ratio compiled", "goal", "reached")


def table(measured: Iterable[tuple[Row, Samples]]) -> str:
    """All rows in Markdown."""
    lines = [HEAD, ("---",) * len(HEAD), *(tuple(_line(row, found)) for row, found in measured)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
