"""The pytest fixtures, in a pytest of their own."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest_plugins = ("pytester",)

USE = """
from mailbridge.testing.plugin import lmtp_server, smtp_server

def test_smtp(smtp_server):
    assert smtp_server.url.startswith("smtp://127.0.0.1:")

def test_lmtp(lmtp_server):
    assert lmtp_server.url.startswith("lmtp://127.0.0.1:")
    assert lmtp_server.messages == []
"""


def test_the_fixtures_give_running_servers(pytester: pytest.Pytester) -> None:
    """A user's test asks for a server by name."""
    pytester.makepyfile(USE)
    # Django's test environment is set up already, for the whole process, where its tests run too.
    pytester.runpytest_inprocess("-p", "no:django").assert_outcomes(passed=2)


def test_pytest_finds_them() -> None:
    """The entry point names a module that is there."""
    pyproject = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert pyproject["project"]["entry-points"]["pytest11"] == {"mailbridge": "mailbridge.testing.plugin"}


def test_the_plugin_imports_nothing_heavy() -> None:
    """pytest loads it in every run of every user."""
    code = (
        "import sys, mailbridge.testing.plugin;"
        "print([m for m in ('trustme', 'aiosmtpd', 'mailbridge.testing.server') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
