"""The Flask app of the example project."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from example_project import mailroom
from example_project.shop.app import create_app
from example_project.shop.mail import mail
from mailbridge.testing import Inbox


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Inbox]:
    monkeypatch.setattr(mailroom, "refusals", [])
    with Inbox(tls="starttls", accounts={"shop": "secret"}, require_auth=True) as inbox:
        inbox.refuse(mailroom.GONE)
        inbox.defer(mailroom.FULL)
        settings = {"SERVER": "localhost", "PORT": inbox.port, "CA_FILE": inbox.ca_file}
        for key, value in {**settings, "USERNAME": "shop", "PASSWORD": "secret"}.items():
            monkeypatch.setenv(f"FLASK_MAIL_{key}", str(value))
        monkeypatch.setenv("FLASK_DATABASE", str(tmp_path / "shop.sqlite3"))
        yield inbox


@pytest.fixture
def visitor(inbox: Inbox) -> FlaskClient:
    return create_app().test_client()


def cells(page: str, table: str) -> list[list[str]]:
    """What stands in the rows of a table."""
    part = page.partition(f'<table id="{table}">')[2].partition("</table>")[0]
    return [found for row in part.split("<tr>") if (found := re.findall(r"<td[^>]*>(.*?)</td>", row))]


def test_a_sign_up(visitor: FlaskClient, inbox: Inbox) -> None:
    """A mail asks the customer to confirm, and its link does."""
    page = visitor.post("/", data={"email": "ann@example.org"}).text
    assert [row[:2] for row in cells(page, "receipt")] == [["ann@example.org", "accepted"]]
    assert cells(page, "customers") == [["ann@example.org", "no", "yes"]]

    [mail] = inbox.messages
    link = re.search(r"http://localhost(/confirm/\S+)", mail.message.get_content())
    assert link is not None
    page = visitor.get(link[1], follow_redirects=True).text
    assert cells(page, "customers") == [["ann@example.org", "yes", "yes"]]


def test_a_wrong_link(visitor: FlaskClient) -> None:
    """A link that the shop never wrote confirms nothing."""
    assert visitor.get("/confirm/ann@example.org").status_code == 404


def test_a_sign_up_that_is_refused(visitor: FlaskClient) -> None:
    """The page says so, the customer stays and gets no more mail."""
    page = visitor.post("/", data={"email": mailroom.GONE}).text
    assert cells(page, "receipt") == [[mailroom.GONE, "rejected", "550 no such user"]]
    assert cells(page, "customers") == [[mailroom.GONE, "no", "refused"]]


def test_an_address_that_is_none(visitor: FlaskClient, inbox: Inbox) -> None:
    """The page says why, and nobody is enrolled."""
    page = visitor.post("/", data={"email": "ann at home"}).text
    assert "ann at home" in page.partition('class="errorlist"')[2].partition("</p>")[0]
    assert cells(page, "customers") == [["Nobody yet."]]
    assert inbox.messages == []


def test_news_for_many(visitor: FlaskClient, inbox: Inbox) -> None:
    """One mail for all who get mail: who is refused for good gets no more, who is deferred does."""
    for who in ("ann@example.org", "bob@example.org", mailroom.FULL):
        visitor.post("/", data={"email": who})
    inbox.refuse("bob@example.org")
    inbox.clear()
    page = visitor.post("/news").text
    states = {who: state for who, state, _ in cells(page, "receipt")}
    assert states == {"ann@example.org": "accepted", "bob@example.org": "rejected", mailroom.FULL: "deferred"}

    page = visitor.post("/news").text
    assert [who for who, *_ in cells(page, "receipt")] == [mailroom.FULL, "ann@example.org"]
    assert [message.recipients for message in inbox.messages] == [("ann@example.org",)] * 2


def test_a_batch_goes_out_by_a_request(visitor: FlaskClient, inbox: Inbox) -> None:
    """The view sends three mails over one login and says who was refused; the receiver remembers it."""
    response = visitor.post("/shipments")

    assert response.json == {"refused": [mailroom.GONE, mailroom.FULL]}
    assert [(one.app, one.recipient, one.state) for one in mailroom.refusals] == [
        ("Flask", mailroom.GONE, "rejected"),
        ("Flask", mailroom.FULL, "deferred"),
    ]
    assert {message.authenticated_as for message in inbox.messages} == {"shop"}


def test_under_test_nothing_leaves(inbox: Inbox) -> None:
    """The shop's own tests would read what it sends from `record_messages`."""
    app = create_app()
    app.testing = True
    with mail.record_messages() as outbox:
        app.test_client().post("/shipments")

    assert [message.subject for message in outbox] == [f"Parcel {number} has left" for number in (1001, 1002, 1003)]
    assert inbox.messages == []
