"""The benchmark's harness: its server counts what each driver sends. No time is asserted."""

import shutil
from pathlib import Path

import pytest

from benchmarks.measuring import Effort, measure
from benchmarks.rows import ROWS, Kind, Row
from benchmarks.table import HEAD, table
from benchmarks.tools import Tools, gather

ONE_TURN = Effort(rounds=1, seconds=0.001)


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    if (
        not shutil.which("cc")
        or not Path("/usr/include/openssl/ssl.h").exists()
        or not Path("/proc/self/status").exists()
    ):
        pytest.skip("the harness needs Linux, a C compiler and OpenSSL's headers")
    return gather(tmp_path_factory.mktemp("build"), node=False)


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


def test_the_table_has_a_line_for_each_row() -> None:
    """Rows that nobody could measure have empty cells."""
    lines = table([(row, {}) for row in ROWS]).splitlines()
    assert {line.count(" | ") for line in lines} == {len(HEAD) - 1}
    assert len(lines) == len(ROWS) + 2
