"""Logging in over a real socket: every mechanism, tokens, refusals."""

import base64

import pytest

from mailbridge import (
    Credentials,
    Mechanism,
    Phase,
    Secret,
    SMTPAuthenticationError,
    SMTPException,
    SMTPNotSupportedError,
    SMTPSecurityError,
)
from mailbridge.auth import Dialogue
from mailbridge.testing import ScriptedServer
from tests.drivers.helpers import MESSAGE, client_of

pytestmark = pytest.mark.usefixtures("driver")

ANN = {"ann": "päss word"}


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
def test_passwords(mechanism: str) -> None:
    """Each mechanism logs in, non-ASCII in UTF-8, and mail follows."""
    with ScriptedServer(accounts=ANN, auth=(mechanism,), require_auth=True) as server:
        with client_of(server, "ann") as client:
            assert client.send(MESSAGE).complete
        assert server.messages[0].authenticated_as == "ann"


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
def test_wrong_passwords(mechanism: str) -> None:
    """A 535 stops: no second mechanism sees the password, and the connection is closed."""
    with ScriptedServer(accounts=ANN, auth=(mechanism, "PLAIN", "LOGIN")) as server:
        client = client_of(server, username="ann", password="wrong-t0ken", auth=(mechanism, "PLAIN", "LOGIN"))
        with pytest.raises(SMTPAuthenticationError, match=r"Check user name \(ann\) and password") as caught:
            client.connect()
        assert (caught.value.smtp_code, caught.value.phase) == (535, Phase.AUTH)
        assert len([line for line in server.lines if line.startswith(b"AUTH")]) == 1
        server.wait_for(lambda: server.connections[0].ended == "client closed")


def test_no_mail_without_a_login() -> None:
    """After a login that failed the connection is not used: the next message tries to log in again."""
    with ScriptedServer(accounts=ANN) as server:
        client = client_of(server, username="ann", password="wrong-t0ken")
        for _ in range(2):
            with pytest.raises(SMTPAuthenticationError):
                client.send(MESSAGE)
            assert not client.connected
        assert len(server.connections) == 2
        assert server.messages == []


def test_strongest_first() -> None:
    """The order is ours unless the caller has one; 504 goes on to the next."""
    with ScriptedServer(accounts=ANN, auth=("LOGIN", "PLAIN", "CRAM-MD5", "SCRAM-SHA-256")) as server:
        server.answer("AUTH", b"504 5.5.4 not really\r\n", times=2)
        with client_of(server, "ann"):
            pass
        with client_of(server, "ann", auth=("LOGIN",)):
            pass
        tried = [line.split()[1] for line in server.lines if line.startswith(b"AUTH")]
        assert tried == [b"SCRAM-SHA-256", b"CRAM-MD5", b"PLAIN", b"LOGIN"]


def test_a_mechanism_that_nobody_offers() -> None:
    """The error names both sides."""
    with ScriptedServer(accounts=ANN, auth=("PLAIN",)) as server, pytest.raises(SMTPNotSupportedError) as caught:
        client_of(server, "ann", auth=("CRAM-MD5",)).connect()
    assert "offers PLAIN" in str(caught.value)
    assert "allows CRAM-MD5" in str(caught.value)


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_a_token(mechanism: str) -> None:
    """The provider is asked once, at login."""
    asked = []

    def provider(**options: bool) -> str:
        asked.append(options)
        return "a-l0ng-token"

    with (
        ScriptedServer(accounts={"ann": "a-l0ng-token"}, auth=(mechanism,), require_auth=True) as server,
        client_of(server, username="ann", token_provider=provider) as client,
    ):
        assert client.send(MESSAGE).complete
    assert asked == [{}]


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_a_token_that_expired(mechanism: str) -> None:
    """A rejection asks for a fresh one, once, on the same connection."""
    asked = []

    def provider(*, force_refresh: bool = False) -> Secret:
        asked.append(force_refresh)
        return Secret("fresh-t0ken" if force_refresh else "stale-t0ken")

    with ScriptedServer(accounts={"ann": "fresh-t0ken"}, auth=(mechanism,)) as server:
        with client_of(server, username="ann", token_provider=provider):
            pass
        assert server.connections[0].authenticated_as == "ann"
        assert len(server.connections) == 1
    assert asked == [False, True]


def test_a_token_that_stays_wrong() -> None:
    """Two rejections are enough."""
    asked = []

    def provider(*, force_refresh: bool = False) -> str:
        asked.append(force_refresh)
        return "wrong-t0ken"

    with (
        ScriptedServer(accounts={"ann": "right-t0ken"}, auth=("XOAUTH2",)) as server,
        pytest.raises(SMTPAuthenticationError, match="token for ann was refused twice"),
    ):
        client_of(server, username="ann", token_provider=provider).connect()
    assert asked == [False, True]


def test_a_provider_that_cannot_refresh() -> None:
    """The error says that it failed, and keeps the refusal that made the client ask again."""
    with (
        ScriptedServer(accounts={"ann": "right-t0ken"}, auth=("XOAUTH2",)) as server,
        pytest.raises(SMTPException, match=r"failed: TypeError, asked again after 535 5\.7\.8") as caught,
    ):
        client_of(server, username="ann", token_provider=lambda: "wrong-t0ken").connect()
    assert caught.value.reply
    assert isinstance(caught.value.__cause__, TypeError)


def test_a_long_token() -> None:
    """RFC 4954 section 4: what makes the line longer than 512 octets waits for the 334 (SERVERS.md A6)."""
    token = "t" * 2000
    with ScriptedServer(accounts={"ann": token}, auth=("XOAUTH2",)) as server:
        with client_of(server, username="ann", token_provider=lambda: token):
            pass
        assert b"AUTH XOAUTH2" in server.lines


def test_external() -> None:
    """The client certificate says who it is."""
    with ScriptedServer(tls="implicit", accounts={"ann": ""}, auth=("EXTERNAL",)) as server:
        with client_of(server, client_cert=server.client_certificate("ann"), auth=("EXTERNAL",)):
            pass
        assert server.lines[1] == b"AUTH EXTERNAL ="


def test_a_mechanism_of_the_callers_own() -> None:
    """A generator is all it takes."""

    def dialogue(credentials: Credentials) -> Dialogue:
        challenge = yield None
        yield challenge[::-1] + credentials.secret.reveal()

    with ScriptedServer(extensions=("AUTH X-REVERSE",)) as server:
        server.play(
            [
                (b"EHLO me\r\n", b"250-hello\r\n250 AUTH X-REVERSE\r\n"),
                (b"AUTH X-REVERSE\r\n", b"334 " + base64.b64encode(b"abc") + b"\r\n"),
                (base64.b64encode(b"cbapw") + b"\r\n", b"235 2.7.0 welcome\r\n"),
                (b"QUIT\r\n", b"221 bye\r\n"),
            ]
        )
        options = {"username": "ann", "password": "pw", "local_hostname": "me"}
        with client_of(server, None, auth=(Mechanism("X-REVERSE", dialogue),), **options):
            pass


def test_a_server_that_proves_nothing() -> None:
    """SCRAM: a success before the server's proof is none."""
    with ScriptedServer(accounts=ANN, auth=("SCRAM-SHA-256",)) as server:
        server.answer("RESPONSE", b"235 2.7.0 trust me\r\n")
        with pytest.raises(SMTPSecurityError) as caught:
            client_of(server, "ann").connect()
    assert caught.value.phase is Phase.AUTH
