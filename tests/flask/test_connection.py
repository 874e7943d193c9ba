"""One connection for several messages, and the security of it."""

import pytest
from flask import Flask

from mailbridge import SMTPCertificateError, SMTPException, SMTPRecipientsRefused, SMTPSecurityError
from mailbridge.testing import Inbox, ScriptedServer
from mailbridge_flask import Mail, Message
from tests.flask.apps import MailFor


def letter(recipient: str = "ann@example.org") -> Message:
    return Message("Hello", recipients=[recipient], body="Hello!", sender="shop@example.com")


def account(server: Inbox | ScriptedServer) -> dict[str, object]:
    login = {"MAIL_USERNAME": "shop", "MAIL_PASSWORD": "secret"}
    return {"MAIL_SERVER": "localhost", "MAIL_CA_FILE": server.ca_file, **login}


def test_one_connection_for_several_messages(server: ScriptedServer, mail_for: MailFor) -> None:
    """What `with` has connected carries the messages of the block."""
    with mail_for(server).connect() as connection:
        for _ in range(3):
            connection.send(letter())

    assert [one.messages for one in server.connections] == [3]


def test_entering_connects(server: ScriptedServer, mail_for: MailFor) -> None:
    """`with mail.connect()` asks whether the server is there: a dead one raises before the block."""
    mail = mail_for(server)
    with mail.connect():
        server.wait_for(lambda: b"EHLO" in b"".join(server.lines))
    server.close()

    with pytest.raises(ConnectionRefusedError), mail.connect():
        pytest.fail("the block was entered")


def test_entering_connects_to_nobody_where_nothing_is_sent(server: ScriptedServer, mail_for: MailFor) -> None:
    """Under MAIL_SUPPRESS_SEND no server is needed."""
    with mail_for(server, MAIL_SUPPRESS_SEND=True).connect() as connection:
        connection.send(letter())

    assert server.connections == []


def test_max_emails(server: ScriptedServer, mail_for: MailFor) -> None:
    """MAIL_MAX_EMAILS messages go over one connection, then a new one is made."""
    with mail_for(server, MAIL_MAX_EMAILS="2").connect() as connection:
        counted = [connection.num_emails for _ in range(5) if connection.send(letter())]

    assert counted == [1, 0, 1, 0, 1]
    assert [one.messages for one in server.connections] == [2, 2, 1]


def test_a_failure_is_not_counted(server: ScriptedServer, mail_for: MailFor) -> None:
    """`num_emails` are those that were sent, as in Flask-Mail."""
    server.refuse("bob@example.org")
    with mail_for(server).connect() as connection:
        connection.send(letter())
        with pytest.raises(SMTPRecipientsRefused):
            connection.send(letter("bob@example.org"))
        assert connection.num_emails == 1


def test_a_refused_message_does_not_hurt_the_next(server: ScriptedServer, mail_for: MailFor) -> None:
    """After an error the same connection carries on."""
    server.refuse("bob@example.org")
    with mail_for(server).connect() as connection:
        with pytest.raises(SMTPRecipientsRefused):
            connection.send(letter("bob@example.org"))
        connection.send(letter("ann@example.org"))

    assert [message.recipients for message in server.messages] == [("ann@example.org",)]
    assert len(server.connections) == 1


def test_send_message_on_a_connection(app: Flask, mail: Mail, inbox: Inbox) -> None:
    """`send_message` takes the arguments of a `Message`."""
    with mail.connect() as connection:
        connection.send_message("Hello", ["ann@example.org"], "Hello!")

    assert inbox.messages[0].message["Subject"] == "Hello"


def test_the_reverse_path_may_differ(server: ScriptedServer, mail_for: MailFor) -> None:
    """`envelope_from` goes into MAIL and not into the header; "<>" is the null sender."""
    with mail_for(server).connect() as connection:
        connection.send(letter(), envelope_from=("Bounces", "bounces@example.com"))
        connection.send(letter(), envelope_from="<>")

    assert [message.sender for message in server.messages] == ["bounces@example.com", ""]
    assert all(b"From: shop@example.com\r\n" in message.content for message in server.messages)


@pytest.mark.parametrize(("tls", "key"), [("starttls", "MAIL_USE_TLS"), ("implicit", "MAIL_USE_SSL")])
def test_tls_and_login(tls: str, key: str, mail_for: MailFor) -> None:
    """STARTTLS and TLS from the first octet, each verified against MAIL_CA_FILE, and a login."""
    with Inbox(tls=tls, accounts={"shop": "secret"}, require_auth=tls == "starttls") as inbox:
        mail_for(inbox, **account(inbox), **{key: "true"}).send(letter())

    assert inbox.messages[0].tls
    assert inbox.messages[0].authenticated_as == "shop"


@pytest.mark.parametrize(("tls", "key"), [("starttls", "MAIL_USE_TLS"), ("implicit", "MAIL_USE_SSL")])
def test_a_certificate_is_verified(tls: str, key: str, mail_for: MailFor) -> None:
    """S3: a certificate that nobody signed ends it before the login."""
    unsigned = ScriptedServer(tls=tls, certificate="self-signed", accounts={"shop": "secret"})
    with unsigned as server, pytest.raises(SMTPCertificateError):
        mail_for(server, **account(server), **{key: True}).send(letter())

    assert not [line for line in server.lines if line.startswith(b"AUTH")]


def test_starttls_is_never_given_up(server: ScriptedServer, mail_for: MailFor) -> None:
    """S2: with MAIL_USE_TLS a server that does not offer STARTTLS gets no message."""
    with pytest.raises(SMTPSecurityError):
        mail_for(server, MAIL_USE_TLS=True).send(letter())

    assert server.messages == []


@pytest.mark.parametrize("half", [{"MAIL_USERNAME": "shop"}, {"MAIL_PASSWORD": "secret"}], ids=str)
def test_no_login_with_half_of_the_credentials(
    server: ScriptedServer, mail_for: MailFor, half: dict[str, object]
) -> None:
    """A user without a password does not log in, nor the reverse, as in Flask-Mail."""
    mail_for(server, **half).send(letter())

    assert len(server.messages) == 1
    assert not [line for line in server.lines if line.startswith(b"AUTH")]


def test_a_silent_server_does_not_hold_a_worker(server: ScriptedServer, mail_for: MailFor) -> None:
    """MAIL_TIMEOUT ends the wait for a reply."""
    server.answer("MAIL", b"")
    with pytest.raises(TimeoutError):
        mail_for(server, MAIL_TIMEOUT="0.1").send(letter())


def test_the_debug_log_hides_the_secret(caplog: pytest.LogCaptureFixture, mail_for: MailFor) -> None:
    """S16: with MAIL_DEBUG what was said is in the log, without the password."""
    with Inbox(tls="starttls", accounts={"shop": "secret"}) as inbox, caplog.at_level("DEBUG", "mailbridge"):
        mail_for(inbox, **account(inbox), MAIL_USE_TLS=True, MAIL_DEBUG=1).send(letter())

    said = [record.getMessage() for record in caplog.records if record.name == "mailbridge.flask"]
    assert "C: STARTTLS" in said
    assert [line for line in said if "AUTH" in line and "hidden" in line]
    assert not [line for line in said if "c2VjcmV0" in line or "secret" in line or "AHNob3AAc2VjcmV0" in line]


def test_the_debug_log_says_each_line_once(
    caplog: pytest.LogCaptureFixture, server: ScriptedServer, mail_for: MailFor
) -> None:
    """Two messages over one connection: one greeting, two envelopes."""
    mail = mail_for(server, MAIL_DEBUG=True)
    with caplog.at_level("DEBUG", "mailbridge"), mail.connect():
        mail.send(letter())
        mail.send(letter())

    said = [record.getMessage() for record in caplog.records if record.name == "mailbridge.flask"]
    assert [len(server.connections), len([line for line in said if line.startswith("S: 220 ")])] == [1, 1]
    assert len([line for line in said if line.startswith("C: MAIL FROM:")]) == 2


def test_the_debug_log_of_a_server_that_turns_away(
    caplog: pytest.LogCaptureFixture, server: ScriptedServer, mail_for: MailFor
) -> None:
    """Its words are in the log, and the receipt names those whom nobody was asked about."""
    server.answer("GREETING", b"554 5.3.2 not today\r\n")
    mail = mail_for(server, MAIL_DEBUG=True, MAIL_REDIRECT_TO="dev@example.net")
    with caplog.at_level("DEBUG", "mailbridge"), pytest.raises(SMTPException) as caught:
        mail.send(letter())

    assert "S: 554 5.3.2 not today" in caplog.messages
    assert caught.value.receipt is not None
    assert list(caught.value.receipt.not_sent) == ["dev@example.net"]
    assert caught.value.receipt.server == caught.value.server


def test_an_error_is_the_standard_librarys(server: ScriptedServer, mail_for: MailFor) -> None:
    """A refusal to greet reaches the caller as an SMTPException."""
    server.answer("GREETING", b"554 5.3.2 not today\r\n")
    with pytest.raises(SMTPException, match="not today"):
        mail_for(server).send(letter())
