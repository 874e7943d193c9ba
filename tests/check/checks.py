"""What the tests of the check share: a server checked, and a diagnosis read."""

import dataclasses
import socket
from typing import Any

import pytest

from mailbridge import Server
from mailbridge.check import Diagnosis, Step, diagnose
from mailbridge.testing import ScriptedServer

ANN = {"ann@example.com": "a secret"}
OPENED = ["RESOLVE", "CONNECT", "GREETING", "EHLO"]
ASKED = ["MAIL", "RCPT", "RSET"]


def check(server: ScriptedServer, user: str | None = None, *, to: str | None = None, **options: Any) -> Diagnosis:
    """Check a server as a client sees it."""
    return diagnose(dataclasses.replace(Server.from_url(server.url_for(user)), **options), to=to)


def names(diagnosis: Diagnosis) -> list[str]:
    return [str(step.name) for step in diagnosis.steps]


def step(diagnosis: Diagnosis, name: str) -> Step:
    """The last step of that name."""
    return next(step for step in reversed(diagnosis.steps) if step.name == name)


def finding(diagnosis: Diagnosis, name: str) -> str:
    """The only finding, of the step that failed, which is the last one."""
    assert [(str(step.name), step.ok) for step in diagnosis.steps if step.finding] == [(name, False)]
    assert diagnosis.steps[-1].name == name
    [found] = diagnosis.findings
    return found


def resolve_to(monkeypatch: pytest.MonkeyPatch, *places: tuple[str, int]) -> None:
    """Let the resolver know every name under these addresses."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: found)
