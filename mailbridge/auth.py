"""SASL: what proves who the client is. A mechanism is a tiny generator; a secret is opaque."""

from __future__ import annotations

import binascii
import hmac
import re
from base64 import b64decode
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, NoReturn

from .errors import SMTPInputError, SMTPSecurityError
from .replies import Reply

# Above this a server would only burn the client's CPU; OWASP asks for 600,000 rounds in 2023.
SCRAM_ROUNDS = 1_000_000


class Secret:
    """A password or a token. It shows itself to nobody who does not ask for it by `reveal()`."""

    __slots__ = ("_octets",)

    def __init__(self, value: str | bytes) -> None:
        # RFC 4616 section 2: credentials go out in UTF-8. The environment's in another encoding come as escapes.
        try:
            self._octets = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)
        except UnicodeEncodeError:
            raise SMTPInputError("a secret holds a character that UTF-8 does not have") from None
        finally:
            del value

    def reveal(self) -> bytes:
        """The secret itself. Keep it in no variable that a traceback could show."""
        return self._octets

    def __bool__(self) -> bool:
        return bool(self._octets)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._octets, other._octets)

    def __hash__(self) -> int:
        return hash(self._octets)

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is never pickled: give each process its own")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a mechanism may use.

    Attributes:
        username: Who logs in; empty where the connection itself proves it (EXTERNAL).
        secret: The password or the token.
        authzid: On whose behalf, where that is somebody else.
        host: The server's name, for OAUTHBEARER.
        port: The server's port, for OAUTHBEARER.
    """

    username: str = ""
    secret: Secret = field(default_factory=lambda: Secret(b""))
    authzid: str = ""
    host: str = ""
    port: int = 0

    def __post_init__(self) -> None:
        # RFC 4616 section 2: NUL separates the fields; XOAUTH2 does the same with SOH.
        if re.search(r"[\x00-\x1f\x7f]", self.username + self.authzid):
            raise SMTPInputError("a user name must not hold control characters")


# A dialogue yields what the client says and gets what the server asks. Where the server
# speaks first, it begins by yielding None.
Dialogue = Generator[bytes | None, bytes, None]
TokenProvider = Callable[..., Any]


def _anywhere() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A SASL mechanism, ours or a caller's own.

    Attributes:
        name: As it stands in the server's AUTH line.
        dialogue: Begins the exchange; see `Dialogue`.
        takes: "password", "token", or "nothing" where the connection itself proves it.
        runs: Whether it can run here; one that cannot is passed over.
        mutual: The server proves itself too: a success before its dialogue ended is none.
    """

    name: str
    dialogue: Callable[[Credentials], Dialogue]
    takes: str = "password"
    runs: Callable[[], bool] = _anywhere
    mutual: bool = False


def plain(credentials: Credentials) -> Dialogue:
    """RFC 4616."""
    identity = f"{credentials.authzid}\0{credentials.username}\0".encode()
    yield identity + credentials.secret.reveal()


def login(credentials: Credentials) -> Dialogue:
    """LOGIN, as draft-murchison-sasl-login describes it. The prompts differ everywhere: never match them."""
    yield credentials.username.encode()
    yield credentials.secret.reveal()


def _md5_allowed() -> bool:
    """An OpenSSL in FIPS mode has no MD5."""
    try:
        hmac.new(b"", b"", "md5")
    except ValueError:
        return False
    return True


def cram_md5(credentials: Credentials) -> Dialogue:
    """RFC 2195. The server speaks first; an initial response is refused by four servers (SERVERS.md A3)."""
    challenge = yield None
    digest = hmac.new(credentials.secret.reveal(), challenge, "md5").hexdigest()
    yield f"{credentials.username} {digest}".encode()


def scram_sha_256(credentials: Credentials) -> Dialogue:
    """RFC 7677 and 5802, by `scramp`. The server proves that it knows the password too."""
    from scramp import ScramClient  # noqa: PLC0415 - an extra: most installations do without it

    client = ScramClient(["SCRAM-SHA-256"], credentials.username, credentials.secret.reveal().decode())
    server_first = yield client.get_client_first().encode()
    rounds = re.search(rb",i=(\d{1,9})(?:,|$)", server_first)
    if not rounds or int(rounds[1]) > SCRAM_ROUNDS:
        raise SMTPSecurityError(f"the server asks for more than {SCRAM_ROUNDS} rounds of SCRAM, or for none")
    client.set_server_first(server_first.decode())
    server_final = yield client.get_client_final().encode()
    client.set_server_final(server_final.decode())
    # SERVERS.md A1: the server's proof came in a 334, which wants an empty line.
    yield b""


def xoauth2(credentials: Credentials) -> Dialogue:
    """Google's and Microsoft's XOAUTH2. A refusal comes as a 334 with JSON, answered by an empty line."""
    head = f"user={credentials.username}\1auth=Bearer ".encode()
    yield head + credentials.secret.reveal() + b"\1\1"
    yield b""


def oauthbearer(credentials: Credentials) -> Dialogue:
    """RFC 7628. A refusal comes as a 334 with JSON, answered by a lone SOH (section 3.2.3)."""
    # RFC 5801 section 4: "," and "=" of an authzid are escaped in the GS2 header.
    name = credentials.username.replace("=", "=3D").replace(",", "=2C")
    head = f"n,a={name},\1host={credentials.host}\1port={credentials.port}\1auth=Bearer ".encode()
    yield head + credentials.secret.reveal() + b"\1\1"
    yield b"\1"


def external(credentials: Credentials) -> Dialogue:
    """RFC 4422 appendix A: the client certificate says who it is."""
    yield credentials.authzid.encode()


# Strongest first: the order in which they are tried where the caller names none.
MECHANISMS = {
    mechanism.name: mechanism
    for mechanism in (
        Mechanism("SCRAM-SHA-256", scram_sha_256, runs=lambda: find_spec("scramp") is not None, mutual=True),
        Mechanism("CRAM-MD5", cram_md5, runs=_md5_allowed),
        Mechanism("PLAIN", plain),
        Mechanism("LOGIN", login),
        Mechanism("OAUTHBEARER", oauthbearer, takes="token"),
        Mechanism("XOAUTH2", xoauth2, takes="token"),
        Mechanism("EXTERNAL", external, takes="nothing"),
    )
}


def known(names: Sequence[str | Mechanism]) -> tuple[Mechanism, ...]:
    """Look mechanisms up by name; a caller's own pass through.

    Raises:
        SMTPInputError: A name that nobody here knows.
    """
    found = []
    for name in names:
        mechanism = name if isinstance(name, Mechanism) else MECHANISMS.get(str(name).upper())
        if mechanism is None:
            raise SMTPInputError(f"unknown AUTH mechanism {name!r}; known are {', '.join(MECHANISMS)}")
        found.append(mechanism)
    return tuple(found)


def candidates(takes: str, wanted: Sequence[Mechanism], offered: Sequence[str]) -> list[Mechanism]:
    """The mechanisms to try, in order: wanted (or all), offered, and fit for what the account has.

    An account with a token never uses a password mechanism (WIRE.md S17), and the reverse.
    """
    order = wanted or [mechanism for mechanism in MECHANISMS.values() if mechanism.takes != "nothing"]
    return [m for m in order if m.takes in {takes, "nothing"} and m.name.upper() in offered and m.runs()]


def repeats(words: bytes, said: bytes) -> bool:
    """Whether a server's words hold what was said in secret: in base64, plain, or the secret in it.

    Args:
        words: What the server answered.
        said: An initial response, or an answer to a 334, in base64.
    """
    try:
        plain = b64decode(said, validate=True)
    except binascii.Error:
        plain = b""
    # RFC 4616 section 2: NUL stands before the password; XOAUTH2 and OAUTHBEARER separate by SOH.
    parts = [part.removeprefix(b"auth=Bearer ") for part in re.split(rb"[\x00\x01]", plain) if part]
    return any(len(one) > 1 and one in words for one in (said, plain, *parts[-1:]))


def hushed(reply: Reply, said: bytes) -> Reply:
    """The reply as it is, or its code alone where its words repeat a secret."""
    return Reply(reply.code, ("[hidden: it repeats a secret]",)) if repeats(reply.raw, said) else reply
