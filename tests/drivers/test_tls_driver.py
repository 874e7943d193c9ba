"""TLS: what is verified, what is resumed, and what is said where it fails."""

import datetime
import hashlib
import logging
import pickle
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from mailbridge import (
    Phase,
    Security,
    Server,
    SMTPCertificateError,
    SMTPHandshakeError,
    SMTPInputError,
    SMTPSecurityError,
    SMTPServerDisconnected,
    SMTPTimeoutError,
    Timeouts,
    tls,
)
from mailbridge.testing import ScriptedServer, Then
from tests.drivers.helpers import MESSAGE, Line, client_of, client_to, peer, plain, server_of

pytestmark = pytest.mark.usefixtures("driver")

MODES = pytest.mark.parametrize("mode", ["implicit", "starttls"])


@MODES
def test_a_protected_session(mode: str) -> None:
    """Mail travels under TLS, and the client knows what protects it and until when."""
    with ScriptedServer(tls=mode) as server, client_of(server) as client:  # type: ignore[arg-type]  # one of two
        receipt = client.send(MESSAGE)
        assert server.messages[0].tls
        assert client.tls is not None
        assert client.tls.version == "TLSv1.3"
        assert client.tls.cipher.startswith("TLS_")
        assert "localhost" in client.tls.names
        assert client.tls.expires is not None
        assert client.tls.expires > datetime.datetime.now(datetime.UTC)
        assert not client.tls.resumed
        assert receipt.server is not None
        assert receipt.server.tls == "TLSv1.3"


@MODES
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("self-signed", "self-signed certificate.*ca_file"),
        ("expired", "expired.*renewed on the server"),
        ("wrong-name", r"valid for 'localhost'\. Use a name that the certificate is for instead of localhost"),
    ],
)
def test_bad_certificates(mode: str, kind: str, words: str) -> None:
    """Each is refused by name, and nothing but the handshake was said to the server."""
    with ScriptedServer(tls=mode, certificate=kind, accounts={"ann": "pw"}) as server:  # type: ignore[arg-type]  # as above
        with pytest.raises(SMTPCertificateError, match=words) as caught:
            client_of(server, "ann").send(MESSAGE)
        assert server.lines == ([] if mode == "implicit" else [server.lines[0], b"STARTTLS"])
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert isinstance(error, ssl.SSLCertVerificationError)
        assert isinstance(error, SMTPSecurityError)
        assert error.phase is Phase.TLS
        assert error.transcript == caught.value.transcript
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)


def test_a_foreign_ca() -> None:
    """What the caller's CA did not sign is refused, though another one did."""
    with (
        ScriptedServer(tls="implicit") as server,
        ScriptedServer(tls="implicit") as other,
        pytest.raises(SMTPCertificateError, match="ca_file"),
    ):
        client_of(server, ca_file=other.ca_file).connect()


def test_the_system_does_not_know_our_ca() -> None:
    """Without a CA of the caller's own the system's decide."""
    with ScriptedServer(tls="implicit") as server, pytest.raises(SMTPCertificateError):
        client_of(server, ca_file=None).connect()


def test_a_ca_directory(tmp_path: Path) -> None:
    """A directory of hashed certificates does as well as a file."""
    with ScriptedServer(tls="implicit") as server:
        (tmp_path / f"{_subject_hash(server.ca_pem)}.0").write_bytes(server.ca_pem)
        with client_of(server, ca_file=None, ca_path=str(tmp_path)) as client:
            assert client.tls is not None


def _subject_hash(pem: bytes) -> str:
    """The file name under which OpenSSL looks a CA up: SHA-1 of its subject in canonical form."""
    subject = x509.load_pem_x509_certificate(pem).subject
    lower = x509.Name([x509.NameAttribute(a.oid, str(a.value).lower()) for a in subject])
    without_header = lower.public_bytes()[2:]
    return f"{int.from_bytes(hashlib.sha1(without_header).digest()[:4], 'little'):08x}"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_an_address_as_host(host: str) -> None:
    """A certificate may name addresses, and is verified for them."""
    with (
        ScriptedServer(tls="implicit", host=host.strip("[]")) as server,
        client_of(server, host=host) as client,
    ):
        assert client.send(MESSAGE).complete


def test_an_address_that_the_certificate_does_not_name() -> None:
    """127.0.0.2 leads to the same server, but nobody signed that."""
    with (
        ScriptedServer(tls="implicit", host="127.0.0.2") as server,
        pytest.raises(SMTPCertificateError, match=r"instead of 127\.0\.0\.2"),
    ):
        client_of(server, host="127.0.0.2").connect()


def test_a_name_with_its_dot() -> None:
    """ "localhost." is the same host; RFC 6066 section 3 wants no dot in TLS."""
    with ScriptedServer(tls="implicit") as server, client_of(server, host="localhost.") as client:
        assert client.tls is not None


def test_verification_turned_off(caplog: pytest.LogCaptureFixture) -> None:
    """It has an ugly name and leaves a warning; names and expiry are then not known."""
    with ScriptedServer(tls="implicit", certificate="self-signed") as server:
        tls._context.cache_clear()  # it says so once for each configuration
        with client_of(server, ca_file=None, danger_accept_any_certificate=True) as client:
            assert client.tls is not None
            assert (client.tls.expires, client.tls.names) == (None, ())
    assert [r.levelname for r in caplog.records if "not verified" in r.message] == ["WARNING"]


@MODES
def test_a_client_certificate(mode: str) -> None:
    """The server sees whose it is."""
    with ScriptedServer(tls=mode) as server:  # type: ignore[arg-type]  # one of two
        with client_of(server, client_cert=server.client_certificate("web1.example.com")):
            pass
        assert server.connections[0].client_certificate == ("web1.example.com",)


def test_a_missing_client_certificate() -> None:
    """TLS 1.3 says only behind the handshake that one is wanted; the error says so all the same."""
    with ScriptedServer(tls="implicit") as server:
        server.tls_context.verify_mode = ssl.CERT_REQUIRED
        with pytest.raises(SMTPHandshakeError, match="want a client certificate"):
            client_of(server).connect()


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    """They are named before anybody is called."""
    (tmp_path / "ca.pem").write_text("nonsense")
    with ScriptedServer(tls="implicit") as server:
        for name in ("ca.pem", "missing.pem"):
            with pytest.raises(SMTPInputError, match=name):
                client_of(server, ca_file=str(tmp_path / name)).connect()
        assert server.connections == []


def test_a_context_of_the_callers_own() -> None:
    """It is used as it is."""
    with ScriptedServer(tls="implicit") as server:
        context = ssl.create_default_context(cadata=server.ca_pem.decode())
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with client_of(server, ca_file=None, ssl_context=context) as client:
            assert client.tls is not None
            assert client.tls.version == "TLSv1.2"


def test_the_minimum_version() -> None:
    """A server that knows nothing newer is refused, and the error says what it may be."""
    with ScriptedServer(tls="implicit") as server:
        server.tls_context.maximum_version = ssl.TLSVersion.TLSv1_2
        with client_of(server) as client:
            assert client.tls is not None
            assert client.tls.version == "TLSv1.2"
        with pytest.raises(SMTPHandshakeError, match=r"older than TLSv1\.3") as caught:
            client_of(server, minimum_tls="TLSv1.3").connect()
    assert isinstance(caught.value, ssl.SSLError)


@MODES
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_resumption(mode: str, version: ssl.TLSVersion) -> None:
    """A client's next connection takes the session up again, as both sides say; another client's does not."""
    with ScriptedServer(tls=mode) as server:  # type: ignore[arg-type]  # one of two
        server.tls_context.maximum_version = version
        client = client_of(server)
        resumed = []
        for _ in range(3):
            with client:
                assert client.tls is not None
                resumed.append(client.tls.resumed)
        with client_of(server):
            pass
        assert resumed == [False, True, True]
        assert [c.tls_resumed for c in server.connections] == [False, True, True, False]


def test_no_resumption_with_another_context() -> None:
    """A session belongs to the context that began it: a client whose configuration changed starts anew."""
    with ScriptedServer(tls="implicit") as server:
        client = client_of(server)
        with client:
            pass
        client._channel.server = server_of(server, minimum_tls="TLSv1.3")
        with client:
            assert client.tls is not None
            assert not client.tls.resumed


def test_opportunistic() -> None:
    """TLS where it is offered, plain text where it is not or where the server refuses it after all."""
    with ScriptedServer(tls="starttls") as server:
        for expected in (True, True, False):
            if not expected:
                server.answer("STARTTLS", b"454 4.7.0 not now\r\n")
            with client_of(server, security=Security.OPPORTUNISTIC) as client:
                client.send(MESSAGE)
            assert server.messages[-1].tls is expected
    with ScriptedServer() as server, client_of(server, security=Security.OPPORTUNISTIC) as client:
        client.send(MESSAGE)
        assert not server.messages[-1].tls


def test_none_means_none() -> None:
    """STARTTLS is not used where the caller wants none."""
    with ScriptedServer(tls="starttls") as server, client_of(server, security=Security.NONE, ca_file=None) as client:
        client.send(MESSAGE)
        assert b"STARTTLS" not in server.lines


def test_what_was_learned_in_clear_is_forgotten() -> None:
    """RFC 3207 section 4.2: only the second EHLO counts."""
    with ScriptedServer(tls="starttls", extensions=()) as server:
        server.offer("PIPELINING", tls=False)
        server.offer("SIZE 1000", tls=True)
        with client_of(server) as client:
            assert (client.capabilities.pipelining, client.capabilities.size) == (False, 1000)
            client.send(MESSAGE)


def test_implicit_tls_at_a_plain_port(server: ScriptedServer) -> None:
    """One clear sentence instead of a wrong version number."""
    with pytest.raises(SMTPHandshakeError) as caught:
        client_of(server, security=Security.IMPLICIT).connect()
    assert str(caught.value) == (
        f"127.0.0.1:{server.port} at TLS: the server does not speak TLS at once on this port. "
        "Use STARTTLS (smtp+starttls), or port 465"
    )


def test_a_plain_greeting_expected_at_a_tls_port() -> None:
    """The server waits for the client as the client waits for it: the deadline's error says what to try."""
    with ScriptedServer(tls="implicit") as server, pytest.raises(SMTPTimeoutError) as caught:
        client_of(server, security=Security.STARTTLS, timeouts=Timeouts(reply=0.1)).connect()
    assert str(caught.value).endswith(
        f"If port {server.port} speaks TLS at once, as 465 does, use implicit TLS (smtps)"
    )


def test_a_tls_record_where_a_greeting_was_expected() -> None:
    """Some servers say by an alert that they wait for TLS: one clear sentence, at once."""
    alert = b"\x15\x03\x01\x00\x02\x02\x28"
    with peer(lambda sock: sock.sendall(alert)) as port, pytest.raises(SMTPSecurityError) as caught:
        client_to(plain(port)).connect()
    assert str(caught.value) == (
        f"127.0.0.1:{port} (no TLS) at GREETING: the server speaks TLS at once on this port. Use implicit TLS (smtps)"
    )


@pytest.mark.parametrize("how", [Then.CLOSE, Then.DROP, Then.RESET])
@MODES
def test_a_connection_cut_in_the_handshake(mode: str, how: Then) -> None:
    """The server went away: a clear error in the phase TLS, and no socket is left."""
    with ScriptedServer(tls=mode) as server:  # type: ignore[arg-type]  # one of two
        server.cut_before("TLS", how)
        with pytest.raises((SMTPHandshakeError, SMTPServerDisconnected)) as caught:
            client_of(server).connect()
    assert caught.value.phase is Phase.TLS


def test_garbage_behind_the_220() -> None:
    """What answers the handshake after STARTTLS is no TLS: the advice does not point to another port."""

    def talk(sock: socket.socket) -> None:
        with Line(sock) as line:
            line.greet(b"STARTTLS")
            line.hear(b"STARTTLS")
            line.say(b"220 go\r\n")
            assert sock.recv(1)
            line.say(b"554 no TLS today\r\n")
            line.drain()

    with peer(talk) as port, pytest.raises(SMTPHandshakeError) as caught:
        client_to(Server("127.0.0.1", port)).connect()
    assert "port 465" not in str(caught.value)


def test_lmtp_with_starttls() -> None:
    """LMTP is protected like SMTP."""
    with ScriptedServer(lmtp=True, tls="starttls") as server, client_of(server) as client:
        assert client.send(MESSAGE).complete
        assert server.messages[0].tls


def test_nothing_is_logged_above_debug(caplog: pytest.LogCaptureFixture) -> None:
    """A verified connection is no event."""
    caplog.set_level(logging.DEBUG, "mailbridge")
    with ScriptedServer(tls="implicit") as server, client_of(server):
        assert [(r.levelname, r.message) for r in caplog.records if r.name == "mailbridge"] == [
            ("DEBUG", f"connected to localhost:{server.port} (TLSv1.3)")
        ]
