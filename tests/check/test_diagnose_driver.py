"""The steps of a check, over each way to talk to a server."""

from mailbridge.testing import ScriptedServer
from tests.check.checks import ANN, ASKED, OPENED, check, finding, names, step


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
        assert b"Auto-Submitted: auto-generated\r\n" in message.content
    assert diagnosis.receipt is not None
    assert list(diagnosis.receipt.accepted) == ["bob@example.org"]
    assert step(diagnosis, "SEND").facts["queue_id"] == diagnosis.receipt.queue_id


def test_an_exchange_of_several_lines_is_one_step() -> None:
    """LOGIN asks twice, and each reply comes in pieces."""
    with ScriptedServer(tls="starttls", accounts=ANN, auth=("LOGIN",)) as server:
        server.segments(7)
        diagnosis = check(server, "ann@example.com")

    assert names(diagnosis) == [*OPENED, "STARTTLS", "TLS", "EHLO", "AUTH", *ASKED]
    assert step(diagnosis, "AUTH").facts["mechanism"] == "LOGIN"


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
