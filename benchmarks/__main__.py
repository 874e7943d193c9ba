"""`python -m benchmarks [--quick] [WORDS]`: measure the rows whose title holds the words, write RESULTS.md."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from .measuring import Effort, measure
from .rows import ROWS, Row
from .table import Samples, machine, table
from .tools import Tools, gather

BUILD = Path(__file__).parent / "build"
RESULTS = Path(__file__).parent / "RESULTS.md"
QUICK = Effort(rounds=3, seconds=0.05)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("words", nargs="*", help="only rows whose title holds these words; nothing is written")
    parser.add_argument("--quick", action="store_true", default=bool(os.environ.get("QUICK")), help="a rough look")
    return parser.parse_args()


def _measured(rows: list[Row], tools: Tools, *, quick: bool) -> tuple[list[tuple[Row, Samples]], set[str]]:
    measured: list[tuple[Row, Samples]] = []
    missing = set(tools.missing)
    for number, row in enumerate(rows, 1):
        print(f"[{number}/{len(rows)}] {row.title}", file=sys.stderr, flush=True)
        names = [name for name in row.drivers if not quick or any(name in pair for pair in row.pairs)]
        found, why = measure(row, tools, QUICK if quick else Effort(), names)
        measured.append((row, found))
        missing |= set(why)
    return measured, missing


def main() -> int:
    """Measure and write."""
    wanted, begun = _arguments(), time.monotonic()
    tools = gather(BUILD, node=not wanted.quick)
    if not tools.programs:
        print("Nothing can be measured. Missing:", *tools.missing, sep="\n- ")
        return 1
    words = " ".join(wanted.words)
    measured, missing = _measured([row for row in ROWS if words in row.title], tools, quick=wanted.quick)
    text = table(measured)
    notes = "\n".join(f"- missing: {one}" for one in sorted(missing))
    effort = QUICK if wanted.quick else Effort()
    how = f"Medians of {effort.rounds} interleaved rounds, {time.monotonic() - begun:.0f} s in all."
    report = f"# Results\n\n{machine()}. {how}\n\n{text}\n\n{notes}".rstrip() + "\n"
    print(report)
    if not words and not wanted.quick:
        RESULTS.write_text(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
