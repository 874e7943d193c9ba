"""The Flask app of the example project."""

from collections.abc import Iterator

import pytest

from example_project import mailroom
from example_project.shop.app import create_app
from example_project.shop.mail import mail
from mailbridge.testing import Inbox


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    monkeypatch.setattr(mailroom, "refusals", [])
    with Inbox(tls="starttls", accounts={"shop": "secret"}, require_auth=True) as inbox:
        inbox.refuse(mailroom.GONE)
        inbox.defer(mailroom.FULL)
        settings = {"SERVER": "localhost", "PORT": inbox.port, "CA_FILE": inbox.ca_file}
        for key, value in {**settings, "USERNAME": "shop", "PASSWORD": "secret"}.items():
            monkeypatch.setenv(f"FLASK_MAIL_{key}", str(value))
        yield inbox


def test_a_batch_goes_out_by_a_request(inbox: Inbox) -> None:
    """The view sends three mails over one login and says who was refused; the receiver remembers it."""
    response = create_app().test_client().post("/shipments")

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
