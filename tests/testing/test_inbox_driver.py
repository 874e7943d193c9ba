"""The inbox takes mail from a foreign client, keeps it, and turns away whom it is told to."""

import asyncio
import smtplib
import ssl
import sys
from email.message import EmailMessage

import pytest

from mailbridge.testing import Inbox


def message() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@x", "b@y", "Grüße"
    message.set_content("hello\n")
    return message


def test_it_keeps_what_comes() -> None:
    """Envelope, content and the parsed message."""
    with Inbox() as inbox:
        with smtplib.SMTP(inbox.host, inbox.port, timeout=5) as client:
            assert not client.has_extn("auth")
            client.send_message(message(), to_addrs=["b@y", "c@y"])
        [received] = inbox.messages
        assert (received.sender, received.recipients, received.tls) == ("a@x", ("b@y", "c@y"), False)
        assert received.content.endswith(b"\r\n\r\nhello\r\n")
        assert received.message["Subject"] == "Grüße"
        assert received.received_at.tzinfo is not None


def test_it_turns_recipients_away() -> None:
    """Refused and deferred recipients get their codes and are on record; the others have the mail."""
    with Inbox() as inbox:
        inbox.refuse("no@y")
        inbox.defer("later@y")
        with smtplib.SMTP(inbox.host, inbox.port, timeout=5) as client:
            refused = client.sendmail("a@x", ["b@y", "no@y", "later@y"], "hi")
        assert refused == {"no@y": (550, b"5.1.1 no such user"), "later@y": (451, b"4.2.0 try again later")}
        assert [(r.recipient, r.reply[:3]) for r in inbox.refusals] == [("no@y", "550"), ("later@y", "451")]
        assert inbox.messages[0].recipients == ("b@y",)
        inbox.clear()
        assert (inbox.messages, inbox.refusals) == ([], [])


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_tls_and_login(tls: str) -> None:
    """The certificate made on the spot is good, and the login is known afterwards."""
    with Inbox(tls=tls, accounts={"ann": "Gehe1m-pw"}, require_auth=True) as inbox:  # type: ignore[arg-type]  # its literals
        context = ssl.create_default_context(cafile=inbox.ca_file)
        if tls == "starttls":
            client = smtplib.SMTP("localhost", inbox.port, timeout=5)
            client.starttls(context=context)
        else:
            client = smtplib.SMTP_SSL("localhost", inbox.port, context=context, timeout=5)
        with client:
            with pytest.raises(smtplib.SMTPSenderRefused, match="530"):
                client.sendmail("a@x", ["b@y"], "hi")
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.login("ann", "wrong")
            client.login("ann", "Gehe1m-pw")
            client.sendmail("a@x", ["b@y"], "hi")
        assert [(m.authenticated_as, m.tls) for m in inbox.messages] == [("ann", True)]


def test_no_login_in_clear_where_tls_is_to_be_had() -> None:
    """With STARTTLS, AUTH is offered behind it only."""
    with (
        Inbox(tls="starttls", accounts={"ann": "Gehe1m-pw"}) as inbox,
        smtplib.SMTP(inbox.host, inbox.port, timeout=5) as client,
    ):
        client.ehlo()
        assert (client.has_extn("auth"), client.has_extn("starttls")) == (False, True)


def test_it_closes_on_open_connections() -> None:
    """Clients that stay are shown out, in clear and under TLS, without a warning."""
    with Inbox(tls="starttls") as inbox:
        clients = [smtplib.SMTP("localhost", inbox.port, timeout=5) for _ in range(2)]
        clients[0].starttls(context=ssl.create_default_context(cafile=inbox.ca_file))
    for client in clients:
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.noop()
        client.close()


def test_a_taken_port_is_said_at_once() -> None:
    """The error of the server's thread comes out where it was started."""
    with Inbox() as inbox, pytest.raises(OSError, match="in use"), Inbox(port=inbox.port):
        pass


def test_without_its_extra_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not just that a module is missing."""
    monkeypatch.setattr("sys.path", [])
    monkeypatch.setattr("sys.path_importer_cache", {})
    for name in [name for name in sys.modules if name.partition(".")[0] == "aiosmtpd"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ModuleNotFoundError, match=r"install mailbridge-smtp\[testing\]"), Inbox():
        pass


def test_waiting() -> None:
    """`wait_for` waits for mail, and has an end."""
    with Inbox() as inbox:
        with smtplib.SMTP(inbox.host, inbox.port, timeout=5) as client:
            client.sendmail("a@x", ["b@y"], "hi")
        inbox.wait_for(lambda: inbox.messages)
        with pytest.raises(TimeoutError):
            inbox.wait_for(lambda: False, timeout=0.01)


def test_control_from_a_coroutine() -> None:
    """The loop goes on while the inbox starts, waits for mail and ends."""

    async def deliver() -> list[str]:
        async with Inbox() as inbox:
            sending = asyncio.to_thread(_send_one, inbox)
            waiting = inbox.until(lambda: inbox.messages)
            await asyncio.gather(sending, waiting)
            return [message.sender for message in inbox.messages]

    assert asyncio.run(deliver()) == ["a@x"]


def _send_one(inbox: Inbox) -> None:
    with smtplib.SMTP(inbox.host, inbox.port, timeout=5) as client:
        client.sendmail("a@x", ["b@y"], "Subject: Hi\n\nHello")
