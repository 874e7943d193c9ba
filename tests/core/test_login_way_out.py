"""Where nobody can log in, the error says the way out, if there is one."""

from typing import Any

import pytest

from mailbridge.conversations import login
from mailbridge.errors import SMTPNotSupportedError
from mailbridge.server import Security, Server
from tests.core.dialogue import ready, talk


def account(**options: Any) -> Server:
    """A server on this machine, so that credentials may go in clear."""
    return Server("localhost", security=Security.NONE, username="u", **options)


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the package that SCRAM needs."""
    monkeypatch.setattr("mailbridge.auth.find_spec", lambda _: None)


def without_scram(server: Server) -> None:
    """Log in at a server that offers nothing else."""
    talk(login(smtp := ready("AUTH SCRAM-SHA-256"), server), smtp, tokens=["unused"])


@pytest.mark.usefixtures("no_package")
def test_scram_without_its_package_says_what_to_install() -> None:
    """The server offers what is asked for, and only the package is missing here."""
    with pytest.raises(SMTPNotSupportedError, match=r"mailbridge-smtp\[scram\]"):
        without_scram(account(password="s3cret"))


@pytest.mark.usefixtures("no_package")
@pytest.mark.parametrize("options", [{"password": "s3cret", "auth": ["PLAIN"]}, {"token_provider": lambda: "unused"}])
def test_scram_is_no_way_for_who_would_not_take_it(options: dict[str, Any]) -> None:
    """To install its package would help nobody."""
    with pytest.raises(SMTPNotSupportedError, match="no way to log in") as caught:
        without_scram(account(**options))

    assert "scram" not in str(caught.value)


def test_no_auth_before_starttls_says_so() -> None:
    """The usual reason why a server offers no way to log in."""
    with pytest.raises(SMTPNotSupportedError, match="offers STARTTLS"):
        talk(login(smtp := ready("STARTTLS"), account(password="s3cret")), smtp)
