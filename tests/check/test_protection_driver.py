"""What a check says of TLS, of certificates, and of mail in clear."""

import datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from mailbridge import Security, Server
from mailbridge.check import diagnose
from mailbridge.testing import ScriptedServer
from tests.check.checks import ANN, check, finding, names, resolve_to, step


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_a_certificate_for_another_name(tls: Any) -> None:
    """A second look, which carries no login, says for which."""
    with ScriptedServer(tls=tls, certificate="wrong-name", accounts=ANN) as server:
        diagnosis = check(server, "ann@example.com")

        assert finding(diagnosis, "TLS").startswith("The certificate is for wrong.example, not localhost. ")
        assert not any(line.startswith(b"AUTH") for line in server.lines)


@pytest.mark.parametrize(
    ("certificate", "said"),
    [
        ("expired", "certificate has expired. It must be renewed on the server"),
        ("self-signed", "self-signed certificate. Trust the CA that signed it by ca_file, if it is yours"),
    ],
)
def test_a_certificate_that_is_not_accepted(certificate: Any, said: str) -> None:
    """The reason, and what to do about it."""
    with ScriptedServer(tls="starttls", certificate=certificate) as server:
        diagnosis = check(server)

    assert finding(diagnosis, "TLS") == f"The certificate was not accepted: {said}"


def test_a_certificate_that_expires_soon(tmp_path: Path) -> None:
    """A warning, and no failure."""
    authority, now = trustme.CA(), datetime.datetime.now(datetime.UTC)
    soon = authority.issue_cert("localhost", not_after=now + datetime.timedelta(days=5, hours=1))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with ScriptedServer(tls="implicit") as server:
        soon.configure_cert(server.tls_context)
        diagnosis = check(server, ca_file=str(tmp_path / "ca.pem"))

    assert (diagnosis.ok, diagnosis.findings) == (True, ("The certificate expires in 5 days: renew it on the server",))
    assert step(diagnosis, "TLS").facts["days"] == 5


def test_a_certificate_that_is_not_verified() -> None:
    """Whoever turned that off is told at every check."""
    with ScriptedServer(tls="implicit", certificate="self-signed") as server:
        diagnosis = check(server, ca_file=None, danger_accept_any_certificate=True)

    assert diagnosis.ok
    assert step(diagnosis, "TLS").finding.startswith("The certificate is not verified")


def test_a_file_that_is_not_there() -> None:
    """It is found before anybody is called."""
    diagnosis = diagnose(Server("127.0.0.1", 1, ca_file="/nowhere/ca.pem"))

    assert finding(diagnosis, "TLS").startswith("ca_file (/nowhere/ca.pem) cannot be used")
    assert names(diagnosis) == ["TLS"]


def test_a_server_without_starttls() -> None:
    """It is required, and there is no way around it."""
    with ScriptedServer() as server:
        diagnosis = check(server, security=Security.STARTTLS)

    assert finding(diagnosis, "STARTTLS").startswith("The server does not offer STARTTLS, which is required. ")


def test_mail_in_clear_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning, with the way out where the server offers one."""
    with ScriptedServer(tls="starttls") as server:
        resolve_to(monkeypatch, ("127.0.0.1", server.port))
        diagnosis = diagnose(Server("mail.example.com", server.port, security=Security.NONE))

    assert diagnosis.findings == ("Mail travels in clear: use STARTTLS (smtp+starttls)",)


def test_opportunistic_tls_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning where there is nothing to be had, or where it was refused."""
    mail = Server("mail.example.com", security=Security.OPPORTUNISTIC, danger_accept_any_certificate=True)
    found = []
    for tls, refused in ((None, False), ("starttls", False), ("starttls", True)):
        with ScriptedServer(tls=tls) as server:  # type: ignore[arg-type]  # one of two, or none
            resolve_to(monkeypatch, ("127.0.0.1", server.port))
            if refused:
                server.answer("STARTTLS", b"454 4.7.0 not now\r\n")
            found.append([(str(step.name), step.finding) for step in diagnose(mail).steps if step.finding])

    assert found[0] == [("EHLO", "Mail travels in clear: the server does not offer STARTTLS")]
    assert [name for name, _ in found[1]] == ["TLS"]
    assert found[2] == [("STARTTLS", "Mail travels in clear: the server refused STARTTLS")]
