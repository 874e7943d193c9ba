"""TLS and logins at real servers: every mode, every mechanism, and every way to be refused."""

from collections.abc import Callable
from typing import Any

import pytest

from mailbridge import (
    MailObject,
    Security,
    SMTPAuthenticationError,
    SMTPCertificateError,
    SMTPException,
    SMTPNotSupportedError,
    SMTPSecurityError,
    Timeouts,
)
from tests.servers.lab import Lab, Postfix, Submission
from tests.servers.lab.dovecot import token as bearer
from tests.servers.lab.faces import Face
from tests.servers.lab.machine import PASSWORD, USER

Letter = Callable[..., MailObject]

# What each door offers, apart from the mechanisms that we do not have. `make servers` fails where that changes.
MECHANISMS = {
    "postfix": ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"),
    "submission": ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"),
    "aiosmtpd": ("PLAIN", "LOGIN"),
    "smtp-server": ("PLAIN", "LOGIN", "CRAM-MD5"),
}
CLEAR = {"security": Security.NONE, "ca_file": None, "username": USER, "password": PASSWORD, "auth": ("PLAIN",)}
# Dovecot takes a connection from its own address for a secure one.
ELSEWHERE = {"source_address": ("127.0.0.2", 0)}


@pytest.mark.parametrize("door", ["starttls", "tls"])
def test_tls_with_the_own_authority(lab: Lab, face: type[Face], letter: Letter, door: str) -> None:
    """A server that the own CA vouches for gets the mail, LMTP too."""
    with face(lab.server(door)) as client:
        receipt = client.send(letter())
        assert client.client.tls.version in {"TLSv1.2", "TLSv1.3"}

    assert receipt.accepted


def test_opportunistic_tls(lab: Lab, face: type[Face], letter: Letter) -> None:
    """STARTTLS where it is offered, and checked then; plain where it is not."""
    if lab.name == "submission":
        pytest.skip("it takes nothing without a login, and no login is risked for a protection that may be absent")
    for door in ("starttls", lab.doors[0]):
        server = lab.server(door, host="localhost", security=Security.OPPORTUNISTIC, ca_file=str(lab.ca))
        with face(server) as client:
            assert bool(client.client.tls) == (door == "starttls" or lab.name in {"postfix", "dovecot"})
            assert client.send(letter()).accepted
    with pytest.raises(SMTPCertificateError), face(lab.server("starttls", ca_file=str(lab.foreign))):
        pass


@pytest.mark.parametrize("door", ["starttls", "tls"])
def test_a_foreign_authority_is_refused(lab: Lab, face: type[Face], door: str) -> None:
    """A certificate that nobody here vouches for: no login, no mail."""
    login = {} if lab.lmtp else {"username": USER, "password": PASSWORD}
    server = lab.server(door, ca_file=str(lab.foreign), **login)

    with pytest.raises(SMTPCertificateError), face(server):
        pass


@pytest.mark.parametrize("door", ["starttls", "tls"])
def test_a_wrong_name_is_refused(lab: Lab, face: type[Face], door: str) -> None:
    """The certificate is for localhost, not for its address."""
    with pytest.raises(SMTPCertificateError), face(lab.server(door, host="127.0.0.1")):
        pass


def test_the_wrong_mode_for_a_port_is_said(lab: Lab, face: type[Face]) -> None:
    """STARTTLS at the port of implicit TLS, and the reverse, end with an error and not with a hang."""
    for door, security in (("tls", Security.STARTTLS), ("starttls", Security.IMPLICIT)):
        server = lab.server(door, security=security, timeouts=Timeouts(reply=0.5))
        with pytest.raises(SMTPException), face(server):
            pass


def test_starttls_that_is_not_offered_is_an_error(smtp: Lab, face: type[Face]) -> None:
    """Required means required."""
    if "idle" not in smtp.doors or smtp.name == "postfix":
        pytest.skip(f"each plain door of this {smtp.name} offers STARTTLS")
    with (
        pytest.raises((SMTPSecurityError, SMTPNotSupportedError)),
        face(smtp.server("idle", security=Security.STARTTLS, ca_file=str(smtp.ca))),
    ):
        pass


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
@pytest.mark.parametrize("door", ["starttls", "tls"])
def test_every_mechanism_logs_in(smtp: Lab, face: type[Face], letter: Letter, mechanism: str, door: str) -> None:
    """Each mechanism that the server offers, and an error where it does not offer this one."""
    server = smtp.server(door, username=USER, password=PASSWORD, auth=(mechanism,))
    if mechanism in MECHANISMS[smtp.name]:
        with face(server) as client:
            assert client.send(letter()).accepted
    else:
        with pytest.raises(SMTPNotSupportedError), face(server):
            pass


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
def test_a_wrong_password_is_refused(smtp: Lab, face: type[Face], mechanism: str) -> None:
    """A 535, which is not temporary, and the password in no error."""
    if mechanism not in MECHANISMS[smtp.name]:
        pytest.skip(f"{smtp.name} does not offer {mechanism}")
    server = smtp.server("starttls", username=USER, password="wr0ng-secret", auth=(mechanism,))

    with pytest.raises(SMTPAuthenticationError) as caught, face(server):
        pass

    assert (caught.value.reply.code, caught.value.temporary) == (535, False)
    assert "wr0ng-secret" not in str(caught.value) + repr(caught.value.transcript)


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize("kind", [Postfix, Submission], ids=lambda kind: kind.name)
def test_a_token_logs_in(
    street: Callable[[type[Lab]], Lab], kind: type[Lab], face: type[Face], letter: Letter, mechanism: str
) -> None:
    """A JSON web token that Dovecot checks; it is longer than fits behind AUTH on its line."""
    server = street(kind).server("starttls", username=USER, token_provider=bearer, auth=(mechanism,))

    with face(server) as client:
        assert client.send(letter()).accepted


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize("kind", [Postfix, Submission], ids=lambda kind: kind.name)
def test_a_token_that_somebody_else_signed_is_refused(
    street: Callable[[type[Lab]], Lab], kind: type[Lab], face: type[Face], mechanism: str
) -> None:
    """The error challenge is answered, and 535 ends it."""
    tokens: dict[str, Any] = {"token_provider": lambda **_: bearer(key=b"a stranger's"), "auth": (mechanism,)}

    with pytest.raises(SMTPAuthenticationError), face(street(kind).server("starttls", username=USER, **tokens)):
        pass


@pytest.mark.parametrize("door", ["starttls", "tls"])
def test_a_token_at_smtp_server(nodemailer: Lab, face: type[Face], letter: Letter, door: str) -> None:
    """XOAUTH2, the only mechanism for tokens that it has."""
    with face(nodemailer.server(door, username=USER, token_provider=lambda **_: PASSWORD, auth=("XOAUTH2",))) as client:
        assert client.send(letter()).accepted


def test_a_wrong_token_at_smtp_server(nodemailer: Lab, face: type[Face]) -> None:
    """The error challenge is answered, 535 ends it, and the token is in no error."""
    tokens: dict[str, Any] = {"token_provider": lambda **_: "wr0ng-token", "auth": ("XOAUTH2",)}

    with pytest.raises(SMTPAuthenticationError) as caught, face(nodemailer.server("starttls", username=USER, **tokens)):
        pass

    assert (caught.value.reply.code, caught.value.temporary) == (535, False)
    assert "wr0ng-token" not in str(caught.value) + repr(caught.value.transcript)


def test_a_login_in_clear_is_refused_here(smtp: Lab, face: type[Face]) -> None:
    """Without TLS no server here takes a login, and we ask for what is offered only."""
    server = smtp.server("starttls", **CLEAR, **ELSEWHERE)

    with pytest.raises(SMTPException) as caught, face(server):
        pass

    assert not isinstance(caught.value, SMTPCertificateError)
    assert PASSWORD not in repr(caught.value.transcript)
