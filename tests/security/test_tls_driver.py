"""S1, S2, S3: what protects a connection is there, and is what it seems, before anything is said over it."""

import logging
from typing import Any

import pytest

from mailbridge import smtplib
from tests.security.faces import Face
from tests.security.letters import Letter
from tests.security.seen import only_polite

ACCOUNTS = {"ann": "corr3ct-horse-battery"}


@pytest.mark.parametrize("same_segment", [True, False], ids=["one segment", "two segments"])
def test_s01_octets_behind_the_220(face: Face, serve: Any, same_segment: bool) -> None:
    """S1: they end the connection; no login, no mail, nothing believed."""
    server = serve(tls="starttls", accounts=ACCOUNTS)
    face.to(server, "ann")
    for injected in (b"250 AUTH PLAIN\r\n", b"250-x\r\n250 AUTH PLAIN\r\n", b"XYZ", b"\0", b"\r\n", b"220 again\r\n"):
        server.inject_behind_starttls(injected, same_segment=same_segment)
        outcome = face.send(Letter())
        assert isinstance(outcome.error, smtplib.SMTPException | OSError), injected
        assert outcome.accepted == (), injected
    assert only_polite(server)
    assert not any(connection.tls for connection in server.connections)


STRIPPED = [
    ("EHLO", b"250 no extensions here\r\n"),
    ("EHLO", b"250-scripted.test\r\n250 AUTH PLAIN LOGIN\r\n"),
    ("EHLO", b"250 XSTARTTLS\r\n"),
    ("EHLO", b"500 5.5.1 what?\r\n"),
    ("EHLO", b"502 5.5.1 what?\r\n"),
    ("STARTTLS", b"454 4.7.0 TLS not available\r\n"),
    ("STARTTLS", b"502 5.5.1 what?\r\n"),
]


@pytest.mark.parametrize("user", ["ann", None], ids=["login", "no login"])
def test_s02_stripped(face: Face, serve: Any, user: str | None) -> None:
    """S2: required is required; the second letter does not go out over what the first one left open either."""
    for event, reply in STRIPPED:
        server = serve(tls="starttls", accounts=ACCOUNTS)
        server.answer(event, reply)
        face.to(server, user)
        for _ in range(2):
            assert isinstance(face.send(Letter()).error, smtplib.SMTPException), reply
        assert only_polite(server), reply


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
@pytest.mark.parametrize("kind", ["self-signed", "expired", "wrong-name"])
def test_s03_a_certificate_that_proves_nothing(face: Face, serve: Any, tls: str, kind: str) -> None:
    """S3: an error before login and mail."""
    server = serve(tls=tls, certificate=kind, accounts=ACCOUNTS)
    outcome = face.to(server, "ann").send(Letter())

    assert "ertificate" in str(outcome.error)
    assert only_polite(server)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_s03_an_unknown_authority(face: Face, serve: Any, tls: str) -> None:
    """S3: a certificate of an authority that nobody named is not enough, by default."""
    server = serve(tls=tls, accounts=ACCOUNTS)
    outcome = face.to(server, "ann", ca_file=None).send(Letter())

    assert "ertificate" in str(outcome.error)
    assert only_polite(server)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_s03_an_address_that_is_not_in_it(face: Face, serve: Any, tls: str) -> None:
    """S3: a name is not enough where the server was called by its address."""
    server = serve(tls=tls, accounts=ACCOUNTS)
    outcome = face.to(server, "ann", host="127.0.0.2").send(Letter())

    assert outcome.error is not None
    assert only_polite(server)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_s03_ones_own_authority(face: Face, serve: Any, tls: str, host: str) -> None:
    """S3: the same way to a server that can prove itself is a login and a mail."""
    server = serve(tls=tls, accounts=ACCOUNTS, require_auth=True)

    assert face.to(server, "ann", host=host).send(Letter()).delivered
    assert [(m.tls, m.authenticated_as) for m in server.messages] == [(True, "ann")]


def test_s03_verification_turned_off(face: Face, serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    """S3: only by an option of an ugly name, and a warning stands in the log."""
    server = serve(tls="starttls", certificate="self-signed")
    way = {
        "danger_accept_any_certificate": True,
        "local_hostname": f"of-{len(face.name)}.test",
        "ca_file": server.ca_file,
    }
    from mailbridge import tls

    tls._context.cache_clear()
    assert face.to(server, **way).send(Letter()).delivered
    assert [r.levelno for r in caplog.records if "not verified" in r.getMessage()] == [logging.WARNING]
