"""The driver: real sockets, real TLS, and the standard library's smtplib as a foreign client."""

import asyncio
import smtplib
import socket
import ssl
from collections.abc import Iterator

import pytest

from mailbridge import Client, Server
from mailbridge.testing import ScriptedServer, Then

GREETING = b"220 scripted.test ESMTP\r\n"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


def connect(server: ScriptedServer) -> socket.socket:
    client = socket.create_connection((server.host, server.port), timeout=5)
    assert client.recv(100)
    return client


def read_to_end(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(1000), b""))


def trusting(server: ScriptedServer) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=server.ca_pem.decode())


def secure(server: ScriptedServer) -> smtplib.SMTP:
    if server.settings.tls == "implicit":
        return smtplib.SMTP_SSL("localhost", server.port, context=trusting(server), timeout=5)
    client = smtplib.SMTP("localhost", server.port, timeout=5)
    try:
        client.starttls(context=trusting(server))
    except BaseException:
        client.close()
        raise
    return client


def test_smtplib_in_clear(server: ScriptedServer) -> None:
    """A foreign client delivers; a refused recipient is refused; the server remembers both."""
    server.refuse("no@y")
    with smtplib.SMTP(server.host, server.port, timeout=5) as client:
        assert list(client.sendmail("a@x", ["b@y", "no@y"], "hi\n.dot\n")) == ["no@y"]
    [message] = server.messages
    assert (message.recipients, message.content, message.tls) == (("b@y",), b"hi\r\n.dot\r\n", False)
    assert b"rcpt to:<no@y>" in [line.lower() for line in server.lines]
    server.wait_for(lambda: server.connections[0].ended == "closed")


def test_smtplib_with_starttls_and_login() -> None:
    """The good certificate is trusted, the login works, the record says so."""
    with ScriptedServer(tls="starttls", accounts={"ann": "Gehe1m-pw"}, require_auth=True) as server:
        with secure(server) as client:
            client.login("ann", "Gehe1m-pw")
            client.sendmail("a@x", ["b@y"], b"x" * 300_000)
        [message] = server.messages
        assert (message.tls, message.authenticated_as, len(message.content)) == (True, "ann", 300_002)


def test_smtplib_with_implicit_tls() -> None:
    """TLS comes before the greeting."""
    with ScriptedServer(tls="implicit") as server, secure(server) as client:
        assert client.noop()[0] == 250
        assert server.connections[0].tls


@pytest.mark.parametrize("kind", ["self-signed", "expired", "wrong-name"])
def test_bad_certificates(kind: str) -> None:
    """A client that verifies turns away, and the server lives on."""
    with ScriptedServer(tls="implicit", certificate=kind) as server:  # type: ignore[arg-type]  # one of its literals
        with pytest.raises(ssl.SSLCertVerificationError):
            secure(server)
        server.wait_for(lambda: "tls failed" in (server.connections[0].ended or ""))


def test_no_tls_where_tls_is_due() -> None:
    """A client that speaks in clear to a TLS port is cut off."""
    with ScriptedServer(tls="implicit") as server:
        with socket.create_connection((server.host, server.port), timeout=5) as client:
            client.sendall(b"EHLO me\r\n")
            assert b"220" not in read_to_end(client)
        assert "tls failed" in (server.connections[0].ended or "")


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_a_handshake_that_fails(mode: str) -> None:
    """Whatever the script says in its place; here an alert (SERVERS.md T3)."""
    with ScriptedServer(tls=mode) as server:  # type: ignore[arg-type]  # one of its literals
        server.answer("TLS", b"\x15\x03\x03\x00\x02\x02\x50")
        with pytest.raises(ssl.SSLError, match=r"(?i)internal.error"):
            secure(server)


def test_client_certificate_and_resumption() -> None:
    """A client's certificate is recognised; a second connection may resume the session."""
    with ScriptedServer(tls="implicit") as server:
        context = trusting(server)
        context.load_cert_chain(server.client_certificate("ann@example.com"))
        session = None
        for _ in range(2):
            raw = socket.create_connection((server.host, server.port), timeout=5)
            with context.wrap_socket(raw, server_hostname="localhost", session=session) as client:
                assert client.recv(100) == GREETING
                session = client.session
        first, second = server.connections
        assert first.client_certificate == ("ann@example.com",)
        assert (first.tls_resumed, second.tls_resumed) == (False, True)


def test_lmtp_on_a_unix_socket() -> None:
    """One reply per recipient, by way of a path."""
    with ScriptedServer(lmtp=True, unix=True) as server:
        server.refuse_content(552, "5.2.2", "full", recipient="full@y")
        assert server.url == f"lmtp://{server.path}"
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(server.path)
            envelope = b"MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRCPT TO:<full@y>\r\nBDAT 2 LAST\r\nhiQUIT\r\n"
            for part in (b"LHLO me\r\n", envelope):
                assert client.recv(1000)
                client.sendall(part)
            codes = b" ".join(line[:3] for line in read_to_end(client).splitlines())
            assert codes == b"250 250 250 250 552 221"
        assert [message.recipients for message in server.messages] == [("b@y",)]


def test_smtp_on_a_unix_socket() -> None:
    """No URL names it; the path does."""
    with ScriptedServer(unix=True) as server:
        with pytest.raises(ValueError, match="no URL names SMTP on a unix socket"):
            _ = server.url
        with Client(Server(path=server.path)) as client:
            client.send(b"x:y\r\n", sender="a@x", recipients=["b@y"])
        assert server.lines[0].startswith(b"EHLO ")


def test_ipv6() -> None:
    """It listens on ::1 if told so."""
    with ScriptedServer(host="::1") as server, connect(server):
        assert server.url == f"smtp://[::1]:{server.port}?security=none"


@pytest.mark.parametrize("how", [Then.CLOSE, Then.DROP])
def test_fin(server: ScriptedServer, how: Then) -> None:
    """A FIN behind the reply: the client reads the reply and then the end."""
    server.cut_after("NOOP", how)
    with connect(server) as client:
        client.sendall(b"NOOP\r\n")
        assert read_to_end(client) == b"250 ok\r\n"


def test_rst(server: ScriptedServer) -> None:
    """A RST instead of a reply."""
    server.cut_before("NOOP", Then.RESET)
    with connect(server) as client:
        client.sendall(b"NOOP\r\n")
        with pytest.raises(ConnectionResetError):
            client.recv(100)
    assert server.connections[0].ended == "reset"


def test_silence(server: ScriptedServer) -> None:
    """Nothing comes, the connection stays, and the server still closes at once."""
    server.cut_before("NOOP", Then.SILENCE)
    with connect(server) as client:
        client.sendall(b"NOOP\r\n")
        server.wait_for(lambda: server.connections[0].ended == "silent")
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(100)


def talk_to_the_wall(server: ScriptedServer, how: Then) -> bytes:
    server.cut_after("NOOP", how)
    with connect(server) as client:
        client.sendall(b"NOOP\r\n")
        assert read_to_end(client) == b"250 ok\r\n"
        for _ in range(10_000):
            client.sendall(b"x" * 100)
        return client.recv(100)


def test_close_swallows_what_still_comes(server: ScriptedServer) -> None:
    """After CLOSE a client that goes on sees an end of stream, never a reset."""
    assert talk_to_the_wall(server, Then.CLOSE) == b""


def test_drop_resets_what_still_comes(server: ScriptedServer) -> None:
    """After DROP a client that goes on gets a reset, as from most servers."""
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        talk_to_the_wall(server, Then.DROP)


def test_a_dripped_greeting_arrives_whole(server: ScriptedServer) -> None:
    """One octet at a time is slow, but it is all there."""
    server.drip(0.0001)
    with socket.create_connection((server.host, server.port), timeout=5) as client:
        assert b"".join(client.recv(1) for _ in GREETING) == GREETING


def test_closing_does_not_wait_for_a_drip() -> None:
    """A pause of an hour ends with the server."""
    with ScriptedServer() as server:
        server.drip(3600)
        with socket.create_connection((server.host, server.port), timeout=5):
            server.wait_for(lambda: server.connections)


def test_closing_ends_idle_clients() -> None:
    """A client that says nothing sees the end, and the server does not hang."""
    with ScriptedServer() as server:
        client = connect(server)
    with client:
        assert client.recv(100) == b""


@pytest.mark.parametrize("how", [Then.DROP, Then.RESET, Then.CLOSE])
def test_hang_up(server: ScriptedServer, how: Then) -> None:
    """An idle connection ends from the outside, perhaps with last words."""
    with connect(server) as client:
        server.hang_up(how, b"" if how is Then.RESET else b"421 idle\r\n")
        if how is Then.RESET:
            with pytest.raises(ConnectionResetError):
                client.recv(100)
        else:
            assert read_to_end(client) == b"421 idle\r\n"
        assert server.connections[0].ended == how.value


def test_last_words_stand_behind_what_is_being_said(server: ScriptedServer) -> None:
    """A 421 in front of a reply that was given would say that what it answers was never taken up."""
    server.drip(0.005)
    with socket.create_connection((server.host, server.port), timeout=5) as client:
        begun = client.recv(1)
        server.hang_up(Then.CLOSE, b"421 idle\r\n")
        assert begun + read_to_end(client) == GREETING + b"421 idle\r\n"


def test_421_to_an_idle_client(server: ScriptedServer) -> None:
    """It hears why, and sees the end."""
    server.say_421(after_idle=0.01)
    with connect(server) as client:
        assert read_to_end(client) == b"421 4.4.2 you said nothing for too long\r\n"
    assert server.connections[0].ended == "closed"


def test_control_from_a_coroutine() -> None:
    """The loop goes on while the server starts, waits and ends; what `play` asserts is raised there too."""

    async def talk() -> None:
        async with ScriptedServer() as server:
            reader, writer = await asyncio.open_connection(server.host, server.port)
            writer.write(b"EHLO me\r\n")
            await server.until(lambda: server.lines == [b"EHLO me"])
            with pytest.raises(TimeoutError):
                await server.until(lambda: server.messages, timeout=0.01)
            writer.close()
        assert (await reader.read()).startswith(GREETING)

    asyncio.run(talk())


def test_hang_up_under_tls() -> None:
    """The last words are encrypted, and a close_notify follows."""
    with ScriptedServer(tls="implicit") as server:
        raw = socket.create_connection((server.host, server.port), timeout=5)
        with trusting(server).wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False) as client:
            assert client.recv(100) == GREETING
            server.hang_up(Then.CLOSE, b"421 idle\r\n")
            assert client.recv(100) == b"421 idle\r\n"
            assert client.recv(100) == b""


def test_nothing_is_said_in_clear_within_a_handshake() -> None:
    """Last words that come between the 220 to STARTTLS and the end of the handshake stay unsaid."""
    asked = b"EHLO me\r\nSTARTTLS\r\n"
    with ScriptedServer(tls="starttls", strict_pipelining=False) as server, connect(server) as client:
        server.cut_at_read(len(asked), saying=b"421 bye\r\n")
        client.sendall(asked)

        assert read_to_end(client).endswith(b"220 2.0.0 go ahead\r\n")


def test_injection_reaches_the_client_in_one_segment() -> None:
    """The octets behind the 220 are there when the 220 is."""
    with ScriptedServer(tls="starttls") as server:
        server.inject_behind_starttls(b"250 AUTH PLAIN\r\n")
        with connect(server) as client:
            client.sendall(b"EHLO me\r\n")
            client.recv(1000)
            client.sendall(b"STARTTLS\r\n")
            assert client.recv(1000) == b"220 2.0.0 go ahead\r\n250 AUTH PLAIN\r\n"


def leave_the_transcript(server: ScriptedServer, then: BaseException | None = None) -> None:
    server.play([(b"EHLO me\r\n", b"250 ok\r\n")])
    with server, connect(server) as client:
        client.sendall(b"EHLO you\r\n")
        assert client.recv(100) == b""
        if then is not None:
            raise then


def test_leaving_a_transcript_fails_the_test() -> None:
    """`play` is an assertion: it is raised when the server closes."""
    with pytest.raises(AssertionError, match="EHLO you"):
        leave_the_transcript(ScriptedServer())


def test_the_tests_own_failure_comes_first() -> None:
    """An exception in the block is not hidden by what the server has to say."""
    with pytest.raises(KeyError):
        leave_the_transcript(ScriptedServer(), then=KeyError())


def say_ehlo(server: ScriptedServer) -> None:
    with server, connect(server) as client:
        client.sendall(b"EHLO me\r\n")
        client.recv(1000)


def test_a_failure_in_a_thread_fails_the_test() -> None:
    """An unexpected exception of the server's own is raised when it closes."""
    server = ScriptedServer()
    server.offers = None  # type: ignore[assignment]  # something that must break
    with pytest.raises(AttributeError):
        say_ehlo(server)


def test_waiting_has_an_end(server: ScriptedServer) -> None:
    """A condition that stays false is a TimeoutError."""
    with pytest.raises(TimeoutError):
        server.wait_for(lambda: False, timeout=0.01)


def test_urls() -> None:
    """The URL says how to come in, with and without credentials."""
    with ScriptedServer(tls="starttls", accounts={"a@x": "p/w"}) as server:
        rest = f"localhost:{server.port}?ca_file={server.ca_file}"
        assert server.url == f"smtp+starttls://{rest}"
        assert server.url_for("a@x") == f"smtp+starttls://a%40x:p%2Fw@{rest}"
    with ScriptedServer(lmtp=True) as server:
        assert server.url == f"lmtp://127.0.0.1:{server.port}?security=none"
    with ScriptedServer(lmtp=True, tls="starttls") as server:
        assert server.url == f"lmtp://localhost:{server.port}?security=starttls&ca_file={server.ca_file}"


def test_clear_begins_anew(server: ScriptedServer) -> None:
    """It hands out the messages and forgets what is over; an open connection goes on, and the numbers too."""
    with smtplib.SMTP(server.host, server.port, timeout=5) as first:
        first.sendmail("a@x", ["b@y"], "one")
        server.wait_for(lambda: server.lines)
        with smtplib.SMTP(server.host, server.port, timeout=5) as second:
            second.noop()
        server.wait_for(lambda: server.connections[1].ended)

        assert [message.content for message in server.clear()] == [b"one\r\n"]
        assert (server.messages, server.lines) == ([], [])
        assert [each.number for each in server.connections] == [1]

        first.mail("a@x")
        first.rcpt("b@y")
        assert first.data("two")[1].endswith(b"queued as 000002")
        with smtplib.SMTP(server.host, server.port, timeout=5):
            assert [each.number for each in server.connections] == [1, 3]
