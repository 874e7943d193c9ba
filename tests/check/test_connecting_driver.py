"""What a check says of names, addresses and ports."""

import errno
import socket
from typing import Any

import pytest

from mailbridge import Phase, Security, Server, Timeouts
from mailbridge.check import diagnose
from mailbridge.check.attempts import Attempt
from mailbridge.testing import ScriptedServer
from mailbridge.testing.actions import Then
from mailbridge.translation import translated
from tests.check.checks import check, finding, names, resolve_to, step
from tests.drivers.helpers import QUICK, peer


def test_nobody_listens() -> None:
    """Each address says so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    diagnosis = diagnose(Server("127.0.0.1", port, security=Security.NONE))

    assert names(diagnosis) == ["RESOLVE", "CONNECT"]
    assert finding(diagnosis, "CONNECT").startswith("Nobody listens there. Check host, port and network")


def test_one_address_of_two_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check goes on with it; the other one is worth a warning."""
    with ScriptedServer() as server, socket.create_server(("127.0.0.2", 0)) as listener:
        dead = listener.getsockname()[1]
        listener.close()
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", place)
            for place in (("127.0.0.2", dead), ("127.0.0.1", server.port))
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: found)
        diagnosis = diagnose(Server("mail.example.com", server.port, security=Security.NONE))

    assert (diagnosis.ok, step(diagnosis, "RESOLVE").facts["addresses"]) == (True, ["127.0.0.2", "127.0.0.1"])
    first, second = (step for step in diagnosis.steps if step.name == "CONNECT")
    assert first.finding == (
        "Nobody listens there, but other addresses answer: mend this one, or take it out of the DNS"
    )
    assert (second.verdict, second.facts["address"]) == ("ok", "127.0.0.1")


def test_no_way_to_a_family_of_addresses() -> None:
    """A machine without IPv6 is not worth a word where IPv4 leads there; where nothing does, it is."""
    error = translated(OSError(errno.ENETUNREACH, "Network is unreachable"), Phase.CONNECT, Server("mx.test"))
    attempt = Attempt("2001:db8::1", 0.1, None, error)

    assert attempt.step(others_answer=True).verdict == "ok"
    assert attempt.step(others_answer=True).facts["error"] == "Network is unreachable"
    assert attempt.step(others_answer=False).finding.startswith("Network is unreachable. Check host, port and network")


def test_all_connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each address is dialled, one connection is used, the others end at once."""
    with ScriptedServer() as server:
        resolve_to(monkeypatch, *[("127.0.0.1", server.port)] * 3)
        diagnosis = diagnose(Server("mail.example.com", security=Security.OPPORTUNISTIC))
        server.wait_for(lambda: len(server.connections) == 3 and all(one.ended for one in server.connections))

    assert names(diagnosis).count("CONNECT") == 3
    assert server.lines.count(b"QUIT") == 1


def test_a_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver says so."""

    def getaddrinfo(*args: object, **options: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    diagnosis = diagnose(Server("mail.example.com"))

    assert finding(diagnosis, "RESOLVE") == "The name mail.example.com does not exist: unknown. Check the host's name"


@pytest.mark.parametrize("certificate", ["good", "self-signed"])
@pytest.mark.parametrize(("security", "said"), [(Security.STARTTLS, "STARTTLS"), (Security.NONE, "no TLS")])
def test_a_port_that_speaks_tls_at_once(security: Security, said: str, certificate: Any) -> None:
    """A second look finds TLS where no greeting came, be its certificate trusted or not."""
    with ScriptedServer(tls="implicit", certificate=certificate) as server:
        diagnosis = check(server, security=security, timeouts=QUICK)

        assert finding(diagnosis, "GREETING") == (
            f"Port {server.port} speaks TLS at once; you set {said}. Use implicit TLS (smtps)"
        )


def test_a_port_that_does_not_speak_tls_at_once() -> None:
    """The other way round."""
    with ScriptedServer(tls="starttls") as server:
        diagnosis = check(server, security=Security.IMPLICIT)

    assert finding(diagnosis, "TLS") == (
        "The server does not speak TLS at once on this port. Use STARTTLS (smtp+starttls), or port 465"
    )


def test_a_tls_record_in_place_of_a_greeting() -> None:
    """Some servers say by an alert that they wait for TLS."""
    with peer(lambda sock: sock.sendall(b"\x15\x03\x01\x00\x02\x02\x28")) as port:
        diagnosis = diagnose(Server("127.0.0.1", port, security=Security.NONE))

    assert finding(diagnosis, "GREETING") == "The server speaks TLS at once on this port. Use implicit TLS (smtps)"


def test_a_silent_server() -> None:
    """Neither a greeting nor TLS: the check ends by the server's deadlines."""
    with ScriptedServer() as server:
        server.answer("GREETING", b"", then=Then.SILENCE)
        diagnosis = check(server, timeouts=QUICK)

        assert finding(diagnosis, "GREETING") == (
            f"Somebody takes connections at port {server.port} and does not greet within 0.3 s. "
            "Check that it is a mail server"
        )


def test_a_server_that_drips() -> None:
    """The whole check has one deadline, however many steps there are."""
    with ScriptedServer() as server:
        server.drip(0.01)
        diagnosis = check(server, timeouts=Timeouts(connect=1, reply=1, content=1, send=0.6))

    assert finding(diagnosis, "EHLO").startswith("A deadline passed")
    assert 0.5 < diagnosis.seconds < 1


def test_the_wrong_one_of_smtp_and_lmtp() -> None:
    """Each server knows only its own greeting of the client (RFC 2033 section 4.1)."""
    with ScriptedServer(lmtp=True) as server:
        assert finding(check(server, lmtp=False), "EHLO").endswith("If the server speaks LMTP, use that")
    with ScriptedServer() as server:
        assert finding(check(server, lmtp=True), "EHLO").endswith("The server does not speak LMTP: use SMTP")
