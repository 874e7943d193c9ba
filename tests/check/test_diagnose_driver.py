"""What a check says of servers in good and in bad health."""

import dataclasses
import datetime
import socket
from pathlib import Path
from typing import Any

import pytest
import trustme

from mailbridge import Security, Server, SMTPInputError, Timeouts
from mailbridge.check import Diagnosis, Step, diagnose
from mailbridge.testing import ScriptedServer
from mailbridge.testing.actions import Then
from tests.drivers.helpers import QUICK, peer

ANN = {"ann@example.com": "a secret"}
OPENED = ["RESOLVE", "CONNECT", "GREETING", "EHLO"]
ASKED = ["MAIL", "RCPT", "RSET"]


def check(server: ScriptedServer, user: str | None = None, *, to: str | None = None, **options: Any) -> Diagnosis:
    """Check a server as a client sees it."""
    return diagnose(dataclasses.replace(Server.from_url(server.url_for(user)), **options), to=to)


def names(diagnosis: Diagnosis) -> list[str]:
    return [str(step.name) for step in diagnosis.steps]


def step(diagnosis: Diagnosis, name: str) -> Step:
    """The last step of that name."""
    return next(step for step in reversed(diagnosis.steps) if step.name == name)


def finding(diagnosis: Diagnosis, name: str) -> str:
    """The only finding, of the step that failed, which is the last one."""
    assert [(str(step.name), step.ok) for step in diagnosis.steps if step.finding] == [(name, False)]
    assert diagnosis.steps[-1].name == name
    [found] = diagnosis.findings
    return found


def resolve_to(monkeypatch: pytest.MonkeyPatch, *places: tuple[str, int]) -> None:
    """Let the resolver know every name under these addresses."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: found)


def test_a_plain_server() -> None:
    """Each step is there once, with a time of its own; nothing is sent."""
    with ScriptedServer(extensions=("PIPELINING", "SIZE 1000")) as server:
        diagnosis = check(server)

        assert (names(diagnosis), diagnosis.ok) == (OPENED + ASKED, True)
        assert all(step.seconds > 0 for step in diagnosis.steps)
        assert dict(step(diagnosis, "EHLO").facts) == {
            "name": "scripted.test",
            "extensions": ["PIPELINING", "SIZE 1000"],
            "auth": [],
        }
        assert dict(step(diagnosis, "CONNECT").facts) == {"address": "127.0.0.1"}
        assert server.messages == []
        assert server.lines[-4:] == [b"MAIL FROM:<>", b"RCPT TO:<postmaster>", b"RSET", b"QUIT"]


def test_starttls_and_a_login() -> None:
    """TLS says its version, names and days; AUTH its mechanism; what was offered in clear is another step."""
    with ScriptedServer(tls="starttls", accounts=ANN) as server:
        diagnosis = check(server, "ann@example.com")

    assert (names(diagnosis), diagnosis.findings) == ([*OPENED, "STARTTLS", "TLS", "EHLO", "AUTH", *ASKED], ())
    tls = step(diagnosis, "TLS").facts
    assert (tls["version"], tls["names"]) == ("TLSv1.3", ["localhost", "127.0.0.1", "0:0:0:0:0:0:0:1"])
    assert isinstance(tls["days"], int)
    assert tls["days"] > 14
    assert step(diagnosis, "EHLO").facts["auth"] == ["PLAIN", "LOGIN"]
    assert dict(step(diagnosis, "AUTH").facts) == {"mechanism": "PLAIN", "reply": "235 2.7.0 welcome"}
    assert step(diagnosis, "MAIL").facts["sender"] == "ann@example.com"


def test_implicit_tls() -> None:
    """TLS comes before the greeting."""
    with ScriptedServer(tls="implicit") as server:
        diagnosis = check(server)

    assert (names(diagnosis), diagnosis.ok) == (["RESOLVE", "CONNECT", "TLS", "GREETING", "EHLO", *ASKED], True)


def test_lmtp_on_a_unix_socket() -> None:
    """There is no name to resolve."""
    with ScriptedServer(lmtp=True, unix=True) as server:
        diagnosis = check(server)

        assert (names(diagnosis), diagnosis.ok) == (["CONNECT", "GREETING", "EHLO", *ASKED], True)
        assert (diagnosis.server, step(diagnosis, "CONNECT").facts["address"]) == (server.path, server.path)
        assert dict(step(diagnosis, "GREETING").facts) == {"reply": "220 scripted.test LMTP"}


def test_a_message_is_sent_where_somebody_asks_for_it() -> None:
    """It is a real one, and its receipt is there."""
    with ScriptedServer(tls="starttls", accounts=ANN) as server:
        diagnosis = check(server, "ann@example.com", to="bob@example.org")

        [message] = server.messages
        assert (message.sender, message.recipients) == ("ann@example.com", ("bob@example.org",))
        assert b"Subject: mailbridge check\r\n" in message.content
    assert diagnosis.receipt is not None
    assert list(diagnosis.receipt.accepted) == ["bob@example.org"]
    assert step(diagnosis, "SEND").facts["queue_id"] == diagnosis.receipt.queue_id


def test_a_message_that_is_refused() -> None:
    """The content may be refused where the envelope was not."""
    with ScriptedServer() as server:
        server.refuse_content(554, "5.7.1", "looks like spam")
        diagnosis = check(server, to="bob@example.org")

    assert finding(diagnosis, "SEND") == "The server answered 554 5.7.1 looks like spam"
    assert diagnosis.receipt is not None
    assert list(diagnosis.receipt.rejected) == ["bob@example.org"]


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


def test_a_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver says so."""

    def getaddrinfo(*args: object, **options: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    diagnosis = diagnose(Server("mail.example.com"))

    assert finding(diagnosis, "RESOLVE") == "The name mail.example.com does not exist: unknown. Check the host's name"


@pytest.mark.parametrize(("security", "said"), [(Security.STARTTLS, "STARTTLS"), (Security.NONE, "no TLS")])
def test_a_port_that_speaks_tls_at_once(security: Security, said: str) -> None:
    """A second look finds TLS where no greeting came."""
    with ScriptedServer(tls="implicit") as server:
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


def test_no_auth_before_starttls() -> None:
    """The password stays here, and the sentence says where the server takes it."""
    with ScriptedServer(tls="starttls", accounts=ANN) as server:
        diagnosis = check(server, "ann@example.com", security=Security.NONE, ca_file=None)

    assert finding(diagnosis, "AUTH") == (
        "No way to log in: the server offers no AUTH, the configuration allows any that takes a password. "
        "The server offers STARTTLS, and most take credentials only behind it"
    )


def test_a_server_without_starttls() -> None:
    """It is required, and there is no way around it."""
    with ScriptedServer() as server:
        diagnosis = check(server, security=Security.STARTTLS)

    assert finding(diagnosis, "STARTTLS").startswith("The server does not offer STARTTLS, which is required. ")


def test_a_wrong_password() -> None:
    """The server's words, and what to check."""
    with ScriptedServer(tls="starttls", accounts=ANN) as server:
        diagnosis = check(server, "ann@example.com", password="wrong")

    assert finding(diagnosis, "AUTH").startswith(
        "The server answered 535 5.7.8 authentication failed. Check user name (ann@example.com) and password"
    )
    assert step(diagnosis, "AUTH").facts["mechanism"] == "PLAIN"


def test_a_login_that_is_missing() -> None:
    """530 is about the session, whoever the sender is."""
    with ScriptedServer(tls="starttls", accounts=ANN, require_auth=True) as server:
        diagnosis = check(server)

    assert finding(diagnosis, "MAIL").endswith("Set a user name and a password")


def test_a_refused_sender() -> None:
    """A failure where somebody named it; the recipient is not asked about."""
    with ScriptedServer() as server:
        server.refuse_sender("shop@example.com")
        diagnosis = diagnose(Server.from_url(server.url), sender="shop@example.com")

    assert step(diagnosis, "MAIL").facts["sender"] == "shop@example.com"
    assert finding(diagnosis, "MAIL") == (
        "The server answered 550 5.7.1 sender refused. "
        "Use a sender that this server takes mail from, or ask who operates it"
    )


def test_a_refused_recipient() -> None:
    """A failure where somebody named it, and nothing is sent."""
    with ScriptedServer() as server:
        server.refuse("bob@example.org")
        diagnosis = check(server, to="bob@example.org")

        assert finding(diagnosis, "RCPT").startswith("The server answered 550 5.1.1 no such user. Check the address")
        assert server.messages == []


def test_a_refused_recipient_that_nobody_named() -> None:
    """A warning: mail may go to others. The transaction is taken back all the same."""
    with ScriptedServer() as server:
        server.refuse("postmaster")
        diagnosis = check(server)

        assert server.lines[-2:] == [b"RSET", b"QUIT"]
    assert diagnosis.ok
    assert [str(step.name) for step in diagnosis.steps if step.finding] == ["RCPT"]


def test_mail_in_clear_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning, with the way out where the server offers one."""
    with ScriptedServer(tls="starttls") as server:
        resolve_to(monkeypatch, ("127.0.0.1", server.port))
        diagnosis = diagnose(Server("mail.example.com", server.port, security=Security.NONE))

    assert diagnosis.findings == ("Mail travels in clear: use STARTTLS (smtp+starttls)",)


def test_words_of_a_server_move_no_cursor() -> None:
    """WIRE.md S20: what a server says is escaped."""
    with ScriptedServer() as server:
        server.answer("GREETING", b"220 \x1b[2Jmx\r\n")
        diagnosis = check(server)

    assert step(diagnosis, "GREETING").facts["reply"] == r"220 \x1b[2Jmx"


def test_a_server_that_hangs_up() -> None:
    """The step that was waited for fails, the ones before it went well."""
    with ScriptedServer() as server:
        server.cut_before("RCPT")
        diagnosis = check(server)

    assert names(diagnosis) == [*OPENED, "MAIL", "RCPT"]
    assert finding(diagnosis, "RCPT") == "The server closed the connection"


def test_a_file_that_is_not_there() -> None:
    """It is found before anybody is called."""
    diagnosis = diagnose(Server("127.0.0.1", 1, ca_file="/nowhere/ca.pem"))

    assert finding(diagnosis, "TLS").startswith("ca_file (/nowhere/ca.pem) cannot be used")
    assert names(diagnosis) == ["TLS"]


@pytest.mark.parametrize("options", [{"to": "a@b@c"}, {"sender": "a b"}])
def test_what_is_no_address_calls_nobody(options: dict[str, str]) -> None:
    """It is the caller's mistake, not the server's."""
    with ScriptedServer() as server:
        with pytest.raises(SMTPInputError):
            diagnose(Server.from_url(server.url), **options)
        assert server.connections == []


def test_a_tls_record_in_place_of_a_greeting() -> None:
    """Some servers say by an alert that they wait for TLS."""
    with peer(lambda sock: sock.sendall(b"\x15\x03\x01\x00\x02\x02\x28")) as port:
        diagnosis = diagnose(Server("127.0.0.1", port, security=Security.NONE))

    assert finding(diagnosis, "GREETING") == "The server speaks TLS at once on this port. Use implicit TLS (smtps)"
