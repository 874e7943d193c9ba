"""AUTH: the server's side of every mechanism."""

import base64
import hashlib
import hmac

import pytest

from mailbridge.testing import Settings
from tests.testing.transcripts import Talk

ACCOUNTS = {"ann": "s3cret", "tim": "token"}
ALL = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER", "EXTERNAL")
WELCOME = b"235 2.7.0 welcome\r\n"
FAILED = b"535 5.7.8 authentication failed\r\n"


@pytest.fixture
def talk() -> Talk:
    return Talk(settings=Settings(accounts=ACCOUNTS, auth=ALL)).hello()


def b64(text: str | bytes) -> bytes:
    return base64.b64encode(text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize(
    ("mechanism", "response", "user"),
    [
        (b"PLAIN", "\0ann\0s3cret", "ann"),
        (b"plain", "ann\0ann\0s3cret", "ann"),
        (b"PLAIN", "bob\0ann\0s3cret", None),
        (b"PLAIN", "\0ann\0wrong", None),
        (b"PLAIN", "\0eve\0s3cret", None),
        (b"PLAIN", "ann", None),
        (b"EXTERNAL", "ann", "ann"),
        (b"EXTERNAL", "eve", None),
        (b"XOAUTH2", "user=tim\x01auth=Bearer token\x01\x01", "tim"),
        (b"OAUTHBEARER", "n,a=tim,\x01auth=Bearer token\x01\x01", "tim"),
    ],
)
@pytest.mark.parametrize("initial", [True, False])
def test_one_response(talk: Talk, mechanism: bytes, response: str, user: str | None, initial: bool) -> None:
    """Mechanisms of one message, with the initial response and after an empty challenge."""
    if initial:
        answer = talk.say(b"AUTH " + mechanism + b" " + b64(response) + b"\r\n")
    else:
        assert talk.say(b"AUTH " + mechanism + b"\r\n") == b"334 \r\n"
        answer = talk.say(b64(response) + b"\r\n")
    assert answer == (FAILED if user is None else WELCOME)
    assert talk.session.connection.authenticated_as == user


@pytest.mark.parametrize("first", [b"AUTH LOGIN\r\n|" + b64("ann"), b"AUTH LOGIN " + b64("ann")])
def test_login(talk: Talk, first: bytes) -> None:
    """LOGIN asks for the user, unless it has been told, and for the password."""
    *_, prompt = [talk.say(line.removesuffix(b"\r\n") + b"\r\n") for line in first.split(b"|")]
    assert prompt == b"334 " + b64("Password:") + b"\r\n"
    assert talk.say(b64("s3cret") + b"\r\n") == WELCOME


@pytest.mark.parametrize(("password", "answer"), [(b"s3cret", WELCOME), (b"wrong", FAILED)])
def test_cram_md5(talk: Talk, password: bytes, answer: bytes) -> None:
    """RFC 2195: the digest of the challenge."""
    challenge = base64.b64decode(talk.say(b"AUTH CRAM-MD5\r\n")[4:])
    digest = hmac.new(password, challenge, "md5").hexdigest()
    assert talk.say(b64(f"ann {digest}") + b"\r\n") == answer


def scram(talk: Talk, password: bytes, bound: str = "biws", tail: str = "") -> tuple[bytes, bytes]:
    """Run the client's side of RFC 5802 section 3; the server's answer and the signature it owes."""
    bare = "n=ann,r=client"
    first = base64.b64decode(talk.say(b"AUTH SCRAM-SHA-256 " + b64("n,," + bare) + b"\r\n")[4:]).decode()
    nonce, salt, iterations = (part[2:] for part in first.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", password, base64.b64decode(salt), int(iterations))
    final = f"c={bound},r={nonce}{tail}"
    message = f"{bare},{first},{final}".encode()
    key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature, strict=True))).decode()
    owed = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
    return talk.say(b64(f"{final},p={proof}") + b"\r\n"), b"v=" + b64(owed)


def test_scram_sha_256(talk: Talk) -> None:
    """RFC 7677: both prove that they know the password; v= comes in a 334 (SERVERS.md A1)."""
    answer, owed = scram(talk, b"s3cret")
    assert answer == b"334 " + b64(owed) + b"\r\n"
    assert talk.say(b"\r\n") == WELCOME


@pytest.mark.parametrize(
    ("password", "bound", "tail"), [(b"no", "biws", ""), (b"s3cret", "eSws", ""), (b"s3cret", "biws", "x")]
)
def test_scram_that_fails(talk: Talk, password: bytes, bound: str, tail: str) -> None:
    """The password, the channel binding and the nonce are looked at (RFC 5802 section 5.1)."""
    assert scram(talk, password, bound, tail)[0] == FAILED


@pytest.mark.parametrize("mechanism", [b"XOAUTH2", b"OAUTHBEARER"])
def test_a_stale_token(talk: Talk, mechanism: bytes) -> None:
    """The error comes as a challenge; an empty line later it is a 535, and a fresh token is welcome."""
    user = {b"XOAUTH2": "user=tim", b"OAUTHBEARER": "n,a=tim,"}[mechanism]
    challenge = talk.say(b"AUTH " + mechanism + b" " + b64(f"{user}\x01auth=Bearer old\x01\x01") + b"\r\n")
    assert b'"status": "401"' in base64.b64decode(challenge[4:])
    assert talk.say(b"\r\n") == FAILED
    assert talk.say(b"AUTH " + mechanism + b" " + b64(f"{user}\x01auth=Bearer token\x01\x01") + b"\r\n") == WELCOME


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"AUTH DIGEST-MD5", b"504"),
        (b"AUTH PLAIN %%%", b"501"),
        (b"AUTH CRAM-MD5 " + b64("ann"), b"501"),
        (b"AUTH SCRAM-SHA-256 " + b64("nonsense"), b"535"),
        (b"AUTH SCRAM-SHA-256 " + b64("n,,nothing"), b"535"),
        (b"AUTH PLAIN " + b64(b"\xff"), b"535"),
        (b"AUTH EXTERNAL =", b"235"),
    ],
)
def test_what_can_be_wrong(talk: Talk, line: bytes, code: bytes) -> None:
    """Unknown mechanisms, bad base64, responses nobody can read; "=" is the empty one."""
    assert talk.say(line + b"\r\n")[:3] == code


def test_a_mechanism_that_is_not_offered() -> None:
    """What this server could do, but did not offer, is 504 too."""
    talk = Talk(settings=Settings(accounts=ACCOUNTS, auth=("LOGIN",))).hello()
    assert talk.say(b"AUTH PLAIN " + b64("\0ann\0s3cret") + b"\r\n")[:3] == b"504"


def test_no_response_ahead_of_its_challenge(talk: Talk) -> None:
    """Nothing may follow a response before its reply, PIPELINING or not."""
    talk.say(b"AUTH LOGIN\r\n")
    assert talk.say(b64("ann") + b"\r\n" + b64("s3cret") + b"\r\n") == b"554 5.5.0 you talk too soon\r\n"


def test_cancel(talk: Talk) -> None:
    """A star ends the exchange, and the session goes on."""
    talk.say(b"AUTH PLAIN\r\n")
    talk.follow((b"*\r\n", b"501 5.7.0 cancelled\r\n"), (b"NOOP\r\n", b"250 2.0.0 ok\r\n"))


def test_not_twice_and_not_inside_a_transaction(talk: Talk) -> None:
    """RFC 4954 section 4."""
    login = b"AUTH PLAIN " + b64("\0ann\0s3cret") + b"\r\n"
    talk.say(b"MAIL FROM:<a@x>\r\n")
    assert talk.say(login)[:3] == b"503"
    talk.say(b"RSET\r\n")
    assert [talk.say(login)[:3], talk.say(login)[:3]] == [b"235", b"503"]


def test_not_in_clear_where_tls_is_to_be_had() -> None:
    """RFC 4954 section 4: 538."""
    talk = Talk(settings=Settings(tls="starttls", accounts=ACCOUNTS)).hello()
    assert talk.say(b"AUTH PLAIN AGEAYg==\r\n")[:3] == b"538"


def test_the_script_speaks_in_between(talk: Talk) -> None:
    """A verdict or a refusal may be dictated at the verb and at a response."""
    talk.script.answer("AUTH", b"454 4.7.0 later\r\n", times=1)
    talk.script.answer("RESPONSE", b"535 no\r\n", times=1)
    talk.follow(
        (b"AUTH LOGIN\r\n", b"454 4.7.0 later\r\n"),
        (b"AUTH LOGIN\r\n", b"334 VXNlcm5hbWU6\r\n"),
        (b64("ann") + b"\r\n", b"535 no\r\n"),
        (b"NOOP\r\n", b"250 2.0.0 ok\r\n"),
    )


def test_the_message_says_who_sent_it(talk: Talk) -> None:
    """The record has the user."""
    talk.say(b"AUTH PLAIN " + b64("\0ann\0s3cret") + b"\r\n")
    talk.say(b"MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nBDAT 1 LAST\r\na")
    assert talk.record.messages[0].authenticated_as == "ann"
