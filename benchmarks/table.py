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


def _ratios(row: Row, found: Samples) -> tuple[float, float] | None:
    """How many times as fast as the reference: by the clock, and by CPU. Each round's pair counts once."""
    ours, others = found.get(row.us), found.get(row.reference)
    if row.kind is not Kind.RATE or not ours or not others:
        return None
    pairs = list(zip(ours, others, strict=True))
    return (
        statistics.median(we.value / they.value for we, they in pairs),
        statistics.median(they.cpu / we.cpu for we, they in pairs),
    )


def _result(row: Row, found: Samples) -> tuple[str, str]:
    """The ratio, and whether it is what we want."""
    ours = found.get(row.us)
    if not ours:
        return _NOTHING, _NOTHING
    if ratios := _ratios(row, found):
        unfair = _median(ours, "unfair")
        fair = f"; longest wait {unfair:.1f} x median" if unfair else ""
        reached = max(ratios) >= row.goal and unfair <= 10
        return f"{ratios[0]:.2f} x {row.reference} (CPU {ratios[1]:.2f} x){fair}", "yes" if reached else "no"
    # A round trip more or less at the ends of a batch, and an octet of the last page, are no miss.
    return "", "yes" if _median(ours, "value") <= row.goal * 1.001 else "no"


def _line(row: Row, found: Samples) -> Iterable[str]:
    yield f"{row.title} ({_UNITS[row.kind]})" if _UNITS[row.kind] else row.title
    for peer in PEERS:
        names = [name for name in found if name == peer or (peer == "Django" and name == "Django send_mail")]
        yield _cell(row.kind, found[names[0]] if names else None)
    yield _cell(row.kind, found.get(row.us))
    ratio, reached = _result(row, found)
    yield ratio
    yield f"≤ {row.goal:g}" if row.goal_is_limit else f"≥ {row.goal:g} x"
    yield reached


HEAD = ("work", *PEERS, "mailbridge", "ratio", "goal", "reached")


def table(measured: Iterable[tuple[Row, Samples]]) -> str:
    """All rows in Markdown."""
    lines = [HEAD, ("---",) * len(HEAD), *(tuple(_line(row, found)) for row, found in measured)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
