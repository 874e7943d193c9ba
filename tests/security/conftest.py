"""The faces as a fixture, the servers that they meet, and the matrix as it stands after a run."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest

from mailbridge.testing import ScriptedServer
from mailbridge.testing.certificates import Authority
from tests.django.conftest import READING_WARNS
from tests.security.faces import CORE, Face
from tests.security.frameworks import FRAMEWORKS, Django, Email, SendMail
from tests.security.matrix import CANNOT, reasons, row_of, table

Serve = Callable[..., ScriptedServer]

FACES = (*CORE, *FRAMEWORKS)
NAMES = [face.name for face in FACES]
ran: Counter[tuple[str, str]] = Counter()

# Django 6.1 warns when an EMAIL_* setting is read.
_MARKS = {SendMail: [READING_WARNS], Email: [READING_WARNS]}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test runs with each face, but for those that `CANNOT` names."""
    if "face" in metafunc.fixturenames:
        without = CANNOT.get(metafunc.function.__name__, {})
        faces = [face for face in FACES if face.name not in without]
        metafunc.parametrize(
            "face", [pytest.param(face, id=face.name, marks=_MARKS.get(face, ())) for face in faces], indirect=True
        )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Count what runs, for the matrix."""
    face = getattr(item, "callspec", None) and item.callspec.params.get("face")
    if face in FACES:
        ran[row_of(item.originalname), face.name] += 1


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the matrix, and what cannot be in it."""
    if ran:
        terminalreporter.section("security: rows of WIRE.md and public faces, cases that ran")
        for line in (*table(ran, NAMES), "", "cannot be:", *reasons(NAMES)):
            terminalreporter.line(line)


@cache
def _authority(kind: Any) -> Authority:
    """One authority for all servers of a kind: its keys are what takes time."""
    return Authority(kind)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a `ScriptedServer`; it ends with the test."""
    with ExitStack() as stack:

        def serve(**options: Any) -> ScriptedServer:
            server = ScriptedServer(**options)
            server.__dict__["_authority"] = _authority(options.get("certificate", "good"))
            return stack.enter_context(server)

        yield serve


@pytest.fixture
def face(request: pytest.FixtureRequest, serve: Serve) -> Iterator[Face]:
    """A public face, which lets go of its connections before the servers end."""
    kind = request.param
    face = kind(request.getfixturevalue("settings")) if issubclass(kind, Django) else kind()
    yield face
    face.close()
