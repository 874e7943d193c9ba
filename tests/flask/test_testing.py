"""What an app's own tests get."""

from flask import Flask

from mailbridge.testing import Inbox
from mailbridge_flask import Mail
from mailbridge_flask.testing import serving
from tests.flask.apps import app_for, heard


def test_a_test_dictates_a_refusal(inbox: Inbox) -> None:
    """Under TESTING every mailer sends to the test's server, and to its own again afterwards."""
    app = app_for(inbox, TESTING=True, MAIL_USERNAME="shop", MAIL_PASSWORD="hunter2", MAIL_MAILERS={"bulk": {}})
    mail = Mail(app)
    with serving(app) as server, heard() as calls:
        server.refuse("bob@example.org", 550, "5.1.1", "no such user")
        receipt = mail["bulk"].send_message("Hi", ["ann@example.org", "bob@example.org"], "Hi")

    assert receipt is not None
    assert [str(result.enhanced) for result in receipt.refused.values()] == ["5.1.1"]
    assert [name for name, *_ in calls] == ["email-dispatched", "recipients-refused"]
    assert (len(server.messages), len(inbox.messages)) == (1, 0)
    assert (mail["bulk"].suppress, mail["bulk"].port) == (True, inbox.port)


def test_the_fixture(app: Flask, mail: Mail, mail_server: Inbox) -> None:
    """The fixture serves the fixture `app`, whose Mail was made before it."""
    mail.send_message("Hi", ["ann@example.org"], "Hi")

    assert len(mail_server.messages) == 1
