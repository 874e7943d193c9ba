"""Login: a secret goes nowhere that a stranger can read, and the server proves itself where it can."""

from base64 import b64decode, b64encode
from collections.abc import Callable
from traceback import TracebackException
from typing import Any

import pytest

from mailbridge.auth import Secret
from mailbridge.conversations import Need, login
from mailbridge.errors import SMTPAuthenticationError, SMTPException, SMTPSecurityError, SMTPTimeoutError
from mailbridge.facts import Phase
from mailbridge.protocol import SMTPProtocol
from mailbridge.server import Security, Server
from mailbridge.sync.connection import drive
from mailbridge.testing import Script, Settings
from tests.core.dialogue import ready, talk
from tests.core.model import Model

SECRET = "correct-horse-battery"
# As it is, and as every base64 of a longer text holds it, wherever it begins there.
FORMS = [SECRET, *(b64encode(b"\0" * shift + SECRET.encode())[4:-4].decode() for shift in range(3))]
MECHANISMS = ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER"]


def account(mechanism: str) -> Server:
    """An account on this machine."""
    option: Any = {"token_provider": lambda: SECRET} if "OAUTH" in mechanism else {"password": SECRET}
    return Server("localhost", security=Security.NONE, username="u", auth=[mechanism], **option)


def model(mechanism: str, **accounts: str) -> Model:
    """A server with an account."""
    return Model(Script(Settings(accounts=accounts or {"u": SECRET}, auth=(mechanism,))), account(mechanism))


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_every_mechanism_logs_in_at_a_server_that_checks(mechanism: str) -> None:
    """The scripted server computes its side of each mechanism, and lets the right account in."""
    server = model(mechanism)

    assert server.connect().authenticated
    assert server.record.connections[0].authenticated_as == "u"


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_every_mechanism_is_refused_with_the_wrong_secret(mechanism: str) -> None:
    """The same with another password: an error, and nobody is logged in."""
    with pytest.raises(SMTPException) as caught:
        model(mechanism, u="another").connect()
    assert caught.value.phase is Phase.AUTH


def leaks(error: BaseException, smtp: SMTPProtocol) -> list[str]:
    """Every place that a log or an error report would show and that holds the secret."""
    traceback = "".join(TracebackException.from_exception(error, capture_locals=True).format())
    shown = {"traceback": traceback, "transcript": "\n".join(smtp.transcript.lines()), "repr": repr(error) + str(error)}
    shown["protocol"] = repr(smtp) + repr(smtp.transcript)
    return [place for place, text in shown.items() for form in FORMS if form in text]


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_timeout_at_any_step_shows_no_secret(mechanism: str, steps: int) -> None:
    """Neither the secret nor its base64 stands in the traceback's local variables or the transcript (WIRE.md S16)."""
    smtp = ready(f"AUTH {mechanism}")
    conversation = login(smtp, account(mechanism))
    answers = [b"334 UGFzc3dvcmQ6\r\n"] * steps

    def serve(need: Any) -> Any:
        if need.name.endswith("TOKEN"):
            return Secret(SECRET)
        smtp.sent(smtp.pending)
        if not answers:
            raise SMTPTimeoutError("no answer")
        smtp.receive_data(answers.pop())
        return None

    with pytest.raises(SMTPException) as caught:
        drive(conversation, serve)
    assert leaks(caught.value, smtp) == []


def test_the_leak_test_sees_a_leak() -> None:
    """A local variable with the secret would be found."""
    kept = SECRET

    with pytest.raises(ZeroDivisionError) as caught:
        len(kept) / 0
    assert leaks(caught.value, ready()) == ["traceback"]


def test_a_challenge_is_hidden() -> None:
    """A challenge may hold what a password could be guessed from: the transcript shows its code alone."""
    smtp = ready("AUTH LOGIN")
    secret = b64encode(SECRET.encode()) + b"\r\n"
    talk(login(smtp, account("LOGIN")), smtp, (b"AUTH LOGIN dQ==\r\n", b"334 " + secret), (secret, b"235 ok\r\n"))

    lines = smtp.transcript.lines()
    assert "S: 334 [hidden]" in lines
    assert not [line for line in lines for form in FORMS if form in line]


# A server that must prove itself.


def scram(smtp: SMTPProtocol, answers: list[str], said: list[bytes]) -> None:
    """Log in by SCRAM at a server that says what it likes; {r} is the client's nonce."""
    left = list(answers)

    def serve(need: object) -> None:
        said.append(bytes(smtp.data_to_send()))
        smtp.sent(smtp.pending)
        first = b64decode(said[0].split()[2]).decode()
        code, _, text = left.pop(0).partition(" ")
        words = text.replace("{r}", first.partition("r=")[2])
        smtp.receive_data(f"{code} ".encode() + b64encode(words.encode()) + b"\r\n")

    drive(login(smtp, account("SCRAM-SHA-256")), serve)


FIRST = "334 r={r}more,s=c2FsdHNhbHRzYWx0c2FsdA==,i=4096"


@pytest.mark.parametrize(
    ("answers", "lines"),
    [
        (["235 welcome"], 1),
        (["334 r=another,s=c2FsdHNhbHRzYWx0c2FsdA==,i=4096"], 1),
        (["334 nonsense"], 1),
        (["334 r={r}more,s=c2FsdHNhbHRzYWx0c2FsdA==,i=999999999"], 1),
        (["334 r={r}more,s=c2FsdHNhbHRzYWx0c2FsdA==,i=0"], 1),
        ([FIRST, "235 welcome"], 2),
        ([FIRST, "334 v=bm90IHRoZSBwcm9vZg==", "235 welcome"], 2),
        ([FIRST, "334 e=other-error", "235 welcome"], 2),
    ],
)
def test_a_server_that_does_not_prove_itself_is_left(answers: list[str], lines: int) -> None:
    """Success without the server's proof, a wrong proof, a foreign nonce, a ruinous number of rounds: no login."""
    smtp = ready("AUTH SCRAM-SHA-256")
    said: list[bytes] = []

    with pytest.raises(SMTPSecurityError) as caught:
        scram(smtp, answers, said)
    assert caught.value.phase is Phase.AUTH
    assert len(said) == lines
    assert leaks(caught.value, smtp) == []


def test_a_refusal_by_scram_is_a_refusal() -> None:
    """A server that does not know the user says so without a proof."""
    with pytest.raises(SMTPAuthenticationError) as caught:
        scram(ready("AUTH SCRAM-SHA-256"), [FIRST, "535 wrong"], [])
    assert caught.value.smtp_code == 535


def test_the_proof_is_acknowledged_by_an_empty_line() -> None:
    """The server's proof comes in a 334, which wants an empty line (SERVERS.md A1)."""
    server = model("SCRAM-SHA-256")
    server.connect()

    assert server.record.lines[-1] == b""


def repeating(smtp: SMTPProtocol, *, decoded: bool) -> Callable[[Need], Any]:
    """A server that quotes what it refuses, in base64 or as it is."""
    said = [b""]

    def serve(need: Need) -> Any:
        if need in {Need.TOKEN, Need.FRESH_TOKEN}:
            return Secret(SECRET)
        if smtp.pending:
            said[0] = bytes(smtp.data_to_send()).split()[-1]
        smtp.sent(smtp.pending)
        asks = said[0] == b64encode(b"u") or said[0] == b"LOGIN"
        text = SECRET.encode() if decoded else said[0]
        smtp.receive_data(b"334 \r\n" if asks else b"535-5.7.8 no\r\n535 5.7.8 <%b>\r\n" % text)
        return None

    return serve


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize("decoded", [False, True])
def test_s16_a_server_that_repeats_the_secret(mechanism: str, decoded: bool) -> None:
    """Some quote the line that they refuse, or what is in it: only the code of such a reply is kept."""
    smtp = ready(f"AUTH {mechanism}")
    with pytest.raises(SMTPAuthenticationError) as caught:
        drive(login(smtp, account(mechanism)), repeating(smtp, decoded=decoded))
    assert leaks(caught.value, smtp) == []
    assert caught.value.smtp_code == 535
    assert "repeats a secret" in str(caught.value)


@pytest.mark.parametrize("words", [SECRET.encode(), b64encode(b"\0u\0" + SECRET.encode())])
def test_s16_a_success_that_repeats_the_secret(words: bytes) -> None:
    """A server that greets by the password is no better than one that refuses with it."""
    smtp = ready("AUTH PLAIN")
    line = b"AUTH PLAIN " + b64encode(b"\0u\0" + SECRET.encode()) + b"\r\n"
    talk(login(smtp, account("PLAIN")), smtp, (line, b"235 welcome, <%b>\r\n" % words))
    assert smtp.transcript.lines()[-1] == "S: 235 [hidden]"


def test_a_refusal_that_repeats_nothing_keeps_its_words() -> None:
    """What helps at three in the morning is not hidden by the way; an empty response is no secret."""
    smtp = ready("AUTH EXTERNAL")
    server = Server("localhost", security=Security.NONE, auth=["EXTERNAL"])
    with pytest.raises(SMTPAuthenticationError, match=r"5\.7\.8 = is not enough"):
        talk(login(smtp, server), smtp, (b"AUTH EXTERNAL =\r\n", b"535 5.7.8 = is not enough\r\n"))
