"""S16, S19, S20: a reader of logs and error reports sees no secret, one line for each event, and what happened."""

import logging
from base64 import b64encode
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from mailbridge import smtplib
from mailbridge.testing import Then
from mailbridge_django import signals
from mailbridge_flask import email_dispatched
from tests.leaks import leaks, shown, spelled
from tests.security.faces import Classic, Face
from tests.security.letters import BOB, Letter

SECRET = "corr3ct hörse/battery%+"
FAILURES = {
    "refused": (b"535 5.7.8 no\r\n", Then.GO_ON),
    "closed": (b"", Then.CLOSE),
    "reset": (b"", Then.RESET),
    "garbage": (b"x\r\n", Then.GO_ON),
    "silent": (b"", Then.SILENCE),
}


def shows_nothing(
    face: Face, serve: Any, mechanism: str, events: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """However a login fails, the secret is in nothing that a reader sees."""
    caplog.set_level(logging.DEBUG)
    secrets = spelled(SECRET)
    way: dict[str, Any] = {"username": "ann", "password": SECRET}
    if "OAUTH" in mechanism:
        way = {"username": "ann", "token_provider": lambda **_: SECRET}
    for event, (raw, then) in product(events, FAILURES.values()):
        server = serve(accounts={"ann": SECRET}, auth=(mechanism,), extensions=())
        server.answer(event, raw, then=then)
        outcome = face.to(server, timeout=0.1 if then is Then.SILENCE else 5, **way).send(Letter())
        assert isinstance(outcome.error, smtplib.SMTPException), (event, raw, then)
        assert leaks(shown(outcome.error) + repr(outcome.receipt), secrets) == {}, (event, raw, then)
    assert leaks(caplog.text + repr([vars(record) for record in caplog.records]), secrets) == {}


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_s16_a_login_that_fails(face: Face, serve: Any, mechanism: str, caplog: pytest.LogCaptureFixture) -> None:
    """S16: however it fails, the secret is in no record, no transcript, no pickle and no variable of a frame."""
    shows_nothing(face, serve, mechanism, ("AUTH",) if mechanism == "PLAIN" else ("AUTH", "RESPONSE"), caplog)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER"])
def test_s16_a_newer_login_that_fails(face: Face, serve: Any, mechanism: str, caplog: pytest.LogCaptureFixture) -> None:
    """S16: nor is a token, nor the password behind SCRAM's proofs."""
    shows_nothing(face, serve, mechanism, ("AUTH", "RESPONSE") if "SCRAM" in mechanism else ("AUTH",), caplog)


@pytest.mark.parametrize("event", ["MAIL", "RCPT", "DATA", "CONTENT"])
def test_s16_a_letter_that_fails(face: Face, serve: Any, event: str, caplog: pytest.LogCaptureFixture) -> None:
    """S16: nor does a failure behind the login show what it was done with."""
    caplog.set_level(logging.DEBUG)
    for raw, then in FAILURES.values():
        server = serve(accounts={"ann": SECRET}, extensions=())
        server.answer(event, raw, then=then)
        outcome = face.to(server, "ann", timeout=0.1 if then is Then.SILENCE else 5).send(Letter())
        assert isinstance(outcome.error, smtplib.SMTPException), (raw, then)
        assert leaks(shown(outcome.error) + repr(outcome.receipt), spelled(SECRET)) == {}, (raw, then)
    assert leaks(caplog.text, spelled(SECRET)) == {}


def test_s16_a_server_that_repeats_it(face: Face, serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    """S16: a refusal that quotes the password, or the line that it came in, is not repeated."""
    caplog.set_level(logging.DEBUG)
    for words in (SECRET, response("ann")):
        server = serve(accounts={"ann": SECRET}, auth=("PLAIN",))
        server.answer("AUTH", f"535 5.7.8 not {words}\r\n".encode())
        outcome = face.to(server, "ann").send(Letter())
        assert "535" in repr(outcome.error)
        assert leaks(shown(outcome.error) + caplog.text, spelled(SECRET)) == {}, words


def response(user: str) -> str:
    """The initial response of PLAIN (RFC 4616)."""
    return b64encode(f"\0{user}\0{SECRET}".encode()).decode()


def test_s16_success(
    face: Face, serve: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """S16: where nothing fails nothing of it is written down, either; the face's own repr included."""
    caplog.set_level(logging.DEBUG)
    server = serve(accounts={"ann": SECRET}, require_auth=True)
    assert face.to(server, "ann").send(Letter()).delivered
    inner = [value for name, value in vars(face).items() if name != "way"]

    told = caplog.text + repr([vars(record) for record in caplog.records]) + repr(inner) + "".join(capfd.readouterr())
    assert leaks(told, spelled(SECRET)) == {}


def test_s16_the_search_finds_something() -> None:
    """Each spelling that the other tests look for would be found: as it is, escaped, and inside of base64."""
    secrets = spelled(SECRET)
    for text in (SECRET, repr(SECRET.encode()), "corr3ct%20h%C3%B6rse%2Fbattery%25%2B"):
        assert leaks(f"<{text}>", secrets), text
    for user in ("a", "an", "ann"):
        assert leaks(response(user), secrets), user


class Broken(logging.Handler):
    """A handler that fails at each record."""

    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError("the disk is full")


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A log handler that fails, on all our loggers."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    logger, handler = logging.getLogger("mailbridge"), Broken()
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)


@pytest.mark.usefixtures("broken")
def test_s19_a_log_handler_that_fails(face: Face, serve: Any) -> None:
    """S19: what was delivered is delivered, what was refused is refused."""
    server = serve()
    assert face.to(server).send(Letter()).delivered
    server.refuse(BOB)
    outcome = face.send(Letter())

    assert isinstance(outcome.error, smtplib.SMTPRecipientsRefused)
    assert len(server.messages) == 1


def test_s19_a_receiver_that_fails(face: Face, serve: Any) -> None:
    """S19: a signal's receiver changes nothing, whoever it belongs to."""

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug of the site's")

    server = serve()
    heard = (signals.message_sent, signals.message_failed, email_dispatched)
    for signal in heard:
        signal.connect(fail)
    try:
        assert face.to(server).send(Letter()).delivered
        server.refuse(BOB)
        assert isinstance(face.send(Letter()).error, smtplib.SMTPRecipientsRefused)
    finally:
        for signal in heard:
            signal.disconnect(fail)


NASTY = [
    b"550-a\x1b[2J\rFATAL\r\n550 ERROR forged\r\n",
    b"550 \xc2\x9b2J\xe2\x80\xa8ERROR forged\r\n",
    b"550 a\x07\x08\x00b\xff\r\n",
    b"550 " + b"y" * 3_000 + b"\r\n",
]


def test_s20_records(face: Face, serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    """S20: a server's words make one record of one line that a terminal can bear, and so do they in the error."""
    caplog.set_level(logging.DEBUG, "mailbridge")
    for reply in NASTY:
        for event in ("RCPT", "MAIL", "CONTENT", "AUTH", "GREETING"):
            server = serve(extensions=(), accounts={"ann": SECRET})
            server.answer(event, reply)
            outcome = face.to(server, "ann").send(Letter())
            assert outcome.error is not None
            for text in (str(outcome.error), *getattr(outcome.error, "transcript", ())):
                assert text.isprintable(), (event, reply)
    for record in caplog.records:
        assert record.getMessage().isprintable()
        assert len(record.getMessage()) < 2_500
        for refused in getattr(record, "refused", ()):
            assert (refused["text"] or "").isprintable()


def test_s20_an_address(face: Face, serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    """S20: so it is with what a user of a web form typed for an address."""
    caplog.set_level(logging.DEBUG, "mailbridge")
    server = serve()
    face.to(server)
    for address in ("a\x1b[2J@x", "a@x\nERROR forged", "a\u2028ERROR@x", "y" * 100_000):
        outcome = face.send(Letter(to=(address,), recipients=(address,)))
        assert str(outcome.error).isprintable(), address[:20]
        assert len(str(outcome.error)) < 2_500
    for record in caplog.records:
        assert record.getMessage().isprintable()
        assert len(record.getMessage()) < 2_500


def test_s20_debug_output(face: Face, serve: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """S20: the classic API's debug output is one line for each thing that was said."""
    assert isinstance(face, Classic)
    for reply in NASTY:
        server = serve(extensions=())
        face.to(server).send(Letter())
        server.answer("MAIL", reply)
        assert face.smtp is not None
        face.smtp.set_debuglevel(1)
        assert isinstance(face.send(Letter()).error, smtplib.SMTPException)
    printed = capsys.readouterr().err
    assert {line.partition(":")[0] for line in printed.splitlines()} == {"send", "reply"}
    assert printed.replace("\n", "").isprintable()
