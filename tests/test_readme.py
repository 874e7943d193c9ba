"""What README.md shows is true: its code runs."""

import re
from pathlib import Path
from typing import Any

import pytest

from mailbridge.testing import ScriptedServer

README = (Path(__file__).parent.parent / "README.md").read_text()
CODE = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def shown(word: str) -> str:
    """The one block of code that holds a word."""
    [code] = [code for code in CODE if word in code]
    return code


def test_the_ten_lines_of_python(capsys: pytest.CaptureFixture[str]) -> None:
    """They send to one recipient, and show that the other was refused."""
    with ScriptedServer() as server:
        server.refuse("bob@example.org", 550, "5.1.1", "no such user")
        code, count = re.subn(r'"smtp\+starttls://[^"]*"', repr(server.url), shown("receipt.queue_id"))
        names: dict[str, Any] = {}
        exec(code, names)

    assert count == 1
    assert capsys.readouterr().out == "000001 ['ann@example.org'] ['bob@example.org']\n"
    assert shown(">>> receipt.refused").split() == [
        ">>>",
        'receipt.refused["bob@example.org"]',
        *repr(names["receipt"].refused["bob@example.org"]).split(),
    ]


def test_the_server_for_tests(capsys: pytest.CaptureFixture[str]) -> None:
    """It refuses whom it is told to, and keeps the rest."""
    exec(shown("ScriptedServer"), {})

    assert capsys.readouterr().out == "('eve@example.org',)\n"


def test_names_in_imports_exist() -> None:
    """Every import of every block, the frameworks' too."""
    for code in CODE:
        for line in re.findall(r"^(?:from|import) .*$", code, re.MULTILINE):
            exec(line, {})


def test_links_lead_somewhere() -> None:
    """Pages that README names are there."""
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (Path(__file__).parent.parent / target).exists(), target
