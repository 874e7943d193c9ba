"""SASL mechanisms, and secrets that stay secret."""

import copy
import pickle
from collections.abc import Callable

import pytest

from mailbridge import auth
from mailbridge.auth import MECHANISMS, Credentials, Mechanism, Secret, candidates, known
from mailbridge.errors import SMTPInputError, SMTPSecurityError
from tests.core.given import SECRET, assert_hides_the_secret, raised

JOE = Credentials("joe", Secret("pässword"), host="mail.example.com", port=587)


def dialogue(name: str, credentials: Credentials, *challenges: bytes) -> list[bytes | None]:
    """What the client says, with these challenges between."""
    exchange = MECHANISMS[name].dialogue(credentials)
    return [next(exchange), *(exchange.send(challenge) for challenge in challenges)]


@pytest.mark.parametrize(
    ("name", "credentials", "challenges", "said"),
    [
        ("PLAIN", JOE, [], ["\0joe\0pässword".encode()]),
        ("PLAIN", Credentials("joe", Secret("x"), "ann"), [], [b"ann\0joe\0x"]),
        ("LOGIN", JOE, [b"anything"], [b"joe", "pässword".encode()]),
        # RFC 2195 section 2.
        (
            "CRAM-MD5",
            Credentials("tim", Secret("tanstaaftanstaaf")),
            [b"<1896.697170952@postoffice.reston.mci.net>"],
            [None, b"tim b913a602c7eda7a495b4e6e7334d3890"],
        ),
        ("XOAUTH2", JOE, [b"{}"], ["user=joe\1auth=Bearer pässword\1\1".encode(), b""]),
        (
            "OAUTHBEARER",
            Credentials("j=o,e", Secret("t"), host="h", port=25),
            [b"{}"],
            [b"n,a=j=3Do=2Ce,\1host=h\1port=25\1auth=Bearer t\1\1", b"\1"],
        ),
        ("EXTERNAL", Credentials(authzid="ann"), [], [b"ann"]),
        ("EXTERNAL", Credentials(), [], [b""]),
    ],
)
def test_what_a_mechanism_says(
    name: str, credentials: Credentials, challenges: list[bytes], said: list[bytes | None]
) -> None:
    """Octet for octet as its document has it; what is not ASCII goes out in UTF-8."""
    assert dialogue(name, credentials, *challenges) == said


def scram(monkeypatch: pytest.MonkeyPatch):
    """The client of RFC 7677 section 3, its nonce fixed."""
    import scramp.core

    monkeypatch.setattr(scramp.core.Nonce, "create", lambda: scramp.core.Nonce("rOprNGfwEbeRWgbNEkqO"))
    exchange = auth.scram_sha_256(Credentials("user", Secret("pencil")))
    assert next(exchange) == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    return exchange


FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=%d"
FINAL = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
PROOF = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def rounds(number: int) -> bytes:
    return FIRST.replace(b"%d", b"%d" % number)


def test_scram_by_the_book(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dialogue of RFC 7677 section 3, and the empty line that SERVERS.md A1 asks for."""
    exchange = scram(monkeypatch)

    assert exchange.send(rounds(4096)) == FINAL
    assert exchange.send(PROOF) == b""
    assert MECHANISMS["SCRAM-SHA-256"].mutual


@pytest.mark.parametrize("first", [rounds(10**6 + 1), rounds(10**9), rounds(1).replace(b",i=1", b""), b""])
def test_scram_does_not_burn_the_cpu(first: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that asks for too many rounds is not followed."""
    assert "rounds of SCRAM" in str(raised(SMTPSecurityError, lambda: scram(monkeypatch).send(first)))


@pytest.mark.parametrize("proof", [PROOF.replace(b"6rri", b"6rrI"), b"e=other-error", b""])
def test_scram_asks_the_server_for_its_proof(proof: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not know the password does not get past it."""
    exchange = scram(monkeypatch)
    exchange.send(rounds(4096))

    with pytest.raises(Exception, match=r".") as caught:
        exchange.send(proof)
    assert not isinstance(caught.value, StopIteration)


@pytest.mark.parametrize("text", ["a\0b", "a\1", "\x7f", "a\r\n"])
@pytest.mark.parametrize("make", [Credentials, lambda text: Credentials(authzid=text)])
def test_a_user_name_has_no_control_characters(text: str, make: Callable[[str], object]) -> None:
    """They separate the fields of PLAIN and XOAUTH2."""
    raised(SMTPInputError, lambda: make(text))


def own(name: str, takes: str = "password", *, runs: bool = True) -> Mechanism:
    return Mechanism(name, auth.plain, takes, runs=lambda: runs)


def test_mechanisms_are_known_by_name() -> None:
    """In any case; a caller's own pass through."""
    mine = own("MINE")

    assert known(["plain", mine, "XOAUTH2"]) == (MECHANISMS["PLAIN"], mine, MECHANISMS["XOAUTH2"])


@pytest.mark.parametrize("name", ["DIGEST-MD5", "", None, b"PLAIN"])
def test_an_unknown_mechanism_is_named(name: object) -> None:
    """With those that are known."""
    error = raised(SMTPInputError, lambda: known([name]))

    assert f"unknown AUTH mechanism {name!r}; known are SCRAM-SHA-256, CRAM-MD5, PLAIN," in str(error)


ALL = [*MECHANISMS]


@pytest.mark.parametrize(
    ("takes", "wanted", "offered", "names"),
    [
        ("password", [], ["LOGIN", "PLAIN", "CRAM-MD5"], ["CRAM-MD5", "PLAIN", "LOGIN"]),
        ("password", [MECHANISMS["LOGIN"], MECHANISMS["PLAIN"]], ALL, ["LOGIN", "PLAIN"]),
        ("password", [], [], []),
        ("token", [], ALL, ["OAUTHBEARER", "XOAUTH2"]),
        ("token", [], ["PLAIN", "LOGIN"], []),
        ("token", [MECHANISMS["PLAIN"]], ["PLAIN"], []),
        ("nothing", [], ALL, []),
        ("nothing", [MECHANISMS["EXTERNAL"]], ALL, ["EXTERNAL"]),
        ("password", [MECHANISMS["EXTERNAL"], MECHANISMS["PLAIN"]], ALL, ["EXTERNAL", "PLAIN"]),
        (
            "password",
            [own("mine"), own("NONE", runs=False)],
            ["MINE", "NONE"],
            ["mine"],
        ),
    ],
)
def test_s17_which_mechanisms_are_tried(
    takes: str, wanted: list[Mechanism], offered: list[str], names: list[str]
) -> None:
    """Strongest or wanted first, offered, installed, and a token is never given to a password mechanism."""
    assert [mechanism.name for mechanism in candidates(takes, wanted, offered)] == names


def test_cram_md5_is_passed_over_where_there_is_no_md5(monkeypatch: pytest.MonkeyPatch) -> None:
    """An OpenSSL in FIPS mode refuses MD5; the next mechanism is tried instead."""

    def refuse(*_: object) -> None:
        raise ValueError("unsupported hash type md5")

    monkeypatch.setattr("mailbridge.auth.hmac.new", refuse)

    assert [m.name for m in candidates("password", (), ("CRAM-MD5", "PLAIN"))] == ["PLAIN"]


def test_a_secret_reveals_itself_only_on_demand() -> None:
    """A string in UTF-8, octets as they are; equal to the same secret only."""
    assert Secret("ö").reveal() == "ö".encode() == Secret("ö".encode()).reveal()
    assert Secret("caf\udce9").reveal() == b"caf\xe9"
    assert Secret("a") == Secret(b"a") != Secret("b")
    assert Secret("a") != "a"
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a")
    assert not Secret("")


@pytest.mark.parametrize("show", [repr, str, "{}".format, lambda secret: repr(Credentials("joe", secret))])
def test_s16_a_secret_does_not_show(show: Callable[[Secret], str]) -> None:
    """However it is printed, alone or in a value that holds it."""
    assert "Secret(...)" in show(Secret(SECRET))
    assert SECRET not in show(Secret(SECRET))


@pytest.mark.parametrize(
    "write", [pickle.dumps, copy.deepcopy, lambda secret: pickle.dumps(Credentials("joe", secret))]
)
def test_s16_a_secret_is_never_pickled(write: Callable[[Secret], object]) -> None:
    """Another process gets its own; the error shows nothing either."""
    assert_hides_the_secret(raised(TypeError, lambda: write(Secret(SECRET))))


def test_s16_a_secret_that_cannot_be_encoded_does_not_show() -> None:
    """Neither in the error, which Python's own would hold whole, nor in a traceback."""
    assert_hides_the_secret(raised(SMTPInputError, lambda: Secret(SECRET + "\ud800")))
