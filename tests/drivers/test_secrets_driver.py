"""S16: a secret stands in no log, no repr, no pickle, no transcript and no traceback, whatever fails."""

import base64
import logging
import pickle
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from mailbridge import Client, Security, Server, SMTPException
from mailbridge.testing import ScriptedServer, Then
from mailbridge.testing.settings import TLSMode
from tests.drivers.helpers import MESSAGE, QUICK, client_of, client_to

pytestmark = pytest.mark.usefixtures("driver")

SECRET = "corr3ct-horse-battery"


def forms(user: str = "ann") -> Iterator[str]:
    """The secret as it is, and as it stands on the wire."""
    yield SECRET
    for text in (SECRET, f"\0{user}\0{SECRET}", f"user={user}\1auth=Bearer {SECRET}\1\1"):
        encoded = base64.b64encode(text.encode()).decode()
        yield encoded
        # Any run of it gives most of the password away.
        yield encoded[8:24]


def shown(error: BaseException) -> str:
    """All that a program could show of an error."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    parts = ["".join(told.format()), repr(error), str(error)]
    if isinstance(error, SMTPException):
        parts += [*error.transcript, repr(error.receipt), repr(vars(error))]
    return "\n".join(parts)


def assert_hidden(text: str) -> None:
    assert [form for form in forms() if form in text] == []


MECHANISMS = ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER"]
PHASES = ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "CONTENT"]
FAILURES = [("AUTH", mechanism) for mechanism in MECHANISMS]
# The others have said all they have to say with the command.
FAILURES += [("RESPONSE", mechanism) for mechanism in ("LOGIN", "CRAM-MD5", "SCRAM-SHA-256")]
FAILURES += [(phase, mechanism) for phase in PHASES for mechanism in ("PLAIN", "XOAUTH2")]


@pytest.mark.parametrize(
    ("raw", "then"),
    [(b"554 5.7.0 no\r\n", Then.GO_ON), (b"", Then.CLOSE), (b"", Then.RESET), (b"x\r\n", Then.GO_ON)],
    ids=["refused", "closed", "reset", "garbage"],
)
def test_each_failing_phase(raw: bytes, then: Then, caplog: pytest.LogCaptureFixture) -> None:
    """A refusal, a cut and octets that are no reply, in each phase and with each mechanism."""
    caplog.set_level(logging.DEBUG)
    for event, mechanism in FAILURES:
        assert_hidden(_failed(event, mechanism, raw, then) + caplog.text)


def _failed(event: str, mechanism: str, raw: bytes, then: Then) -> str:
    with ScriptedServer(accounts={"ann": SECRET}, auth=(mechanism,), extensions=()) as server:
        server.answer(event, raw, then=then)
        client = _client(server, mechanism)
        with pytest.raises(SMTPException) as caught:
            client.send(MESSAGE)
        client.close()
    return shown(caught.value) + repr(vars(client)) + pickle.dumps(caught.value).decode("latin-1")


def _client(server: ScriptedServer, mechanism: str, **options: Any) -> Client:
    if mechanism in {"XOAUTH2", "OAUTHBEARER"}:
        return client_of(server, username="ann", token_provider=lambda **more: SECRET, **options)
    return client_of(server, "ann", **options)


@pytest.mark.parametrize("tls", [None, "starttls", "implicit"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "XOAUTH2"])
def test_silence_after_the_secret(tls: TLSMode | None, mechanism: str) -> None:
    """A deadline passes while the driver waits for the answer to the secret itself."""
    with ScriptedServer(tls=tls, accounts={"ann": SECRET}, auth=(mechanism,)) as server:
        server.cut_before("RESPONSE" if mechanism == "LOGIN" else "AUTH", Then.SILENCE)
        with pytest.raises(SMTPException) as caught:
            _client(server, mechanism, timeouts=QUICK).connect()
    assert "hidden" in "".join(caught.value.transcript)
    assert_hidden(shown(caught.value))


def test_a_url(server: ScriptedServer) -> None:
    """The URL that holds it is taken apart before anything can fail."""
    client = client_to(Server.from_url(f"smtp://ann:{SECRET}@127.0.0.1:{server.port}"))
    with pytest.raises(SMTPException) as caught:
        client.connect()
    own = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    driver = own[own.index("in connect") :]
    assert_hidden(driver + repr(client.server) + repr(vars(client)))


def test_a_provider_that_gives_something_else() -> None:
    """A token in a dictionary is no token, and the error does not show what it was."""
    with ScriptedServer(accounts={"ann": SECRET}, auth=("XOAUTH2",)) as server:
        client = client_of(server, username="ann", token_provider=lambda: {"access_token": f"{SECRET[:9]}{SECRET[9:]}"})
        with pytest.raises(SMTPException, match="the provider gave dict") as caught:
            client.connect()
    assert_hidden(shown(caught.value))


def test_a_failed_handshake() -> None:
    """The secret was not needed yet, and is not shown either."""
    with (
        ScriptedServer(tls="implicit", certificate="expired", accounts={"ann": SECRET}) as server,
        pytest.raises(SMTPException) as caught,
    ):
        client_of(server, "ann").connect()
    assert_hidden(shown(caught.value))


def test_a_successful_session(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing of it is in the transcript or in any record of any logger either."""
    caplog.set_level(logging.DEBUG)
    with ScriptedServer(accounts={"ann": SECRET}, require_auth=True) as server, client_of(server, "ann") as client:
        client.send(MESSAGE)
        assert "C: AUTH PLAIN [hidden]" in client.transcript
        assert_hidden("\n".join(client.transcript) + caplog.text + repr(client.server) + repr(client.server.security))
    assert Security.NONE in repr(client.server)
