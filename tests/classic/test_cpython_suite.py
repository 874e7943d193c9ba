"""The interpreter's own tests of the standard module, run against ours."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

# Tests that a deliberate difference changes, each with its reason. There are none.
CHANGED: dict[str, str] = {}


def _has_its_own_tests() -> bool:
    try:
        return importlib.util.find_spec("test.test_smtplib") is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.skipif(not _has_its_own_tests(), reason="this Python was installed without its package `test`")
def test_the_standard_modules_own_tests_pass() -> None:
    """Every test that CPython has for its module passes with ours, but for the table above."""
    command = [sys.executable, "-m", "tests.classic.cpython_suite"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    report = json.loads(done.stdout)

    assert {name: text for name, text in report["failed"].items() if name not in CHANGED} == {}
    assert CHANGED.keys() <= report["failed"].keys()
    assert report["ran"] - len(report["skipped"]) > 70
