"""TLS by the classic names: verified where the caller gives no context (WIRE.md S1, S3)."""

import ssl
from typing import Any

import pytest

from mailbridge import smtplib
from mailbridge.testing import Then

MODES = ["starttls", "implicit"]


def _secured(server: Any, mode: str, host: str = "localhost", **options: Any) -> smtplib.SMTP:
    if mode == "implicit":
        return smtplib.SMTP_SSL(host, server.port, "client.test", timeout=5, **options)
    client = smtplib.SMTP(host, server.port, "client.test", timeout=5)
    try:
        client.starttls(**options)
    except BaseException:
        assert client.sock is None
        raise
    return client


@pytest.mark.parametrize("mode", MODES)
def test_s3_the_systems_cas_are_trusted(serve, trusted, mode: str) -> None:
    """S3: without a context chain and name are verified, by the CAs of the system."""
    server = serve(tls=mode, accounts={"ann": "Gehe1m-pw"}, require_auth=True)
    trusted(server)
    with _secured(server, mode) as client:
        client.login("ann", "Gehe1m-pw")
        assert client.sendmail("a@x", "b@y", b"hi") == {}

    assert server.messages[0].tls


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("certificate", ["self-signed", "expired", "wrong-name"])
def test_s3_a_bad_certificate_is_refused(serve, trusted, mode: str, certificate: str) -> None:
    """S3: the standard module would go on; here the error of `ssl` comes through, and nothing is said."""
    server = serve(tls=mode, certificate=certificate, accounts={"ann": "Gehe1m-pw"})
    trusted(server)

    with pytest.raises(ssl.SSLCertVerificationError):
        _secured(server, mode)
    assert [line for line in server.lines if line.startswith(b"AUTH")] == []


@pytest.mark.parametrize("mode", MODES)
def test_a_context_of_the_callers_own(serve, mode: str) -> None:
    """It is used as it is; an address may stand in place of the name."""
    server = serve(tls=mode)
    context = ssl.create_default_context(cafile=server.ca_file)
    with _secured(server, mode, "127.0.0.1", context=context) as client:
        assert client.sendmail("a@x", "b@y", b"hi") == {}


@pytest.mark.parametrize("mode", MODES)
def test_the_python_2_forms(serve, trusted, mode: str) -> None:
    """`keyfile` and `certfile` by position: the client shows its own certificate, and still verifies."""
    server = serve(tls=mode)
    trusted(server)
    mine = server.client_certificate("ann.example")
    if mode == "implicit":
        client = smtplib.SMTP_SSL("localhost", server.port, "client.test", mine, mine, 5)
    else:
        client = smtplib.SMTP("localhost", server.port, timeout=5)
        assert client.starttls(mine, mine) == (220, b"2.0.0 go ahead")
    with client:
        client.noop()

    assert server.connections[0].client_certificate == ("ann.example",)


@pytest.mark.parametrize("name", ["keyfile", "certfile"])
def test_a_context_and_files_exclude_each_other(name: str) -> None:
    """With the standard text, before anything is said."""
    for call in (smtplib.SMTP_SSL, smtplib.SMTP().starttls):
        with pytest.raises(ValueError, match=f"^context and {name} arguments are mutually exclusive$"):
            call(context=ssl.create_default_context(), **{name: "file"})


def test_s3_a_file_that_cannot_be_used(serve) -> None:
    """S3: it is named before anything is said."""
    server = serve(tls="starttls")
    with (
        smtplib.SMTP("localhost", server.port, timeout=5) as client,
        pytest.raises(smtplib.SMTPInputError, match="/no"),
    ):
        client.starttls(certfile="/no/file")
    assert server.lines == [b"QUIT"]


@pytest.mark.parametrize("mode", MODES)
def test_without_a_host_at_first(serve, trusted, mode: str) -> None:
    """`SMTP()` and `SMTP_SSL()` verify the name that `connect` is given later, also the second time."""
    server = serve(tls=mode)
    trusted(server)
    client = smtplib.SMTP_SSL(timeout=5) if mode == "implicit" else smtplib.SMTP(timeout=5)
    for host in ("localhost", "127.0.0.1"):
        assert client.connect(f"{host}:{server.port}")[0] == 220
        if mode == "starttls":
            client.starttls()
        client.ehlo()
        assert isinstance(client.sock, ssl.SSLSocket)
        assert client.sock.server_hostname == host
        client.close()


@pytest.mark.parametrize("mode", MODES)
def test_a_name_that_the_program_has_set(serve, trusted, mode: str) -> None:
    """A program that connects by address and puts the name into `_host` is heard."""
    server = serve(tls=mode)
    trusted(server)
    client = smtplib.SMTP_SSL(timeout=5) if mode == "implicit" else smtplib.SMTP(timeout=5)
    client._host = "localhost"
    client.connect("127.0.0.1", server.port)
    if mode == "starttls":
        client.starttls()

    assert client.sock.server_hostname == "localhost"
    client.close()


@pytest.mark.parametrize("same_segment", [True, False])
@pytest.mark.parametrize("injected", [b"250 AUTH PLAIN\r\n", b"XYZ"])
def test_s1_octets_behind_the_220(serve, injected: bytes, same_segment: bool) -> None:
    """S1: the connection is closed, and no handshake and no AUTH follow."""
    server = serve(tls="starttls", accounts={"ann": "Gehe1m-pw"})
    server.inject_behind_starttls(injected, same_segment=same_segment)
    client = smtplib.SMTP("localhost", server.port, timeout=5)

    # In a second segment they may arrive during the handshake, which they break.
    with pytest.raises((smtplib.SMTPSecurityError, ssl.SSLError)) as caught:
        client.starttls(context=ssl.create_default_context(cafile=server.ca_file))
    assert isinstance(caught.value, smtplib.SMTPSecurityError) or not same_segment
    assert client.sock is None
    assert server.lines[1:] == [b"STARTTLS"]


def test_s1_what_was_said_in_clear_is_forgotten(serve) -> None:
    """RFC 3207 section 4.2: after STARTTLS nothing is known until EHLO is said again."""
    server = serve(tls="starttls", accounts={"ann": "Gehe1m-pw"})
    with smtplib.SMTP("localhost", server.port, timeout=5) as client:
        client.starttls(context=ssl.create_default_context(cafile=server.ca_file))
        assert (client.ehlo_resp, client.helo_resp, client.does_esmtp, client.esmtp_features) == (None, None, False, {})
        client.login("ann", "Gehe1m-pw")
        assert client.has_extn("auth")
        with pytest.raises(smtplib.SMTPNotSupportedError):
            client.starttls()


def test_s4_tls_is_private(serve, trusted) -> None:
    """S4: under TLS a password goes to any machine."""
    server = serve(tls="implicit", accounts={"ann": "Gehe1m-pw"})

    class Far(ssl.SSLSocket):
        def getpeername(self) -> tuple[str, int]:
            return "192.0.2.1", 465

    context = ssl.create_default_context(cafile=server.ca_file)
    context.sslsocket_class = Far
    with _secured(server, "implicit", context=context) as client:
        assert client.login("ann", "Gehe1m-pw")[0] == 235


def test_a_context_that_cannot_wrap(serve) -> None:
    """The connection is closed, whatever was wrong."""

    class Useless:
        def wrap_socket(self, plain: object, server_hostname: str) -> None:
            raise RuntimeError(server_hostname)

    server = serve(tls="implicit")
    with pytest.raises(RuntimeError, match="localhost"):
        smtplib.SMTP_SSL("localhost", server.port, context=Useless())
    server.wait_for(lambda: server.connections and server.connections[0].ended)


def test_a_refused_starttls(serve, dial) -> None:
    """The reply comes as an exception; the connection stays open."""
    server = serve(tls="starttls")
    server.answer("STARTTLS", b"454 not now\r\n")
    client = dial(server)

    with pytest.raises(smtplib.SMTPResponseException) as caught:
        client.starttls()
    assert caught.value.args == (454, b"not now")
    assert client.noop()[0] == 250


def test_s13_a_dripping_server_under_tls(serve, trusted) -> None:
    """S13: the deadline is the reply's there too."""
    server = serve(tls="implicit")
    trusted(server)
    client = _secured(server, "implicit")
    client.sock.settimeout(0.3)
    server.drip(0.1)

    with pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
        client.noop()


def test_s14_an_extra_reply_under_tls(serve, trusted) -> None:
    """S14: it is seen there too."""
    server = serve(tls="implicit")
    trusted(server)
    server.answer("NOOP", b"250 ok\r\n250 extra\r\n")
    client = _secured(server, "implicit")
    client.noop()

    with pytest.raises(smtplib.SMTPProtocolError):
        client.noop()


def test_t1_the_end_of_the_stream_after_221(serve, trusted) -> None:
    """T1: some servers end it without a word of TLS."""
    server = serve(tls="implicit")
    trusted(server)
    server.answer("QUIT", b"221 bye\r\n", then=Then.RESET)

    assert _secured(server, "implicit").quit() == (221, b"bye")


def test_t2_close_does_not_wait(serve, trusted) -> None:
    """T2: some servers never answer the end of TLS."""
    server = serve(tls="implicit")
    trusted(server)
    server.answer("QUIT", b"221 bye\r\n", then=Then.SILENCE)

    assert _secured(server, "implicit").quit() == (221, b"bye")


def test_the_wrong_mode_for_a_port(serve) -> None:
    """A TLS server that is talked to in clear, and the reverse: an error, not a hang."""
    with pytest.raises(ssl.SSLError):
        smtplib.SMTP_SSL("localhost", serve().port, timeout=5)
    with pytest.raises((smtplib.SMTPException, TimeoutError)):
        smtplib.SMTP("localhost", serve(tls="implicit").port, timeout=0.2)


def test_a_module_in_place_of_ssl(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in `smtplib.ssl` makes the context, where the caller gives none."""
    server = serve(tls="implicit")
    made = []

    class Theirs:
        @staticmethod
        def create_default_context() -> ssl.SSLContext:
            made.append(ssl.create_default_context(cafile=server.ca_file))
            return made[0]

    monkeypatch.setattr(smtplib, "ssl", Theirs)
    with smtplib.SMTP_SSL("localhost", server.port, timeout=5) as client:
        assert [client.context] == made
