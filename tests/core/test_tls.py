"""One TLS context per configuration. Handshakes are in the tests of the drivers."""

import logging
import os
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from mailbridge.errors import SMTPInputError
from mailbridge.server import Server
from mailbridge.tls import context_for
from tests.core.given import SECRET, assert_hides_the_secret, raised


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A CA, and a certificate with its key."""
    folder = tmp_path_factory.mktemp("pem")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca"))
    certificate = authority.issue_cert("localhost")
    certificate.cert_chain_pems[0].write_to_path(str(folder / "cert"))
    certificate.private_key_pem.write_to_path(str(folder / "key"))
    return {name: str(folder / name) for name in ("ca", "cert", "key")}


def test_a_context_verifies() -> None:
    """Chain and name, TLS 1.2 or newer; and it is made once."""
    context = context_for(Server("h"))

    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context_for(Server("other")) is context
    assert context_for(Server("h", minimum_tls="TLSv1.3")).minimum_version is ssl.TLSVersion.TLSv1_3


def test_a_context_of_ones_own_is_taken_as_it_is() -> None:
    """The caller knows what it does."""
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    assert context_for(Server("h", ssl_context=own)) is own


def test_ones_own_ca_is_trusted_alone(pem: dict[str, str]) -> None:
    """Not beside the system's."""
    assert len(context_for(Server("h", ca_file=pem["ca"])).get_ca_certs()) == 1


def test_a_client_certificate_is_loaded(pem: dict[str, str]) -> None:
    """With a key in a file of its own; its password is not needed and does no harm."""
    options: dict[str, Any] = {"client_cert": pem["cert"], "client_key": pem["key"]}

    assert context_for(Server("h", **options, client_key_password=SECRET)) is not context_for(Server("h", **options))


def test_s3_accepting_anything_is_said_aloud(caplog: pytest.LogCaptureFixture) -> None:
    """It has an ugly name, and a warning in the log."""
    with caplog.at_level(logging.WARNING, "mailbridge"):
        context = context_for(Server("h", danger_accept_any_certificate=True, minimum_tls="TLSv1.3"))

    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)
    assert "not verified" in caplog.text


@pytest.mark.parametrize("kind", ["missing", "broken"])
def test_a_directory_that_cannot_be_used_is_named(kind: str, tmp_path: Path) -> None:
    """OpenSSL would trust nobody, and leave the reason to be guessed."""
    (tmp_path / "broken").write_text("no directory")
    error = raised(SMTPInputError, lambda: context_for(Server("h", ca_path=str(tmp_path / kind))))

    assert f"ca_path ({tmp_path / kind}) cannot be used" in str(error)
    assert context_for(Server("h", ca_path=tmp_path)).get_ca_certs() == []


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"ca_file": "missing"}, "ca_file ({}) cannot be used"),
        ({"client_cert": "missing"}, "client_cert ({}) cannot be used"),
        ({"client_key": "missing"}, "client_key ({}) cannot be used"),
        ({"client_key": "broken"}, "client_key ({}) cannot be used"),
    ],
)
def test_the_one_file_that_cannot_be_used_is_named(
    wrong: dict[str, str], named: str, pem: dict[str, str], tmp_path: Path
) -> None:
    """Not the others beside it."""
    (tmp_path / "broken").write_text("no key")
    files = {"ca_file": pem["ca"], "client_cert": pem["cert"], "client_key": pem["key"]}
    place = str(tmp_path / next(iter(wrong.values())))
    error = raised(SMTPInputError, lambda: context_for(Server("h", **files | dict.fromkeys(wrong, place))))

    assert named.format(place) in str(error)
    assert pem["ca"] not in str(error)


@pytest.mark.parametrize("option", ["ca_file", "client_cert"])
def test_s16_a_file_that_cannot_be_used_is_named(option: str, tmp_path: Path) -> None:
    """And the password of the key is not."""
    (tmp_path / "broken").write_text("no certificate")
    for name in ("missing", "broken"):
        server = Server("h", **{option: str(tmp_path / name)}, client_key_password=SECRET)
        error = raised(SMTPInputError, lambda server=server: context_for(server))

        assert name in str(error)
        assert_hides_the_secret(error)


def test_a_file_that_was_renewed_makes_another_context(pem: dict[str, str]) -> None:
    """A worker that lives for months sees the new certificate without a restart."""
    server = Server("h", ca_file=pem["ca"])
    context = context_for(server)
    assert context_for(server) is context

    os.utime(pem["ca"], ns=(1, 1))

    assert context_for(server) is not context


def test_a_file_that_cannot_be_used_is_a_failure_of_tls(tmp_path: Path) -> None:
    """So that a framework ends the batch: no message can go this way."""
    error = raised(SMTPInputError, lambda: context_for(Server("h", ca_file=str(tmp_path / "none"))))

    assert error.phase is not None
    assert error.phase.opens_session
