"""What docs/testing.md says is true: it names all that there is, and its code runs as a stranger would run it."""

import inspect
import re
from pathlib import Path

import pytest

import mailbridge.testing
from mailbridge.testing import Inbox, Script, ScriptedServer

pytest_plugins = ("pytester",)

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
CODE = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
NAMED = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", re.sub(r"(?s)```.*?```", "", PAGE)))))
SETTINGS = 'SECRET_KEY = "x"\nUSE_TZ = True\nEMAIL_BACKEND = "mailbridge_django.Backend"\n'


def shown(word: str) -> str:
    """The one block of code that holds a word."""
    [code] = [code for code in CODE if word in code]
    return code


@pytest.mark.parametrize("kind", [Script, ScriptedServer, Inbox])
def test_all_of_the_public_face_is_named(kind: type) -> None:
    """Every method, property and argument of the servers, and every name that can be imported."""
    members = {name for name, _ in inspect.getmembers(kind) if not name.startswith("_")}
    members -= {"keep", "verdict"}  # what an Inbox offers to aiosmtpd's hooks
    arguments = set() if kind is Script else {*inspect.signature(kind).parameters}
    assert {*members, *arguments, *mailbridge.testing.__all__} - NAMED == set()


def test_pytest_alone(pytester: pytest.Pytester) -> None:
    """The fixtures are there without a word."""
    pytester.makepyfile(shown("def test_a_refusal_is_told"))
    pytester.runpytest_subprocess("-p", "no:django").assert_outcomes(passed=2)


def test_django(pytester: pytest.Pytester) -> None:
    """A site with one line of settings, and pytest-django."""
    pytester.makeconftest(shown("pytest_plugins ="))
    pytester.makepyfile(site_settings=SETTINGS, test_mail=shown("def test_who_has_the_invitation"))
    pytester.runpytest_subprocess("--ds=site_settings").assert_outcomes(passed=2)


def test_flask(pytester: pytest.Pytester) -> None:
    """An app of the test's own."""
    pytester.makepyfile(shown("def test_an_invitation"))
    pytester.runpytest_subprocess("-p", "no:django").assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("word", "printed"),
    [
        ("async def deliver", ""),
        ("cut_before", "1 message was taken, and the client cannot know\n"),
        ("with Inbox", "Hi | 550 5.1.1 no such user\n"),
        ("Session(script, record)", "b'552 5.3.4 message too large\\r\\n'\n"),
    ],
)
def test_programs(word: str, printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    """They print what they should."""
    [code] = [code for code in CODE if word in code and "def test_" not in code]
    exec(code, {})
    assert capsys.readouterr().out == printed
