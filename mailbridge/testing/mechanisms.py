"""The server's side of the SASL mechanisms, as generators.

Each one yields a challenge, receives the client's response and returns who has
logged in, or None. The first thing it yields is the challenge for a client that
sent no initial response. Malformed responses raise ValueError or KeyError.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Generator, Mapping

Accounts = Mapping[str, str]
Exchange = Generator[bytes, bytes, str | None]

ITERATIONS = 4096  # RFC 7677 section 4: at least this many


def _check(accounts: Accounts, user: str, secret: str) -> str | None:
    return user if accounts.get(user) == secret else None


def _plain(accounts: Accounts) -> Exchange:
    # RFC 4616 section 2: [authzid] NUL authcid NUL passwd
    parts = (yield b"").decode().split("\0")
    if len(parts) != 3 or parts[0] not in ("", parts[1]):
        return None
    return _check(accounts, parts[1], parts[2])


def _login(accounts: Accounts) -> Exchange:
    user = (yield b"Username:").decode()
    secret = (yield b"Password:").decode()
    return _check(accounts, user, secret)


def _cram_md5(accounts: Accounts) -> Exchange:
    challenge = f"<{secrets.token_hex(8)}@scripted.test>".encode()
    user, _, digest = (yield challenge).decode().rpartition(" ")
    expected = hmac.new(accounts.get(user, "").encode(), challenge, "md5").hexdigest()
    return user if user in accounts and hmac.compare_digest(digest, expected) else None


def _scram_sha_256(accounts: Accounts) -> Exchange:
    # RFC 5802 section 7; the names are those of section 3.
    header, _, bare = (yield b"").decode().partition(",,")
    if header not in ("n", "y"):
        return None
    fields = _fields(bare)
    user = fields["n"].replace("=2C", ",").replace("=3D", "=")
    nonce = fields["r"] + secrets.token_urlsafe(18)
    salt = secrets.token_bytes(16)
    server_first = f"r={nonce},s={base64.b64encode(salt).decode()},i={ITERATIONS}"
    final = (yield server_first.encode()).decode()
    without_proof, _, proof = final.rpartition(",p=")
    bound = base64.b64encode(f"{header},,".encode()).decode()
    if without_proof != f"c={bound},r={nonce}" or user not in accounts:
        return None
    salted = hashlib.pbkdf2_hmac("sha256", accounts[user].encode(), salt, ITERATIONS)
    message = f"{bare},{server_first},{without_proof}".encode()
    if not _proves(salted, message, base64.b64decode(proof)):
        return None
    # RFC 4954 section 4: 235 carries no data, so the server's signature is one challenge more.
    signature = _hmac(_hmac(salted, b"Server Key"), message)
    yield b"v=" + base64.b64encode(signature)
    return user


def _fields(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.split(","))


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _proves(salted: bytes, message: bytes, proof: bytes) -> bool:
    stored = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    signature = _hmac(stored, message)
    key = bytes(a ^ b for a, b in zip(signature, proof, strict=True))
    return hmac.compare_digest(hashlib.sha256(key).digest(), stored)


def _token(accounts: Accounts, user: str, credentials: list[str]) -> Exchange:
    token = next((c[len("auth=Bearer ") :] for c in credentials if c.startswith("auth=Bearer ")), "")
    if _check(accounts, user, token):
        return user
    # RFC 7628 section 3.2.2: the error comes as a challenge, the client answers, then comes the 535.
    yield json.dumps({"status": "401", "schemes": "bearer", "scope": "mail"}).encode()
    return None


def _xoauth2(accounts: Accounts) -> Exchange:
    # "user=" user ^A "auth=Bearer " token ^A ^A
    parts = (yield b"").decode().split("\x01")
    return (yield from _token(accounts, parts[0].removeprefix("user="), parts[1:]))


def _oauthbearer(accounts: Accounts) -> Exchange:
    # RFC 7628 section 3.1: "n,a=" user "," ^A "auth=Bearer " token ^A ^A
    header, *parts = (yield b"").decode().split("\x01")
    user = header.removeprefix("n,a=").removesuffix(",")
    return (yield from _token(accounts, user, parts))


def _external(accounts: Accounts) -> Exchange:
    # RFC 4422 appendix A: the response is the identity, empty for the one that TLS proved.
    user = (yield b"").decode()
    return user if not user or user in accounts else None


MECHANISMS: Mapping[str, Callable[[Accounts], Exchange]] = {
    "PLAIN": _plain,
    "LOGIN": _login,
    "CRAM-MD5": _cram_md5,
    "SCRAM-SHA-256": _scram_sha_256,
    "XOAUTH2": _xoauth2,
    "OAUTHBEARER": _oauthbearer,
    "EXTERNAL": _external,
}

# RFC 4954 section 4: where the server speaks first, an initial response is an error.
SERVER_FIRST = frozenset({"CRAM-MD5"})
