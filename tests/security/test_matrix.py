"""The matrix is whole: each row has each face, or says why it cannot."""

import ast
import re
from pathlib import Path

from tests.leaks import ROOT
from tests.security.matrix import CANNOT, ROWS, row_of, table


def by_row() -> dict[str, list[str]]:
    """The tests that run with faces, by row."""
    found: dict[str, list[str]] = {row: [] for row in ROWS}
    for path in sorted(Path(__file__).parent.glob("test_*_driver.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if (
                isinstance(node, ast.FunctionDef)
                and node.name.startswith("test_")
                and "face" in [arg.arg for arg in node.args.args]
            ):
                found[row_of(node.name)].append(node.name)
    return found


def test_each_row_has_tests() -> None:
    """S1 to S23, each by the faces."""
    assert [row for row, names in by_row().items() if not names] == []


def test_each_reason_is_of_a_test() -> None:
    """A test that was renamed takes its reasons with it."""
    everything = [name for names in by_row().values() for name in names]
    assert [name for name in CANNOT if name not in everything] == []


def test_the_table_shows_a_hole() -> None:
    """A face without a case in a row is a dash."""
    [_, first, second, *_] = table({("S1", "Client"): 4, ("S2", "Pool"): 2}, ["Client", "Pool"])
    assert first.split()[-2:] == ["4", "-"]
    assert second.split()[-2:] == ["-", "2"]


PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
PROMISES = [line.strip("| \n").split(" | ") for line in PAGE.splitlines() if re.match(r"\| S\d", line)]


def test_the_page_has_each_row() -> None:
    """docs/security.md promises S1 to S23, in order."""
    assert [row for row, *_ in PROMISES] == list(ROWS)


def test_the_page_names_what_there_is() -> None:
    """The places of a promise exist: in the code, and among the tests of its row."""
    for row, _, _, built, shown in PROMISES:
        for name in re.findall(r"`([\w/]+\.py)`", built):
            assert (ROOT / name).exists() or (ROOT / "mailbridge" / name).exists(), name
        [module] = re.findall(r"`(test_\w+\.py)`", shown)
        text = (ROOT / "tests" / "security" / module).read_text(encoding="utf-8")
        assert f"def test_s{int(row[1:]):02}_" in text, row
