"""AUTH by the classic names, and what of it anybody may see (WIRE.md S4, S16)."""

import base64
import copy
import pickle
import socket
import sys
import traceback

import pytest

from mailbridge import smtplib
from mailbridge.testing import Then

PASSWORD = "Gehe1m-pässwort"
ENCODED = [base64.b64encode(text.encode()).decode() for text in (PASSWORD, f"\0ann\0{PASSWORD}")]


def _far(client: smtplib.SMTP) -> None:
    """Let the client's socket say that its peer is another machine."""

    class Far(socket.socket):
        def getpeername(self) -> tuple[str, int]:
            return "192.0.2.1", 25

    near = client.sock
    client.sock, client.file = Far(fileno=near.detach()), None
    client.sock.settimeout(5)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
@pytest.mark.parametrize("initial", [True, False])
def test_login(serve, dial, mechanism: str, initial: bool) -> None:
    """Each mechanism works, with an initial response and without; credentials go out in UTF-8."""
    server = serve(accounts={"änn": PASSWORD}, auth=(mechanism,))

    code, text = dial(server).login("änn", PASSWORD, initial_response_ok=initial)
    assert (code, text) == (235, b"2.7.0 welcome")
    assert server.connections[0].authenticated_as == "änn"


def test_the_order_and_the_next_after_a_535(serve, dial) -> None:
    """CRAM-MD5, PLAIN, LOGIN: after a refusal the next is tried, as in the standard module."""
    server = serve(accounts={"ann": "Gehe1m-pw"}, auth=("LOGIN", "PLAIN", "CRAM-MD5"))
    server.answer("AUTH", b"535 not me\r\n", times=2)

    assert dial(server).login("ann", "Gehe1m-pw")[0] == 235
    assert [line.split()[1] for line in server.lines if line.startswith(b"AUTH")] == [b"CRAM-MD5", b"PLAIN", b"LOGIN"]


def test_no_reply_ends_the_login(serve, dial) -> None:
    """What is no reply closes the connection, so there is no next mechanism."""
    server = serve(accounts={"ann": "Gehe1m-pw"})
    server.answer("AUTH", b"junk\r\n")

    with pytest.raises(smtplib.SMTPAuthenticationError, match="no reply"):
        dial(server).login("ann", "Gehe1m-pw")


def test_the_last_refusal_is_raised(serve, dial) -> None:
    """And the connection stays open."""
    client = dial(serve(accounts={"ann": "Gehe1m-pw"}))

    with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
        client.login("ann", "wrong")
    assert caught.value.args == (535, b"5.7.8 authentication failed")
    assert client.login("ann", "Gehe1m-pw")[0] == 235


def test_already_logged_in(serve, dial) -> None:
    """503 counts as success."""
    server = serve(accounts={"ann": "Gehe1m-pw"})
    server.answer("AUTH", b"503 already\r\n")

    assert dial(server).login("ann", "Gehe1m-pw") == (503, b"already")


def test_an_authobject(serve, dial) -> None:
    """A mechanism of the caller's own; a long answer waits for the 334 (SERVERS.md A6)."""
    token = "t" * 600
    server = serve(accounts={"ann": token}, auth=("XOAUTH2",))
    client = dial(server)
    client.ehlo()

    assert client.auth("xoauth2", lambda challenge=None: f"user=ann\1auth=Bearer {token}\1\1")[0] == 235
    assert server.lines[1] == b"AUTH XOAUTH2"


def test_a_long_password_waits_for_its_prompt(serve, dial) -> None:
    """The user name is the answer to the first prompt, once, whether it was an initial response or not."""
    server = serve(accounts={"a" * 500: "Gehe1m-pw"}, auth=("LOGIN",))

    assert dial(server).login("a" * 500, "Gehe1m-pw")[0] == 235


def test_an_empty_initial_response(serve, dial) -> None:
    """RFC 4954 section 4: it is sent as "="."""
    server = serve(accounts={"ann": "Gehe1m-pw"}, auth=("EXTERNAL",))
    client = dial(server)
    client.ehlo()
    client.auth("EXTERNAL", lambda challenge=None: "")

    assert server.lines[1] == b"AUTH EXTERNAL ="


def test_a_challenge_that_is_none(serve, dial) -> None:
    """RFC 4954 section 4: the client gives up by "*"."""
    server = serve(accounts={"ann": "Gehe1m-pw"}, auth=("LOGIN",))
    server.answer("AUTH", b"334 abc\r\n")
    client = dial(server)

    with pytest.raises(smtplib.SMTPAuthenticationError):
        client.login("ann", "Gehe1m-pw")
    assert server.lines[-1] == b"*"
    assert client.noop()[0] == 250


def test_md5_may_be_missing(serve, dial, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where OpenSSL knows no MD5, CRAM-MD5 is passed over."""

    def no_md5(*args: object) -> None:
        raise ValueError("[digital envelope routines] unsupported")

    monkeypatch.setattr("hmac.new", no_md5)
    server = serve(accounts={"ann": "Gehe1m-pw"}, auth=("CRAM-MD5", "PLAIN"))

    assert dial(server).login("ann", "Gehe1m-pw")[0] == 235


def test_s4_auth_in_clear_is_refused(serve, dial) -> None:
    """S4: to another machine nothing of AUTH is written, by no method; the connection stays open."""
    server = serve(accounts={"ann": PASSWORD})
    client = dial(server)
    _far(client)

    for attempt in (
        lambda: client.login("ann", PASSWORD),
        lambda: client.auth("PLAIN", lambda challenge=None: "x"),
        lambda: client.docmd("auth", "PLAIN x"),
        lambda: client.docmd("AUTH PLAIN x"),
        lambda: client.send("AUTH PLAIN x\r\n"),
        lambda: client.send(b"AUTH PLAIN x\r\n"),
        lambda: client.send(b"auth\tPLAIN x\r\n"),
    ):
        with pytest.raises(smtplib.SMTPSecurityError, match="in clear"):
            attempt()
    assert client.noop()[0] == 250
    assert server.lines == [b"ehlo client.test", b"noop"]


def test_s4_content_is_no_command(serve, dial) -> None:
    """S4: behind the 354 to DATA, text may begin with that word, as often as a program sends a piece."""
    server = serve()
    client = dial(server)
    _far(client)
    client.helo()
    client.mail("a@x")
    client.rcpt("b@y")
    client.docmd("data")
    client.send("Auth codes\r\n")
    client.send(b"Auth them\r\n.\r\n")

    assert client.getreply()[0] == 250
    assert server.messages[0].content.endswith(b"Auth codes\r\nAuth them\r\n")
    server.answer("NOOP", b"250 ok\r\n250 extra\r\n")
    client.noop()
    with pytest.raises(smtplib.SMTPProtocolError):
        client.noop()


def test_s4_a_354_to_something_else_invites_nothing(serve, dial) -> None:
    """S4: a server cannot pass off AUTH as content."""
    server = serve()
    server.answer("NOOP", b"354 go on\r\n")
    client = dial(server)
    _far(client)

    assert client.noop()[0] == 354
    with pytest.raises(smtplib.SMTPSecurityError):
        client.send(b"AUTH PLAIN x\r\n")


def test_s4_auth_in_clear_can_be_allowed(serve, dial) -> None:
    """S4: by an attribute, of the object or the class."""
    client = dial(serve(accounts={"ann": "Gehe1m-pw"}))
    _far(client)
    client.allow_plaintext_auth = True

    assert client.login("ann", "Gehe1m-pw")[0] == 235
    assert smtplib.SMTP.allow_plaintext_auth is False


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
@pytest.mark.parametrize("initial", [True, False])
def test_s16_debug_output(serve, dial, mechanism: str, initial: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """S16: AUTH and every answer to a 334 are hidden."""
    client = dial(serve(accounts={"ann": PASSWORD}, auth=(mechanism,)))
    client.set_debuglevel(1)
    client.login("ann", PASSWORD, initial_response_ok=initial)
    client.noop()

    printed = capsys.readouterr().err
    sent = [line for line in printed.splitlines() if line.startswith("send: ")][1:]
    with_initial = initial and mechanism != "CRAM-MD5"
    assert sent[0] == (
        f"send: 'AUTH {mechanism} [hidden]\\r\\n'" if with_initial else f"send: 'AUTH {mechanism}\\r\\n'"
    )
    assert set(sent[1:-1]) <= {"send: '[hidden]\\r\\n'"}
    assert sent[-1] == "send: 'noop\\r\\n'"
    assert not any(secret in printed for secret in (PASSWORD, *ENCODED))


def test_s16_debug_output_of_auth_by_hand(serve, dial, capsys: pytest.CaptureFixture[str]) -> None:
    """S16: however a program says AUTH."""
    client = dial(serve(accounts={"ann": "another"}))
    client.set_debuglevel(1)
    client.ehlo()
    client.docmd("auth", "PLAIN " + ENCODED[1])
    client.docmd("AUTH PLAIN " + ENCODED[1])
    client.docmd("AUTH LOGIN")
    client.send(ENCODED[0] + "\r\n")
    client.getreply()
    client.docmd(ENCODED[0])
    client.send(f"AUTH PLAIN {ENCODED[1]}\r\n".encode())
    client.getreply()
    client.docmd("AUTH LOGIN")
    client.send(f"{ENCODED[0]}\r\n".encode())
    client.getreply()

    printed = capsys.readouterr().err
    sent = [line for line in printed.splitlines() if line.startswith("send: ")][1:]
    assert [line[7:-5] for line in sent] == [
        *("auth PLAIN [hidden]", "AUTH PLAIN [hidden]", "AUTH LOGIN", "[hidden]", "[hidden]"),
        *("AUTH PLAIN [hidden]", "AUTH LOGIN", "[hidden]"),
    ]
    assert not any(secret in printed for secret in (PASSWORD, *ENCODED))


def test_s16_nothing_sent_by_hand_is_kept(serve, dial) -> None:
    """S16: the client remembers what awaits its reply, not what is in it."""
    client = dial(serve(accounts={"ann": "another"}))
    client.ehlo()
    client.docmd("AUTH LOGIN")
    client.send("GEHEIM\r\n")
    assert "GEHEIM" not in repr(vars(client))
    client.getreply()
    client.send("AUTH PLAIN GEHEIM\r\n")
    assert "GEHEIM" not in repr(vars(client))


def test_s16_audit_events(serve, dial) -> None:
    """S16: an audit hook sees what debug output shows."""
    seen: list[bytes] = []
    listening = [True]
    sys.addaudithook(lambda event, args: seen.append(args[1]) if event == "smtplib.send" and listening[0] else None)
    dial(serve(accounts={"ann": PASSWORD})).login("ann", PASSWORD)
    listening[0] = False

    assert seen == [b"ehlo client.test\r\n", b"[hidden]"]


@pytest.mark.parametrize("step", ["AUTH", "RESPONSE"])
@pytest.mark.parametrize("how", [Then.CLOSE, Then.RESET, None])
def test_s16_tracebacks(serve, dial, step: str, how: Then | None) -> None:
    """S16: no frame of ours, nor of `ssl` below us, shows the password in its variables."""
    server = serve(accounts={"ann": PASSWORD}, auth=("LOGIN",))
    server.answer(step, b"535 no\r\n" if how is None else b"", then=how or Then.GO_ON)
    client = dial(server)
    with pytest.raises(smtplib.SMTPException) as caught:
        client.login("ann", PASSWORD, initial_response_ok=False)

    error = caught.value
    error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next  # this test's own frame knows it
    shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "in login" in shown
    assert not any(secret in shown for secret in (PASSWORD, *ENCODED, repr(PASSWORD)))


@pytest.mark.parametrize(("mechanism", "step", "encoded"), [("PLAIN", "AUTH", 1), ("LOGIN", "RESPONSE", 0)])
def test_s16_a_server_that_repeats_it(
    serve, dial, mechanism: str, step: str, encoded: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """S16: of a refusal that quotes the password or its line only the code is kept, and debug output hides it."""
    for words in (PASSWORD, ENCODED[encoded]):
        server = serve(accounts={"ann": PASSWORD}, auth=(mechanism,))
        server.answer(step, f"535-no\r\n535 <{words}>\r\n".encode())
        client = dial(server)
        client.set_debuglevel(1)
        with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
            client.login("ann", PASSWORD)
        assert caught.value.smtp_error == b"[hidden: it repeats a secret]"
        printed = capsys.readouterr().err
        assert "reply: b'535-no" in printed
        assert not any(form in printed for form in (words, repr(words.encode())[2:-1]))


def test_s16_repr_and_pickle(serve, dial) -> None:
    """S16: the object keeps user and password, as the standard one does, and shows them to nobody."""
    client = dial(serve(accounts={"ann": PASSWORD}))
    client.login("ann", PASSWORD)
    client.quit()

    assert (client.user, client.password) == ("ann", PASSWORD)
    assert PASSWORD not in f"{client!r} {client.__dict__!r}"
    for give in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="never pickled"):
            give(client)


def test_s16_a_line_that_is_too_long(serve, dial) -> None:
    """S16: the error about it does not repeat it."""
    client = dial(serve(accounts={"ann": "Gehe1m-pw"}))
    client.ehlo()
    with pytest.raises(smtplib.SMTPInputError) as caught:
        client.auth("PLAIN", lambda challenge=None: "secret" * 3_000, initial_response_ok=False)

    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert base64.b64encode(b"secretsecret").decode() not in shown
    assert str(caught.value) == "'[hidden]\\r\\n' holds a control octet, or more than 12288 octets"
