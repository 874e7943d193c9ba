"""S4, S17: credentials go only where nobody can listen, and only by a mechanism that is meant for them."""

import socket
from typing import Any

import pytest

from mailbridge import smtplib
from tests.security.faces import Face
from tests.security.letters import Letter
from tests.security.seen import only_polite

ACCOUNTS = {"ann": "corr3ct-horse-battery"}
FAR = "mail.example.test"


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of another machine leads to this one, so that a client that went there would be heard."""
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        return real("127.0.0.1" if host == FAR else host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.usefixtures("far")
@pytest.mark.parametrize("auth", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_s04_a_server_on_another_machine(face: Face, serve: Any, auth: str) -> None:
    """S4: no password in clear to it, by no mechanism; with the explicit option there is."""
    server = serve(accounts=ACCOUNTS, auth=(auth,), require_auth=True)
    outcome = face.to(server, "ann", host=FAR).send(Letter())
    assert "clear" in str(outcome.error)
    assert server.connections == []

    assert face.to(server, "ann", host=FAR, allow_plaintext_auth=True).send(Letter()).delivered


@pytest.mark.parametrize("auth", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_s04_a_peer_on_another_machine(face: Face, serve: Any, auth: str) -> None:
    """S4: the same where the socket is asked who is there."""
    server = serve(accounts=ACCOUNTS, auth=(auth,), require_auth=True)
    outcome = face.to(server, "ann", far=True).send(Letter())
    assert "clear" in str(outcome.error)
    assert only_polite(server)

    assert face.to(server, "ann", far=True, allow_plaintext_auth=True).send(Letter()).delivered


@pytest.mark.parametrize("security", ["starttls", "implicit"])
def test_s04_a_server_without_tls(face: Face, serve: Any, security: str) -> None:
    """S4: where TLS is asked for, a server that has AUTH in clear and no TLS gets nothing."""
    server = serve(accounts=ACCOUNTS)
    outcome = face.to(server, "ann", security=security, host="localhost", timeout=0.5).send(Letter())

    assert isinstance(outcome.error, smtplib.SMTPException | OSError)
    assert only_polite(server)


@pytest.mark.parametrize(
    "offered", [("PLAIN",), ("LOGIN",), ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256")], ids=" ".join
)
def test_s17_a_token_as_a_password(face: Face, serve: Any, offered: tuple[str, ...]) -> None:
    """S17: an account with a token never uses a mechanism for passwords."""
    server = serve(accounts=ACCOUNTS, auth=offered)
    outcome = face.to(server, username="ann", token_provider=lambda **_: ACCOUNTS["ann"]).send(Letter())

    assert "token" in str(outcome.error)
    assert only_polite(server)


@pytest.mark.parametrize("offered", [("XOAUTH2",), ("OAUTHBEARER",)], ids=" ".join)
def test_s17_a_password_as_a_token(face: Face, serve: Any, offered: tuple[str, ...]) -> None:
    """S17: nor does a password go out as a token."""
    server = serve(accounts=ACCOUNTS, auth=offered)

    assert isinstance(face.to(server, "ann").send(Letter()).error, smtplib.SMTPException)
    assert only_polite(server)
