"""`make demo`, as a person runs it."""

import os
import re
import subprocess

import pytest

from example_project import report
from example_project.witness import Witness
from mailbridge.testing import Inbox

from .serving import DEMO, ROOT

GONE = ("gone@example.org", "rejected", "550 5.1.1 no such user")
FULL = ("full@example.org", "deferred", "451 4.2.0 mailbox full, try again later")


@pytest.fixture(scope="module")
def demo() -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "SERVE": ""}
    return subprocess.run(DEMO, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30, check=False)


def section(demo: "subprocess.CompletedProcess[str]", heading: str) -> list[list[str]]:
    """The lines of a table, each in its columns."""
    _, _, rest = demo.stdout.partition(f"{heading}\n\n")
    _, _, *lines = rest.partition("\n\n")[0].splitlines()
    return [re.split(r"\s{2,}", line) for line in lines]


def test_it_ends_by_itself_and_well(demo: "subprocess.CompletedProcess[str]") -> None:
    """Status 0, and nothing to complain about."""
    assert (demo.returncode, demo.stderr) == (0, "")


@pytest.mark.parametrize("app", ["Django", "Flask"])
def test_the_table_names_every_recipient(demo: "subprocess.CompletedProcess[str]", app: str) -> None:
    """Each app's mails: four recipients accepted, one rejected, one deferred, each with its reply."""
    rows = [tuple(row[2:]) for row in section(demo, "What happened to every recipient") if row[0] == app]

    assert len(rows) == 6
    assert [row for row in rows if row[1] != "accepted"] == [GONE, FULL]
    assert all(reply.startswith("250 ") for _, state, reply in rows if state == "accepted")


@pytest.mark.parametrize(("app", "sent"), [("Django", "message_sent"), ("Flask", "email_dispatched")])
def test_the_signals_fired(demo: "subprocess.CompletedProcess[str]", app: str, sent: str) -> None:
    """The refusals of each app are signalled, behind the signal of what was sent."""
    names = [row[1] for row in section(demo, "The signals that fired") if row[0] == app]

    assert names == [sent, sent, "recipients_refused", sent, "recipients_refused"]


@pytest.mark.parametrize("logger", ["mailbridge.django", "mailbridge.flask"])
def test_the_refusals_are_logged(demo: "subprocess.CompletedProcess[str]", logger: str) -> None:
    """One record for each mail, a warning where somebody was refused."""
    lines = [row for row in section(demo, "The log") if row[1] == logger]

    assert [level for level, *_ in lines] == ["INFO", "WARNING", "WARNING"]
    assert [GONE[0] in line[2] for line in lines] == [False, True, False]


def test_what_is_not_as_expected_is_said() -> None:
    """A wrong state, missing signals, missing records and missing mail are each a complaint."""
    wrong = [report.Row("Flask", "Hello", GONE[0], "accepted", "250 2.0.0 Ok")]
    with Inbox() as inbox:
        said = list(report.complaints(wrong, Witness(), inbox))

    assert said[0] == ("Flask: gone@example.org should be rejected with 550 5.1.1, not accepted with 250 2.0.0 Ok")
    assert [sentence.split()[:3] for sentence in said[1:]] == [
        ["the", "signals", "should"],
        ["the", "log", "should"],
        ["8", "recipients", "should"],
    ]
