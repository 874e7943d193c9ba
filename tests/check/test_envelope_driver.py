"""What a check says of logins, senders, recipients and the test message."""

from base64 import b64encode

import pytest

from mailbridge import Security, Server, SMTPInputError
from mailbridge.check import diagnose
from mailbridge.testing import ScriptedServer
from mailbridge.testing.actions import Then
from tests.check.checks import ANN, check, finding, step


def test_no_auth_before_starttls() -> None:
    """The password stays here, and the sentence says where the server takes it."""
    with ScriptedServer(tls="starttls", accounts=ANN) as server:
        diagnosis = check(server, "ann@example.com", security=Security.NONE, ca_file=None)

    assert finding(diagnosis, "AUTH") == (
        "No way to log in: the server offers no AUTH, the configuration allows any that takes a password. "
        "The server offers STARTTLS, and most take credentials only behind it"
    )


def test_a_wrong_password() -> None:
    """The server's words, and what to check."""
    with ScriptedServer(tls="starttls", accounts=ANN) as server:
        diagnosis = check(server, "ann@example.com", password="wrong")

    assert finding(diagnosis, "AUTH").startswith(
        "The server answered 535 5.7.8 authentication failed. Check user name (ann@example.com) and password"
    )
    assert step(diagnosis, "AUTH").facts["mechanism"] == "PLAIN"


def test_a_login_that_is_missing() -> None:
    """530 is about the session, whoever the sender is."""
    with ScriptedServer(tls="starttls", accounts=ANN, require_auth=True) as server:
        diagnosis = check(server)

    assert finding(diagnosis, "MAIL").endswith("Set a user name and a password")


def test_a_token() -> None:
    """Asking the provider is a part of AUTH; the mechanism that went through in the end is named."""
    with ScriptedServer(tls="starttls", accounts=ANN, auth=("XOAUTH2",)) as server:
        diagnosis = check(server, "ann@example.com", password=None, token_provider=lambda: ANN["ann@example.com"])
        assert step(diagnosis, "AUTH").facts["mechanism"] == "XOAUTH2"

        def fail() -> str:
            raise LookupError(ANN["ann@example.com"])

        diagnosis = check(server, "ann@example.com", password=None, token_provider=fail)
        assert finding(diagnosis, "AUTH") == "The token provider failed: LookupError. See the error's cause"


@pytest.mark.parametrize("auth", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("code", [b"235", b"535"])
def test_a_server_that_repeats_the_secret(auth: str, code: bytes) -> None:
    """What it says of a login is not shown then, whether it went well or not."""
    with ScriptedServer(tls="starttls", accounts=ANN, auth=(auth,)) as server:
        told = [b64encode(b"\0ann@example.com\0a secret"), b64encode(b"a secret")]
        server.answer("AUTH" if auth == "PLAIN" else "RESPONSE", code + b" AUTH " + b" ".join(told) + b"\r\n", nth=1)
        diagnosis = check(server, "ann@example.com")

    printed = "\n".join(diagnosis.lines())
    assert diagnosis.ok is (code == b"235")
    assert [secret for secret in told if secret.decode() in printed] == []


def test_a_refused_sender() -> None:
    """A failure where somebody named it; the recipient is not asked about."""
    with ScriptedServer() as server:
        server.refuse_sender("shop@example.com")
        diagnosis = diagnose(Server.from_url(server.url), sender="shop@example.com")

    assert step(diagnosis, "MAIL").facts["sender"] == "shop@example.com"
    assert finding(diagnosis, "MAIL") == (
        "The server answered 550 5.7.1 sender refused. "
        "Use a sender that this server takes mail from, or ask who operates it"
    )


def test_a_sender_that_a_message_would_have() -> None:
    """With `to` the envelope is somebody's wish: a refused sender is a failure."""
    with ScriptedServer() as server:
        server.refuse_sender("bob@example.org")
        assert finding(check(server, to="bob@example.org"), "MAIL").startswith("The server answered 550")


@pytest.mark.parametrize(("sender", "ok"), [("", False), (None, True)])
def test_a_null_sender_that_somebody_named(sender: str | None, ok: bool) -> None:
    """It is refused here and there, which matters to those who send with it."""
    with ScriptedServer() as server:
        server.refuse_sender("")
        diagnosis = diagnose(Server.from_url(server.url), sender=sender)

    assert (diagnosis.ok, len(diagnosis.findings)) == (ok, 1)


def test_a_421_is_about_the_session() -> None:
    """A failure, though nobody named the sender."""
    with ScriptedServer() as server:
        server.answer("MAIL", b"421 4.3.2 shutting down\r\n", then=Then.CLOSE)
        assert finding(check(server), "MAIL") == "The server answered 421 4.3.2 shutting down"


def test_a_refused_recipient() -> None:
    """A failure where somebody named it, and nothing is sent."""
    with ScriptedServer() as server:
        server.refuse("bob@example.org")
        diagnosis = check(server, to="bob@example.org")

        assert finding(diagnosis, "RCPT").startswith("The server answered 550 5.1.1 no such user. Check the address")
        assert server.messages == []


def test_a_refused_recipient_that_nobody_named() -> None:
    """A warning: mail may go to others. The transaction is taken back all the same."""
    with ScriptedServer() as server:
        server.refuse("postmaster")
        diagnosis = check(server)

        assert server.lines[-2:] == [b"RSET", b"QUIT"]
    assert diagnosis.ok
    assert [str(step.name) for step in diagnosis.steps if step.finding] == ["RCPT"]


def test_a_message_that_is_refused() -> None:
    """The content may be refused where the envelope was not."""
    with ScriptedServer() as server:
        server.refuse_content(554, "5.7.1", "looks like spam")
        diagnosis = check(server, to="bob@example.org")

    assert finding(diagnosis, "SEND") == "The server answered 554 5.7.1 looks like spam"
    assert diagnosis.receipt is not None
    assert list(diagnosis.receipt.rejected) == ["bob@example.org"]


@pytest.mark.parametrize("options", [{"to": "a@b@c"}, {"sender": "a b"}])
def test_what_is_no_address_calls_nobody(options: dict[str, str]) -> None:
    """It is the caller's mistake, not the server's."""
    with ScriptedServer() as server:
        with pytest.raises(SMTPInputError):
            diagnose(Server.from_url(server.url), **options)
        assert server.connections == []
