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
from tests.servers.lab import Lab
from tests.servers.lab.dovecot import token as bearer
from tests.servers.lab.faces import Face
from tests.servers.lab.machine import PASSWORD, USER

Letter = Callable[..., MailObject]

# What each door offers, apart from the mechanisms that we do not have. `make servers` fails where that changes.
MECHANISMS = {
    "postfix": ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"),
    "aiosmtpd": ("PLAIN", "LOGIN"),
    "smtp-server": ("PLAIN", "LOGIN", "CRAM-MD5"),
}
CLEAR = {"security": Security.NONE, "ca_file": None, "username": USER, "password": PASSWORD, "auth": ("PLAIN",)}


@pytest.mark.parametrize("door", ["starttls", "tls"])
def test_tls_with_the_own_authority(smtp: Lab, face: type[Face], letter: Letter, door: str) -> None:
    """A server that the own CA vouches for gets the mail."""
    with face(smtp.server(door)) as client:
        receipt = client.send(letter())
        assert client.client.tls.version in {"TLSv1.2", "TLSv1.3"}

    assert receipt.accepted or smtp.name == "postfix"


def test_lmtp_with_starttls(dovecot: Lab, face: type[Face], letter: Letter) -> None:
    """LMTP can be protected as well."""
    with face(dovecot.server("starttls")) as client:
        assert client.send(letter()).accepted


@pytest.mark.parametrize("door", ["starttls", "tls"])
def test_a_foreign_authority_is_refused(smtp: Lab, face: type[Face], door: str) -> None:
    """A certificate that nobody here vouches for: no login, no mail."""
    server = smtp.server(door, ca_file=str(smtp.foreign), username=USER, password=PASSWORD)

    with pytest.raises(SMTPCertificateError), face(server):
        pass


@pytest.mark.parametrize("door", ["starttls", "tls"])
def test_a_wrong_name_is_refused(smtp: Lab, face: type[Face], door: str) -> None:
    """The certificate is for 127.0.0.1 and localhost, not for this address of the same machine."""
    with pytest.raises(SMTPException, match=r"certificate|127\.0\.0\.2"), face(smtp.server(door, host="127.0.0.2")):
        pass


def test_the_wrong_mode_for_a_port_is_said(smtp: Lab, face: type[Face]) -> None:
    """STARTTLS at the port of implicit TLS, and the reverse, end with an error and not with a hang."""
    for door, security in (("tls", Security.STARTTLS), ("starttls", Security.IMPLICIT)):
        server = smtp.server(door, security=security, timeouts=Timeouts(reply=0.5))
        with pytest.raises(SMTPException), face(server):
            pass


def test_starttls_that_is_not_offered_is_an_error(smtp: Lab, face: type[Face]) -> None:
    """Required means required."""
    if smtp.name == "postfix":
        pytest.skip("each door of this Postfix offers STARTTLS")
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
def test_a_token_logs_in(postfix: Lab, face: type[Face], letter: Letter, mechanism: str) -> None:
    """A JSON web token that Dovecot checks; it is longer than fits behind AUTH on its line."""
    server = postfix.server("starttls", username=USER, token_provider=bearer, auth=(mechanism,))

    with face(server) as client:
        assert client.send(letter()).accepted


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_a_token_that_somebody_else_signed_is_refused(postfix: Lab, face: type[Face], mechanism: str) -> None:
    """The error challenge is answered, and 535 ends it."""
    tokens: dict[str, Any] = {"token_provider": lambda **_: bearer(key=b"a stranger's"), "auth": (mechanism,)}

    with pytest.raises(SMTPAuthenticationError), face(postfix.server("starttls", username=USER, **tokens)):
        pass


def test_a_login_in_clear_is_refused_here(smtp: Lab, face: type[Face]) -> None:
    """Without TLS no server here takes a login, and we ask for what is offered only."""
    server = smtp.server("starttls", **CLEAR)

    with pytest.raises(SMTPException) as caught, face(server):
        pass

    assert not isinstance(caught.value, SMTPCertificateError)
    assert PASSWORD not in repr(caught.value.transcript)
