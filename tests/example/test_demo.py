"""`make demo`, as a person runs it."""

import http.cookiejar
import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path

import pytest

from example_project import report
from example_project.witness import Witness
from mailbridge.testing import Inbox

ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, "-m", "example_project.demo"]

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


@contextmanager
def served() -> Iterator[str]:
    """The address of the site that `SERVE=1` leaves running."""
    environment = {**os.environ, "SERVE": "1"}
    process = subprocess.Popen(
        DEMO, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            found = (re.search(r"http://127\.0\.0\.1:\d+/", line) for line in process.stdout)
            yield next(filter(None, found))[0]
        finally:
            process.terminate()
            status = process.wait(10)
    assert status == 0


def cells(page: str) -> list[list[str]]:
    """What stands in the rows of a page's tables, without their headings."""
    rows = (re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL))
    return [[unescape(cell) for cell in row] for row in rows if row]


def test_the_site_sends_and_shows_the_refusal() -> None:
    """With SERVE=1 a form sends a mail, and page and inbox show who got it and who was refused, and why."""
    with served() as url:
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        page = browser.open(url, timeout=5).read().decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        assert token is not None
        form = {"to": f"zoe@example.org\n{GONE[0]}", "subject": "From the form", "body": "Hello!"}
        data = urllib.parse.urlencode({**form, "csrfmiddlewaretoken": token[1]}).encode()
        answer = browser.open(url, data, timeout=5).read().decode()
        inbox = browser.open(f"{url}inbox/", timeout=5).read().decode()

    assert [row[:2] for row in cells(answer)] == [["zoe@example.org", "accepted"], [GONE[0], "rejected"]]
    assert "no such user" in cells(answer)[1][2]
    assert ["Django", *GONE, "From the form"] in cells(inbox)
    assert ["zoe@example.org", "From the form"] in [row[1:] for row in cells(inbox)]
