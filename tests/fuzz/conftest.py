"""What the random sessions were, told at the end of a run."""

import time

import pytest

from tests.fuzz.sessions import TALLY

BEGAN = time.monotonic()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """So many sessions, so many of each outcome, in so many seconds."""
    if TALLY:
        told = ", ".join(f"{count:,} {name}" for name, count in TALLY.most_common())
        terminalreporter.write_line(f"random servers: {told}; {time.monotonic() - BEGAN:.0f} s since the first import")
