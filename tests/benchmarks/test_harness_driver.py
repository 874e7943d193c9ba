"""The benchmark's harness: its server counts what each driver sends. No time is asserted."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.measuring import Effort, Sample, measure
from benchmarks.rows import ROWS, Kind, Row
from benchmarks.table import HEAD, table
from benchmarks.tools import ROOT, Tools, gather
from tests.compiled import is_compiled

ONE_TURN = Effort(rounds=1, seconds=0.001)


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    if (
        not shutil.which("cc")
        or not Path("/usr/include/openssl/ssl.h").exists()
        or not Path("/proc/self/status").exists()
    ):
        pytest.skip("the harness needs Linux, a C compiler and OpenSSL's headers")
    return gather(tmp_path_factory.mktemp("build"), node=False, compiled=False)


@pytest.mark.parametrize("name", ["smtplib", "mailbridge", "mailbridge Django send_mail"])
def test_the_server_got_what_a_driver_sent(tools: Tools, name: str) -> None:
    """A turn whose counts differ raises."""
    samples, missing = measure(Row("one", Kind.RATE), tools, ONE_TURN, [name])
    assert missing == []
    assert [sample.value > 0 for sample in samples[name]] == [True]


def test_the_proxy_counts_round_trips(tools: Tools) -> None:
    """One command at a time takes four for one message, and CHUNKING takes one."""
    row = Row("one", Kind.ROUNDS, count=2, rtt=0.002)
    samples, _ = measure(row, tools, ONE_TURN, ["smtplib", "mailbridge"])
    assert [samples[name][0].value for name in ("smtplib", "mailbridge")] == [4, 1]


def test_a_driver_whose_library_is_missing_is_named(tools: Tools) -> None:
    """Its cells stay empty."""
    samples, missing = measure(Row("one", Kind.RATE), tools, ONE_TURN, ["Nodemailer"])
    assert (samples, missing) == ({}, ["Nodemailer"])


def test_python_is_not_measured_as_machine_code(tools: Tools) -> None:
    """A compiled driver takes mailbridge from that folder alone, and only as machine code: `make compiled` has some."""
    here = replace(tools, compiled=ROOT)
    samples, missing = measure(Row("one", Kind.RATE), here, ONE_TURN, ["mailbridge", "mailbridge compiled"])

    compiled = is_compiled("mailbridge/protocol.py")
    assert list(samples) == ["mailbridge compiled", "mailbridge"] if compiled else ["mailbridge"]
    assert [f"is no machine code of {ROOT}" in why for why in missing] == [True] * (not compiled)


def test_machine_code_that_could_not_be_made_is_named_once(tools: Tools) -> None:
    """Whatever the rows; their cells stay empty."""
    compiled = ["mailbridge compiled", "mailbridge send_many compiled"]
    samples, missing = measure(Row("one", Kind.RATE), tools, ONE_TURN, compiled)
    assert (samples, set(missing)) == ({}, {"mailbridge compiled"})


@pytest.mark.parametrize(
    ("pure", "compiled", "reached"), [(3, 1, "yes"), (1, 3, "compiled"), (3, 3, "yes"), (1, 1, "no"), (1, None, "no")]
)
def test_a_goal_is_reached_by_either(pure: int, compiled: int | None, reached: str) -> None:
    """And the last cell says by which."""
    speeds = {"smtplib": 1, "mailbridge": pure, "mailbridge compiled": compiled}
    found = {name: [Sample(speed, 1 / speed)] for name, speed in speeds.items() if speed}

    assert table([(Row("one", Kind.RATE, goal=2), found)]).splitlines()[-1].split(" | ")[-1] == f"{reached} |"


def test_the_table_has_a_line_for_each_row() -> None:
    """Rows that nobody could measure have empty cells."""
    lines = table([(row, {}) for row in ROWS]).splitlines()
    assert {line.count(" | ") for line in lines} == {len(HEAD) - 1}
    assert len(lines) == len(ROWS) + 2
