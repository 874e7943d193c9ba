"""The Django half of the example project, with its real settings, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mailbridge.testing import Inbox

ROOT = Path(__file__).parents[2]

VISIT = """
import json
from example_project.site.wsgi import application
from example_project.site.invitations import send_batch
from django.test import Client

batch = [{name: r.state for name, r in m.mailbridge_receipt.results.items()} for m in send_batch()]
browser = Client(headers={"host": "localhost"})
mail = {"to": "tom@example.org, gone@example.org", "subject": "By hand", "body": "Text"}
pages = [browser.post("/", mail), browser.post("/", mail | {"to": "tom at home"}), browser.get("/inbox/")]
pages.append(browser.post("/", mail | {"subject": "By\\nhand"}))
print(json.dumps({"batch": batch, "pages": [page.content.decode() for page in pages]}))
"""


@pytest.fixture(scope="module")
def visit() -> Any:
    """What a visitor of the site has seen, and what the server has received."""
    with Inbox(tls="starttls", accounts={"site": "secret"}, require_auth=True) as inbox:
        inbox.refuse("gone@example.org")
        inbox.defer("full@example.org", 452, "4.2.2", "mailbox full")
        server = {"EMAIL_HOST": "localhost", "EMAIL_PORT": str(inbox.port), "EMAIL_CA_FILE": inbox.ca_file}
        environ = os.environ | server | {"EMAIL_HOST_USER": "site", "EMAIL_HOST_PASSWORD": "secret"}
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
    sent, wrong, *_ = visit["pages"]
    assert '<td>gone@example.org</td><td class="rejected">rejected</td><td>550 no such user</td>' in sent
    assert '<td>tom@example.org</td><td class="accepted">accepted</td>' in sent
    assert "Enter a valid email address." in wrong


def test_a_subject_with_a_line_end(visit: Any) -> None:
    """The message cannot be built, and the page says why."""
    page = visit["pages"][3]
    assert '<td>tom@example.org</td><td class="not_sent">not_sent</td>' in page
    assert '<ul class="errorlist nonfield">' in page


def test_the_refusals(visit: Any) -> None:
    """They are on the page as the receiver heard of them."""
    page = visit["pages"][2]
    assert '<td>full@example.org</td><td class="deferred">deferred</td><td>452 4.2.2 mailbox full</td>' in page
    assert page.count("<td>gone@example.org</td>") == 2
