"""The house of DESIGN.md stands, and each of its checks sees what it is there to see."""

import subprocess
import sys
import tomllib
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from types import FunctionType

import pytest

from tests import compiled, rooms

ROOT = Path(__file__).parent.parent

COMPILED = '[tool.hatch.build.targets.wheel.hooks.mypyc]\ninclude = ["mailbridge/wire.py"]'

Plant = Callable[[str, str], list[rooms.Module]]


@pytest.fixture(scope="session")
def house() -> list[rooms.Module]:
    return rooms.survey(ROOT)


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """A file with this text in a house of its own, next to what is planted there already."""

    def plant(path: str, text: str) -> list[rooms.Module]:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return rooms.survey(tmp_path)

    return plant


@pytest.mark.parametrize("check", [*rooms.CHECKS, compiled.lost_on_mypyc], ids=lambda check: check.__name__)
def test_the_house_stands(check: FunctionType, house: list[rooms.Module]) -> None:
    """No check has anything to complain about in this project."""
    assert "\n".join(check(house)) == ""


@pytest.mark.parametrize("name", ["smtplib", "asyncio"])
def test_the_name_of_a_standard_module_is_ours(name: str) -> None:
    """`from mailbridge import smtplib` gives ours, not the standard one that errors.py imports; so with asyncio."""
    program = f"from mailbridge import {name}; print({name}.__name__)"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert said == f"mailbridge.{name}\n"


def test_every_floor_without_io_is_in_the_coverage_gate(house: list[rooms.Module]) -> None:
    """A new module of floors 1 to 5 cannot slip past the branch coverage; only tls.py touches the system there."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    gate = config["tool"]["coverage"]["report"]["include"]
    pure = [room for floor in rooms.FLOORS[:5] for room in floor if room != "tls"]

    files = [module.path.relative_to(ROOT).as_posix() for module in house if rooms.room_of(module) in pure]
    assert [file for file in files if not any(fnmatch(file, pattern) for pattern in gate)] == []


@pytest.mark.parametrize(
    ("check", "path", "text"),
    [
        (rooms.homeless, "mailbridge/attic.py", ""),
        (rooms.upward_imports, "mailbridge/replies.py", "from .errors import SMTPException"),
        (rooms.upward_imports, "mailbridge/replies.py", "def late():\n    import mailbridge.errors"),
        (rooms.upward_imports, "mailbridge/wire.py", "from mailbridge.message import MailObject"),
        (rooms.upward_imports, "mailbridge/sync/client.py", "from .pool import Pool"),
        (rooms.upward_imports, "mailbridge/server.py", "from mailbridge import Client"),
        (rooms.upward_imports, "mailbridge/check.py", "from .testing import ScriptedServer"),
        (rooms.strangers, "mailbridge/protocol.py", "import socket"),
        (rooms.strangers, "mailbridge/sync/pool.py", "import selectors"),
        (rooms.strangers, "mailbridge/server.py", "from ssl import SSLContext"),
        (rooms.strangers, "mailbridge/protocol.py", "from time import monotonic"),
        (rooms.strangers, "mailbridge/logs.py", "import datetime\ndatetime.datetime.now()"),
        (rooms.strangers, "mailbridge/logs.py", "from email import utils\nutils.formatdate()"),
        (rooms.strangers, "mailbridge/auth.py", "import threading"),
        (rooms.strangers, "mailbridge/sync/client.py", "import asyncio"),
        (rooms.hidden_doors, "mailbridge/__init__.py", "import smtplib"),
        (rooms.hidden_doors, "mailbridge/__init__.py", "from . import asyncio"),
        (rooms.hidden_doors, "mailbridge/__init__.py", "import x as smtplib"),
        (rooms.hidden_doors, "mailbridge/__init__.py", "asyncio = None"),
        (rooms.trespassers, "mailbridge/logs.py", "import django.conf"),
        (rooms.trespassers, "mailbridge/logs.py", "import blinker"),
        (rooms.trespassers, "mailbridge/logs.py", "from mailbridge_flask import Mail"),
        (rooms.trespassers, "mailbridge_django/pools.py", "from flask import Flask"),
        (rooms.trespassers, "mailbridge_flask/extension.py", "import mailbridge_django"),
        (rooms.trespassers, "mailbridge_flask/extension.py", "from mailbridge import _secret"),
        (rooms.trespassers, "mailbridge_flask/extension.py", "import mailbridge._inner.thing"),
        (rooms.busy_doors, "mailbridge_django/__init__.py", "VERSION = 1"),
        (rooms.busy_doors, "mailbridge_flask/__init__.py", "def helper(): ..."),
        (rooms.loose_settings, "mailbridge_django/backends.py", "from django.conf import settings"),
        (rooms.loose_settings, "mailbridge_django/backends.py", "from django import conf"),
        (rooms.loose_settings, "mailbridge_flask/message.py", "from flask import current_app"),
        (rooms.loose_settings, "mailbridge_flask/message.py", "import flask\nflask.current_app.config"),
        (rooms.giants, "mailbridge/wire.py", "x = 1\n" * 401),
        (rooms.giants, "tests/test_wire.py", "x = 1\n" * 401),
        (rooms.giants, "mailbridge/wire.py", "def f():\n" + "    x = 1\n" * 40),
        (rooms.silent_exceptions, "mailbridge/wire.py", "x = 1  # type: ignore[misc]"),
        (rooms.silent_exceptions, "tests/test_wire.py", "x = 1  # noqa: E501, S101"),
        (rooms.silent_exceptions, "mailbridge/wire.py", "x = 1  # pragma: no cover"),
        (rooms.unspoken_tests, "tests/test_wire.py", "def test_dot(): ..."),
    ],
)
def test_a_violation_is_seen(
    check: Callable[[list[rooms.Module]], list[str]], path: str, text: str, plant: Plant
) -> None:
    """Each check names the file in which something was planted for it."""
    [complaint] = check(plant(path, text))

    assert complaint.startswith(f"{path}:")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("mailbridge/receipts.py", "from .replies import Reply"),
        ("mailbridge/errors.py", "import smtplib\nfrom .facts import Phase"),
        ("mailbridge/conversations/deliver.py", "from .steps import ask\nfrom ..protocol import SMTPProtocol"),
        ("mailbridge/sync/client.py", "import socket, ssl, time, threading\nfrom ..dialling import order"),
        ("mailbridge/sync/__init__.py", "from .pool import Pool"),
        ("mailbridge/asyncio/client.py", "import asyncio"),
        ("mailbridge/header.py", "from email.utils import formatdate\nformatdate()"),
        ("mailbridge/server.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import ssl"),
        ("mailbridge/testing/inbox.py", "import asyncio, socket, ssl, threading, time"),
        ("mailbridge/__init__.py", "from .sync.client import Client\n__all__ = ['Client']"),
        ("mailbridge_django/__init__.py", '"""Doc."""\nfrom .backends import Backend\n__all__ = ["Backend"]'),
        ("mailbridge_django/conf.py", "from django.conf import settings\nfrom mailbridge import Server, __version__"),
        ("mailbridge_flask/cli.py", "from flask import current_app"),
        ("mailbridge/wire.py", 'def f():\n    """Doc.\n' + "\n" * 40 + '    """'),
        ("mailbridge/wire.py", "x = 1  # type: ignore[misc]  # the stubs know better\ny = 2  # noqa: E501 a long URL"),
    ],
)
def test_good_manners_pass(path: str, text: str, plant: Plant) -> None:
    """What DESIGN.md allows draws no complaint from any check."""
    modules = plant(path, text)

    assert [complaint for check in rooms.CHECKS for complaint in check(modules)] == []


def test_an_import_circle_is_seen(plant: Plant) -> None:
    """Three modules of one package that import each other in a ring are reported once, as a ring."""
    plant("mailbridge/conversations/a.py", "from .b import x")
    plant("mailbridge/conversations/b.py", "def late():\n    from . import c")
    modules = plant("mailbridge/conversations/c.py", "import mailbridge.conversations.a")

    [complaint] = rooms.circles(modules)
    assert complaint.endswith(" -> ".join(f"mailbridge.conversations.{name}" for name in "abca"))


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    x()\nexcept E as error:\n    raise F from error",
        "raise F from None",
        "@dataclass(frozen=True, slots=True)\nclass C(Generic[T]): ...",
    ],
)
def test_what_mypyc_would_lose_is_seen(text: str, plant: Plant) -> None:
    """In a module of the list, and in no other one."""
    plant("pyproject.toml", COMPILED)
    plant("mailbridge/logs.py", text)

    [complaint] = compiled.lost_on_mypyc(plant("mailbridge/wire.py", text))
    assert complaint.startswith("mailbridge/wire.py:")


def test_what_hears_signals_is_not_compiled(plant: Plant) -> None:
    """As machine code it would be entered by nobody, and Ctrl-C would wait for the server."""
    plant("pyproject.toml", COMPILED.replace("mailbridge/wire.py", compiled.INTERPRETED))

    [complaint] = compiled.lost_on_mypyc(plant(compiled.INTERPRETED, ""))
    assert complaint.endswith("hears no signal")


def test_a_listed_module_that_is_gone_is_seen(plant: Plant) -> None:
    """The list names a file that nobody has."""
    plant("pyproject.toml", COMPILED)

    [complaint] = compiled.lost_on_mypyc(plant("mailbridge/logs.py", ""))
    assert complaint.startswith("pyproject.toml:")
