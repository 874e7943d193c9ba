"""The Django half of the example project, with its real settings, in a process of its own."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mailbridge.testing import Inbox

ROOT = Path(__file__).parents[2]

VISIT = """
import json, re
from example_project.site.wsgi import application
from example_project.site.invitations import send_batch
from django.core.management import call_command
from django.core.signing import dumps
from django.db import connection
from django.test import Client
from mailbridge_django.signals import message_sent

inside = []

def look(message, **_):
    inside.append((message.subject, connection.in_atomic_block))

message_sent.connect(look)
call_command("migrate", verbosity=0)
batch = [{name: r.state for name, r in m.mailbridge_receipt.results.items()} for m in send_batch()]
browser = Client(headers={"host": "localhost"})
mail = {"to": "tom@example.org, gone@example.org", "subject": "By hand", "body": "Text"}
pages = {
    "sent": browser.post("/invite/", mail),
    "wrong": browser.post("/invite/", mail | {"to": "tom at home"}),
    "torn": browser.post("/invite/", mail | {"subject": "By\\nhand"}),
    "enrolled": browser.post("/", {"email": "ann@example.org"}),
    "refused": browser.post("/", {"email": "gone@example.org"}),
    "known": browser.post("/", {"email": "ann@example.org"}),
    "refusals": browser.get("/refusals/live/"),
    "chart": browser.get("/chart/"),
    "forged": browser.get("/confirm/ann@example.org/"),
}
pages["confirmed"] = browser.get(f"/confirm/{dumps('ann@example.org', salt='confirm')}/", follow=True)
pages = {name: page.content.decode() for name, page in pages.items()}
print(json.dumps({"batch": batch, "inside": inside, "pages": pages}))
"""


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a visitor of the site has seen, and what the server has received."""
    with Inbox(tls="starttls", accounts={"site": "secret"}, require_auth=True) as inbox:
        inbox.refuse("gone@example.org")
        inbox.defer("full@example.org", 452, "4.2.2", "mailbox full")
        server = {"EMAIL_HOST": "localhost", "EMAIL_PORT": str(inbox.port), "EMAIL_CA_FILE": inbox.ca_file}
        environ = os.environ | server | {"EMAIL_HOST_USER": "site", "EMAIL_HOST_PASSWORD": "secret"}
        environ["DATABASE"] = str(tmp_path_factory.mktemp("site") / "site.sqlite3")
        environ.pop("DJANGO_SETTINGS_MODULE", None)
        done = subprocess.run(
            [sys.executable, "-c", VISIT],
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) | {"received": [(m.recipients, m.authenticated_as) for m in inbox.messages]}


def test_the_batch(visit: Any) -> None:
    """One mail for all, one with a refused recipient, one with a deferred one, sent with a login."""
    assert visit["batch"] == [
        {"ann@example.org": "accepted", "bob@example.org": "accepted"},
        {"carol@example.org": "accepted", "gone@example.org": "rejected"},
        {"dave@example.org": "accepted", "full@example.org": "deferred"},
    ]
    assert visit["received"][1] == (("carol@example.org",), "site")


def test_the_form(visit: Any) -> None:
    """It says of each recipient what became of the mail, and of a wrong address that it is one."""
    sent = visit["pages"]["sent"]
    assert row("gone@example.org", "rejected", "550 no such user") in sent
    assert '<td>tom@example.org</td><td class="state accepted">accepted</td>' in sent
    assert "Enter a valid email address." in visit["pages"]["wrong"]


def test_a_subject_with_a_line_end(visit: Any) -> None:
    """The message cannot be built, and the page says why."""
    page = visit["pages"]["torn"]
    assert '<td>tom@example.org</td><td class="state not_sent">not_sent</td>' in page
    assert '<ul class="errorlist nonfield">' in page


def test_a_sign_up(visit: Any) -> None:
    """The mail left behind the commit, and its link confirms; a member that is known gets no second mail."""
    pages = visit["pages"]
    assert ["Please confirm your address", False] in visit["inside"]
    assert '<td>ann@example.org</td><td class="state accepted">accepted</td>' in pages["enrolled"]
    assert '<td>ann@example.org</td><td>no</td><td class="state accepted">yes</td>' in pages["enrolled"]
    assert "<td>ann@example.org</td><td>yes</td>" in pages["confirmed"]
    assert "already exists" in pages["known"]
    assert [who for who, _ in visit["received"]].count(("ann@example.org",)) == 1
    assert pages["forged"] == "This link is wrong or too old."


def test_a_sign_up_that_is_refused(visit: Any) -> None:
    """The member is there all the same, the page says why no mail came, and no more is sent."""
    page = visit["pages"]["refused"]
    assert row("gone@example.org", "rejected", "550 no such user") in page
    assert '<td>gone@example.org</td><td>no</td><td class="state rejected">refused</td>' in page


def test_the_refusals(visit: Any) -> None:
    """They are shown as the receiver heard of them, the latest first."""
    page = visit["pages"]["refusals"]
    found = re.findall(r"<strong>(.*?)</strong> .*?<div>(.*?)</div>", page, re.DOTALL)
    assert found == [
        ("gone@example.org", "550 5.1.1 no such user"),
        ("gone@example.org", "550 5.1.1 no such user"),
        ("full@example.org", "452 4.2.2 mailbox full"),
        ("gone@example.org", "550 5.1.1 no such user"),
    ]


def test_the_chart(visit: Any) -> None:
    """It counts what the history has: recipients of the day by state, and by domain."""
    counts = re.findall(r"</svg></td>\s*((?:<td>\d+</td>\s*)+)", visit["pages"]["chart"])
    today, *before, domain = [re.findall(r"\d+", row) for row in counts]
    assert today == domain == ["6", "1", "3", "2", "0", "12"]
    assert before == [["0"] * 6] * 6


def row(*cells: str) -> str:
    """A row of the table of recipients."""
    recipient, state, why = cells
    return f'<td>{recipient}</td><td class="state {state}">{state}</td><td>{why}</td>'
