"""Foreign errors become ours at the border, and keep what they knew."""

import pickle
import ssl

import pytest

from mailbridge.errors import SMTPSecurityError
from mailbridge.facts import Phase
from mailbridge.server import Server
from mailbridge.translation import token_failure, translated
from tests.core.given import SECRET, assert_hides_the_secret


def expired() -> ssl.SSLCertVerificationError:
    """As the ssl module makes it."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.reason, error.library = "CERTIFICATE_VERIFY_FAILED", "SSL"
    error.verify_code, error.verify_message = 10, "certificate has expired"
    return error


def test_a_certificate_error_keeps_its_facts() -> None:
    """Who caught the standard library's error reads the same from ours, in another process too."""
    made = translated(expired(), Phase.TLS, Server("h"))

    for error in (made, pickle.loads(pickle.dumps(made))):
        assert isinstance(error, ssl.SSLCertVerificationError)
        assert isinstance(error, SMTPSecurityError)
        assert (error.verify_code, error.verify_message) == (10, "certificate has expired")
        assert (error.reason, error.library, error.errno) == ("CERTIFICATE_VERIFY_FAILED", "SSL", 1)


def test_a_failed_handshake_keeps_its_facts() -> None:
    """Of any error of TLS; what it does not know, ours does not know either."""
    error = ssl.SSLError(1, "no protocols available")
    error.reason, error.library = "NO_PROTOCOLS_AVAILABLE", "SSL"
    made = translated(error, Phase.TLS, Server("h"))

    assert isinstance(made, ssl.SSLError)
    assert (made.reason, made.library) == ("NO_PROTOCOLS_AVAILABLE", "SSL")
    assert not hasattr(made, "verify_code")


@pytest.mark.parametrize(
    ("error", "temporary"),
    [(TimeoutError(), True), (ConnectionResetError(), True), (TypeError(), False), (KeyError("x"), False)],
)
def test_a_token_may_come_later(error: Exception, temporary: bool) -> None:
    """Where whoever gives it could not be reached."""
    made = token_failure(error)

    assert (made.temporary, pickle.loads(pickle.dumps(made)).temporary) == (temporary, temporary)
    assert f"the token provider failed: {type(error).__name__}" in str(made)


def test_what_is_no_token_is_named() -> None:
    """By the type of what came, in our own words."""
    made = token_failure(TypeError("a token is str, bytes or Secret; the provider gave nothing"))

    assert "the provider gave nothing" in str(made)


@pytest.mark.parametrize("kind", [TypeError, ValueError])
def test_s16_the_words_of_a_provider_are_not_repeated(kind: type[Exception]) -> None:
    """They may hold the token."""
    assert_hides_the_secret(token_failure(kind(f"cannot use {SECRET}")))
