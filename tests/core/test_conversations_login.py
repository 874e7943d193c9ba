"""Login: every mechanism's words, and what stops it."""

from base64 import b64encode
from collections.abc import Iterable
from typing import Any

import pytest

from mailbridge.auth import Credentials, Dialogue, Mechanism
from mailbridge.conversations import Need, login
from mailbridge.conversations.login import CHALLENGES
from mailbridge.errors import (
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPException,
    SMTPNotSupportedError,
    SMTPProtocolError,
    SMTPSecurityError,
    SMTPServerDisconnected,
)
from mailbridge.facts import Phase
from mailbridge.protocol import SMTPProtocol
from mailbridge.server import Security, Server
from mailbridge.sync.connection import drive
from mailbridge.translation import token_failure
from tests.core import dialogue
from tests.core.dialogue import CLOSED, Turn, ready, talk

YES, WRONG, ASK = b"235 welcome\r\n", b"535 5.7.8 wrong\r\n", b"334 \r\n"


def b64(text: str | bytes) -> bytes:
    """One line of an AUTH exchange."""
    return b64encode(text.encode() if isinstance(text, str) else text) + b"\r\n"


def account(**options: Any) -> Server:
    """A server on this machine, so that credentials may go in clear."""
    return Server("localhost", security=Security.NONE, username="u", **options)


def logged_in(server: Server, offered: str, *turns: Turn, tokens: Iterable[str] = ()) -> SMTPProtocol:
    """Log in at a server that offers some mechanisms."""
    smtp = ready(f"AUTH {offered}")
    talk(login(smtp, server), smtp, *turns, tokens=tokens)
    return smtp


BEARER = "user=u\1auth=Bearer t0kens\1\1"
OAUTHBEARER = "n,a=u,\1host=localhost\1port=25\1auth=Bearer t0kens\1\1"
T1_BEARER = OAUTHBEARER.replace("t0kens", "t1")


@pytest.mark.parametrize(
    ("mechanism", "takes", "turns"),
    [
        ("PLAIN", "password", [(b"AUTH PLAIN " + b64("\0u\0s3cret"), YES)]),
        ("LOGIN", "password", [(b"AUTH LOGIN " + b64("u"), b"334 UGFzc3dvcmQ6\r\n"), (b64("s3cret"), YES)]),
        ("XOAUTH2", "token", [(b"AUTH XOAUTH2 " + b64(BEARER), YES)]),
        ("OAUTHBEARER", "token", [(b"AUTH OAUTHBEARER " + b64(OAUTHBEARER), YES)]),
        ("EXTERNAL", "password", [(b"AUTH EXTERNAL =\r\n", YES)]),
    ],
)
def test_a_mechanism_as_it_is_written(mechanism: str, takes: str, turns: list[Turn]) -> None:
    """Each mechanism's own words, with an initial response where it fits (RFC 4954 section 4)."""
    options: Any = {"password": "s3cret"} if takes == "password" else {"token_provider": lambda: "t0kens"}
    smtp = logged_in(account(auth=[mechanism], **options), mechanism, *turns, tokens=["t0kens"])

    assert smtp.authenticated
    assert smtp.reusable


def test_cram_md5_waits_for_the_challenge() -> None:
    """RFC 2195's own example; the server speaks first (SERVERS.md A3)."""
    server = Server("localhost", security=Security.NONE, username="tim", password="tanstaaftanstaaf")
    challenge = b64("<1896.697170952@postoffice.reston.mci.net>")

    smtp = logged_in(
        server,
        "CRAM-MD5",
        (b"AUTH CRAM-MD5\r\n", b"334 " + challenge),
        (b64("tim b913a602c7eda7a495b4e6e7334d3890"), YES),
    )
    assert smtp.authenticated


def test_nothing_to_log_in_with_says_nothing() -> None:
    """Without credentials no AUTH, offered or not."""
    smtp = ready("AUTH PLAIN")
    talk(login(smtp, Server("localhost", security=Security.NONE)), smtp)

    assert not smtp.authenticated


def test_a_callers_own_mechanism() -> None:
    """Any generator that yields what the client says is a mechanism."""

    def parrot(credentials: Credentials) -> Dialogue:
        challenge = yield None
        yield challenge + credentials.secret.reveal()

    server = account(password="s3cret", auth=[Mechanism("X-PARROT", parrot)])
    logged_in(server, "PLAIN X-PARROT", (b"AUTH X-PARROT\r\n", b"334 " + b64("polly")), (b64("pollys3cret"), YES))


# Which mechanism.


def test_credentials_never_travel_in_clear() -> None:
    """A plain connection to another machine: an error, and no AUTH is said (WIRE.md S4)."""
    smtp = ready("AUTH PLAIN")
    server = Server("mail.example.com", username="u", password="s3cret")

    with pytest.raises(SMTPSecurityError, match="in clear"):
        talk(login(smtp, server), smtp)


def test_tls_shelters_credentials() -> None:
    """Over TLS they go to any machine."""
    smtp = ready("AUTH PLAIN")
    smtp.tls_established()
    talk(login(smtp, Server("mail.example.com", username="u", password="p")), smtp, (b"AUTH PLAIN AHUAcA==\r\n", YES))

    assert smtp.authenticated


@pytest.mark.parametrize("offered", ["PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256", ""])
def test_a_token_never_meets_a_password_mechanism(offered: str) -> None:
    """An account with a token, a server without OAuth: an error that names both sides (WIRE.md S17)."""
    with pytest.raises(SMTPNotSupportedError, match="takes a token"):
        logged_in(account(token_provider=lambda: "t0kens"), offered, tokens=["t0kens"])


def test_a_password_never_meets_a_token_mechanism() -> None:
    """The reverse: a password is no token."""
    with pytest.raises(SMTPNotSupportedError, match=r"offers XOAUTH2, .* any that takes a password"):
        logged_in(account(password="s3cret"), "XOAUTH2")


def test_the_configuration_names_the_mechanisms() -> None:
    """What `auth` leaves out is not tried, though it is offered."""
    with pytest.raises(SMTPNotSupportedError, match="the configuration allows CRAM-MD5"):
        logged_in(account(password="s3cret", auth=["CRAM-MD5"]), "PLAIN LOGIN")


def test_a_user_name_alone_needs_external() -> None:
    """A user name without a password or token logs in by nothing else that the server offers."""
    with pytest.raises(SMTPNotSupportedError, match="the configuration allows EXTERNAL"):
        logged_in(account(auth=["EXTERNAL"]), "PLAIN")


# Refusals.


def test_a_535_stops() -> None:
    """Refused credentials are shown to no second mechanism."""
    with pytest.raises(SMTPAuthenticationError) as caught:
        logged_in(account(password="s3cret"), "PLAIN LOGIN", (b"AUTH PLAIN " + b64("\0u\0s3cret"), WRONG))
    assert (caught.value.smtp_code, caught.value.temporary, caught.value.phase) == (535, False, Phase.AUTH)
    assert "user name (u)" in str(caught.value)


def test_a_504_goes_on_to_the_next_mechanism() -> None:
    """RFC 4954 section 4: 504 is about the mechanism."""
    smtp = logged_in(
        account(password="s3cret"),
        "PLAIN LOGIN",
        (b"AUTH PLAIN " + b64("\0u\0s3cret"), b"504 not that\r\n"),
        (b"AUTH LOGIN " + b64("u"), ASK),
        (b64("s3cret"), YES),
    )
    assert smtp.authenticated


def test_a_504_to_the_last_mechanism_is_a_refusal() -> None:
    """Where none is left, the error says so."""
    with pytest.raises(SMTPAuthenticationError):
        logged_in(account(password="s3cret"), "PLAIN", (b"AUTH PLAIN " + b64("\0u\0s3cret"), b"504 no\r\n"))


def test_a_temporary_refusal_says_so() -> None:
    """454: the credentials were not judged."""
    with pytest.raises(SMTPAuthenticationError, match="try again later") as caught:
        logged_in(account(password="s3cret"), "PLAIN", (b"AUTH PLAIN " + b64("\0u\0s3cret"), b"454 not now\r\n"))
    assert caught.value.temporary


# Tokens.


def token_turns(*answers: bytes) -> list[Turn]:
    """AUTH XOAUTH2 with the tokens t1, t2, and what is answered."""
    tokens = [f"user=u\1auth=Bearer t{number}\1\1" for number in (1, 2)]
    return [(b"AUTH XOAUTH2 " + b64(token), answer) for token, answer in zip(tokens, answers, strict=False)]


TOKEN = account(token_provider=lambda: "unused", auth=["XOAUTH2", "OAUTHBEARER"])


def test_a_refused_token_is_refreshed_once() -> None:
    """A token may have expired: the provider is asked again, and the second one logs in."""
    smtp = ready("AUTH XOAUTH2")
    server = dialogue.Server(smtp, token_turns(WRONG, YES), tokens=["t1", "t2"])
    drive(login(smtp, TOKEN), server.serve)

    assert [need for need in server.needs if need is not Need.DATA] == [Need.TOKEN, Need.FRESH_TOKEN]
    assert smtp.authenticated


@pytest.mark.parametrize("second", [WRONG, b"504 not that\r\n"])
def test_a_token_is_not_refreshed_twice(second: bytes) -> None:
    """The second refusal is final, and says what to look at."""
    with pytest.raises(SMTPAuthenticationError, match="refused twice"):
        logged_in(TOKEN, "XOAUTH2 OAUTHBEARER", *token_turns(WRONG, second), tokens=["t1", "t2"])


def test_a_token_is_not_refreshed_for_a_server_in_trouble() -> None:
    """A 454 is not the token's fault."""
    with pytest.raises(SMTPAuthenticationError, match="try again later"):
        logged_in(TOKEN, "XOAUTH2", *token_turns(b"454 not now\r\n"), tokens=["t1"])


def test_a_provider_that_cannot_refresh() -> None:
    """Its failure is the error, and the refusal that made the client ask again stays in it."""
    smtp = ready("AUTH XOAUTH2")
    server = dialogue.Server(smtp, token_turns(WRONG), tokens=["t1"])

    def serve(need: Need) -> Any:
        if need is Need.FRESH_TOKEN:
            raise token_failure(KeyError("x"))
        return server.serve(need)

    with pytest.raises(SMTPException, match=r"failed: KeyError, asked again after 535 5\.7\.8 wrong"):
        drive(login(smtp, TOKEN), serve)


def test_a_504_keeps_the_token() -> None:
    """The next mechanism gets the same one; it was not refused."""
    smtp = logged_in(
        TOKEN,
        "XOAUTH2 OAUTHBEARER",
        *token_turns(b"504 not that\r\n"),
        (b"AUTH OAUTHBEARER " + b64(T1_BEARER), YES),
        tokens=["t1"],
    )
    assert smtp.authenticated


def test_a_hang_up_behind_a_504_is_no_refusal() -> None:
    """That said nothing of the token; a later connection may live longer."""
    turns: list[Turn] = [*token_turns(b"504 not that\r\n"), (b"AUTH OAUTHBEARER " + b64(T1_BEARER), CLOSED)]
    with pytest.raises(SMTPServerDisconnected):
        logged_in(TOKEN, "XOAUTH2 OAUTHBEARER", *turns, tokens=["t1"])


@pytest.mark.parametrize(
    ("mechanism", "initial", "answer"),
    [("XOAUTH2", BEARER, b"\r\n"), ("OAUTHBEARER", OAUTHBEARER, b"AQ==\r\n")],
)
def test_an_oauth_error_is_acknowledged(mechanism: str, initial: str, answer: bytes) -> None:
    """A refusal comes as a 334 with JSON, which wants an answer before the 535 (SERVERS.md A1)."""
    attempt: list[Turn] = [
        (f"AUTH {mechanism} ".encode() + b64(initial), b"334 " + b64('{"status":"401"}')),
        (answer, WRONG),
    ]
    server = account(token_provider=lambda: "unused", auth=[mechanism])

    with pytest.raises(SMTPAuthenticationError):
        logged_in(server, mechanism, *attempt, *attempt, tokens=["t0kens", "t0kens"])


# The exchange.


def test_a_long_initial_response_waits_for_the_334() -> None:
    """An AUTH line holds 512 octets (SERVERS.md A6): a long token goes behind the 334."""
    token = "t" * 600
    server = account(token_provider=lambda: "unused", auth=["XOAUTH2"])

    smtp = logged_in(
        server,
        "XOAUTH2",
        (b"AUTH XOAUTH2\r\n", ASK),
        (b64(f"user=u\1auth=Bearer {token}\1\1"), YES),
        tokens=[token],
    )
    assert smtp.authenticated


@pytest.mark.parametrize("prompt", [b"334 User Name\0\r\n", b"334\r\n", b"334  VXNlcjo=\r\n", b"334 %%%\r\n"])
def test_prompts_mean_nothing(prompt: bytes) -> None:
    """LOGIN's prompts differ everywhere and are not even base64 everywhere (SERVERS.md A2, A3)."""
    smtp = logged_in(account(password="s3cret"), "LOGIN", (b"AUTH LOGIN " + b64("u"), prompt), (b64("s3cret"), YES))

    assert smtp.authenticated


def test_a_question_too_many_is_cancelled() -> None:
    """A mechanism that has nothing more to say gives up by "*" (RFC 4954 section 4)."""
    with pytest.raises(SMTPAuthenticationError) as caught:
        logged_in(
            account(password="s3cret"),
            "PLAIN",
            (b"AUTH PLAIN " + b64("\0u\0s3cret"), ASK),
            (b"*\r\n", b"501 cancelled\r\n"),
        )
    assert caught.value.smtp_code == 501


def test_a_server_that_goes_on_asking_is_left() -> None:
    """A bounded number of challenges is answered."""
    turns: list[Turn] = [(b"AUTH PLAIN " + b64("\0u\0s3cret"), ASK), *[(b"*\r\n", ASK)] * (CHALLENGES - 1), (b"*\r\n",)]

    with pytest.raises(SMTPSecurityError, match=f"more than {CHALLENGES}"):
        logged_in(account(password="s3cret"), "PLAIN", *turns)


@pytest.mark.parametrize("answer", [b"250 ok\r\n", b"235 ok\r\n"])
def test_any_positive_reply_is_success(answer: bytes) -> None:
    """The class of a reply is its first digit (SERVERS.md R2)."""
    assert logged_in(account(password="s3cret"), "PLAIN", (b"AUTH PLAIN " + b64("\0u\0s3cret"), answer)).authenticated


def test_a_354_is_no_challenge_to_go_wrong_by() -> None:
    """Another intermediate reply is answered like a 334: it may not end the exchange as a success."""
    with pytest.raises(SMTPAuthenticationError):
        logged_in(
            account(password="s3cret"),
            "PLAIN",
            (b"AUTH PLAIN " + b64("\0u\0s3cret"), b"354 go\r\n"),
            (b"*\r\n", b"501 cancelled\r\n"),
        )


@pytest.mark.parametrize("end", [b"421 bye\r\n", CLOSED, b"hello\r\n"])
def test_an_end_in_the_middle_is_told_with_its_phase(end: Any) -> None:
    """A lost connection during AUTH is no refusal of the credentials."""
    with pytest.raises((SMTPServerDisconnected, SMTPProtocolError, SMTPAuthenticationError)) as caught:
        logged_in(account(password="s3cret"), "LOGIN", (b"AUTH LOGIN " + b64("u"), end))
    assert isinstance(caught.value, SMTPAuthenticationError) == (end == b"421 bye\r\n")
    assert not isinstance(caught.value, SMTPConnectError)


def test_a_mechanism_that_fails_says_neither_words_nor_secret() -> None:
    """What a caller's own mechanism raises becomes an error of ours with nothing but its name."""

    def broken(credentials: Credentials) -> Dialogue:
        raise KeyError(credentials.secret.reveal())
        yield b""

    with pytest.raises(SMTPSecurityError, match="the AUTH exchange failed: KeyError") as caught:
        logged_in(account(password="s3cret", auth=[Mechanism("X", broken)]), "X")
    assert "s3cret" not in str(caught.value)


def test_a_mechanism_without_words() -> None:
    """A dialogue that ends at once says AUTH and nothing else."""

    def silent(credentials: Credentials) -> Dialogue:
        yield from ()

    assert logged_in(account(auth=[Mechanism("X", silent, takes="nothing")]), "X", (b"AUTH X\r\n", YES)).authenticated


def test_a_callers_own_mechanism_may_ask_for_a_proof() -> None:
    """`mutual`: a success before its dialogue ended is none."""

    def suspicious(credentials: Credentials) -> Dialogue:
        yield credentials.secret.reveal()
        yield b"and you?"

    server = account(password="s3cret", auth=[Mechanism("X", suspicious, mutual=True)])
    with pytest.raises(SMTPSecurityError, match="did not prove"):
        logged_in(server, "X", (b"AUTH X " + b64("s3cret"), YES))


@pytest.mark.parametrize("end", [CLOSED, b"421 bye\r\n"])
def test_a_hang_up_behind_a_refusal_is_that_refusal(end: Any) -> None:
    """Some servers close after a 535: what is raised says why, not that nobody is there any more."""
    *first, (second, _) = token_turns(WRONG, YES)

    with pytest.raises(SMTPAuthenticationError) as caught:
        logged_in(TOKEN, "XOAUTH2", *first, (second, end), tokens=["t1", "t2"])

    assert caught.value.smtp_code in {535, 421}
    assert not isinstance(caught.value, SMTPServerDisconnected)
