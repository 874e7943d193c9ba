"""The cases that the fuzzer found, and those that it starts from, hold."""

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS, WORDS

CORPUS = Path(__file__).parent / "corpus"
CASES = [(path.parent.name, path) for path in sorted(CORPUS.glob("*/*"))]


@pytest.mark.parametrize(("target", "case"), CASES, ids=[f"{target}/{path.name}" for target, path in CASES])
def test_a_kept_case_holds(target: str, case: Path) -> None:
    """Once broken, never again."""
    TARGETS[target](case.read_bytes())


def test_every_target_has_cases_and_words() -> None:
    """Nobody adds a target and forgets where it starts."""
    assert set(TARGETS) == set(WORDS) == {target for target, _ in CASES}
