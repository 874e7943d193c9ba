"""The MAIL_* keys: what they take, what they refuse and in which words."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from mailbridge import Secret, Security, SMTPInputError
from mailbridge_flask import Mail
from mailbridge_flask.config import Settings
from tests.leaks import shown


def settings(**keys: object) -> Settings:
    return Settings.of({f"MAIL_{key}": value for key, value in keys.items()})


def test_the_defaults_are_flask_mails() -> None:
    """Without a key mail goes to port 25 of this machine, as with Flask-Mail."""
    found = settings()

    assert (found.server, found.port, found.use_tls, found.use_ssl) == ("127.0.0.1", 25, False, False)
    assert (found.username, found.password, found.default_sender, found.max_emails) == (None, None, None, None)
    assert (found.debug, found.suppress, found.ascii_attachments) == (False, None, False)


def test_the_engine_gets_finite_deadlines() -> None:
    """Without MAIL_TIMEOUT the engine's own deadlines hold; with it, it bounds each wait."""
    usual, short = settings().describe().timeouts, settings(TIMEOUT="2.5").describe().timeouts

    assert (usual.connect, usual.reply, usual.content, usual.send) == (10, 30, 120, 300)
    assert (short.connect, short.reply, short.content, short.send) == (2.5, 2.5, 2.5, 300)


def test_the_pool_is_told_what_the_keys_say() -> None:
    """Strings of the environment are numbers; what no key says is left to the pool."""
    found = settings(MAX_CONNECTIONS="4", MAX_MESSAGES=9, MAX_IDLE="2.5", MAX_AGE=60, CLAIM_TIMEOUT=3)

    assert found.limits() == {
        "max_connections": 4,
        "max_idle": 2.5,
        "max_age": 60,
        "claim_timeout": 3,
        "max_messages": 9,
    }
    assert settings().limits() == {}


@pytest.mark.parametrize(("emails", "messages", "most"), [(7, None, 7), (7, 9, 7), (9, 7, 7), (0, 7, 7)])
def test_flask_mails_name_for_max_messages(emails: object, messages: object, most: int) -> None:
    """MAIL_MAX_EMAILS says it too; of two numbers the smaller one holds."""
    assert settings(MAX_EMAILS=emails, MAX_MESSAGES=messages).limits() == {"max_messages": most}


@pytest.mark.parametrize(("word", "meaning"), [("False", False), ("0", False), ("off", False), ("True", True)])
def test_a_flag_from_the_environment_means_what_it_says(word: str, meaning: bool) -> None:
    """The string "False" is not true."""
    assert settings(USE_SSL=word).use_ssl is meaning


@pytest.mark.parametrize(("level", "meaning"), [(0, False), (2, True), ("2", True), (True, True), ("no", False)])
def test_debug_may_be_a_level(level: object, meaning: bool) -> None:
    """Flask-Mail takes a number, as smtplib's debug level."""
    assert settings(DEBUG=level).debug is meaning


@pytest.mark.parametrize(
    ("keys", "security", "port"),
    [
        ({}, Security.NONE, 25),
        ({"USE_TLS": 1}, Security.STARTTLS, 25),
        ({"USE_TLS": True, "PORT": "587"}, Security.STARTTLS, 587),
        ({"USE_SSL": True}, Security.IMPLICIT, 465),
    ],
)
def test_tls_is_what_the_keys_say(keys: Mapping[str, object], security: Security, port: int) -> None:
    """MAIL_USE_TLS is STARTTLS, MAIL_USE_SSL is TLS from the first octet."""
    server = settings(**keys).describe()

    assert (server.security, server.port) == (security, port)
    assert not server.danger_accept_any_certificate


def test_an_empty_variable_is_none() -> None:
    """A key that is None or empty takes its default: a variable without a value sets nothing."""
    assert settings(PORT="", USERNAME="", MAX_EMAILS=None, USE_TLS="", SUPPRESS_SEND="") == Settings()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("USE_TLS", "maybe", "MAIL_USE_TLS='maybe': True or False is allowed"),
        ("USE_SSL", 2, "MAIL_USE_SSL=2: True or False is allowed"),
        ("PORT", "smtp", "MAIL_PORT='smtp': a number from 1 to 65535 is allowed"),
        ("PORT", 0, "MAIL_PORT=0: a number from 1 to 65535"),
        ("PORT", True, "MAIL_PORT=True: a number"),
        ("DEBUG", -1, "MAIL_DEBUG=-1: True or False is allowed"),
        ("SERVER", "h:587", "MAIL_SERVER='h:587': a name or an address alone is allowed; say MAIL_PORT=587"),
        ("MAX_EMAILS", -1, "MAIL_MAX_EMAILS=-1: a number from 0 is allowed"),
        ("MAX_CONNECTIONS", 0, "MAIL_MAX_CONNECTIONS=0: a number from 1 is allowed"),
        ("MAX_MESSAGES", "many", "MAIL_MAX_MESSAGES='many': a number from 1 is allowed"),
        ("MAX_IDLE", -1, "MAIL_MAX_IDLE=-1: a positive and finite number of seconds"),
        ("MAX_AGE", "inf", "MAIL_MAX_AGE='inf': a positive and finite number of seconds"),
        ("CLAIM_TIMEOUT", True, "MAIL_CLAIM_TIMEOUT=True: a positive and finite number of seconds"),
        ("REDIRECT_TO", "qa@", "MAIL_REDIRECT_TO='qa@': addresses are allowed"),
        ("ALLOW_DOMAINS", ["@example.org"], r"MAIL_ALLOW_DOMAINS=\['@example.org'\]: domains, such as example.com"),
        ("TIMEOUT", "inf", "MAIL_TIMEOUT='inf': a positive and finite number of seconds"),
        ("TIMEOUT", "1000001", "MAIL_TIMEOUT='1000001': a positive and finite number of seconds up to 1000000"),
        ("TIMEOUT", "soon", "MAIL_TIMEOUT='soon': a positive"),
        ("TIMEOUT", True, "MAIL_TIMEOUT=True: a positive"),
        ("USERNAME", 1.5, "MAIL_USERNAME=1.5: a string is allowed"),
        ("CA_FILE", "/nowhere/ca.pem", "MAIL_CA_FILE='/nowhere/ca.pem': the path of a file"),
        ("DEFAULT_SENDER", "a@b\r\nRCPT TO:<e@y>", "MAIL_DEFAULT_SENDER: .* is not an address"),
        ("DEFAULT_SENDER", ("Shop",), r"MAIL_DEFAULT_SENDER: .* \(name, address\)"),
        ("SUPPRESS_SEND", "nope", "MAIL_SUPPRESS_SEND='nope': True or False"),
    ],
)
def test_a_wrong_value_is_refused_by_name(key: str, value: object, words: str) -> None:
    """The error names the key, the value and what is allowed."""
    with pytest.raises(SMTPInputError, match=words):
        settings(**{key: value})


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"USE_TLS": True, "USE_SSL": True}, "MAIL_USE_TLS=True and MAIL_USE_SSL=True exclude each other"),
        ({"SERVER": "mail example"}, "MAIL_SERVER: 'mail example' is not a host name"),
        (
            {"SERVER": "mail.example.com", "USERNAME": "shop", "PASSWORD": "hunter2"},
            "would travel in clear to MAIL_SERVER='mail.example.com': set MAIL_USE_TLS=True",
        ),
    ],
)
def test_contradictions_are_refused_before_a_byte_is_sent(keys: Mapping[str, object], words: str) -> None:
    """S4: a wrong app does not start, and its error shows no secret."""
    app = Flask("shop")
    app.config.update({f"MAIL_{key}": value for key, value in keys.items()})
    with pytest.raises(SMTPInputError, match=words) as caught:
        Mail(app)

    assert "hunter2" not in str(caught.value)


def test_a_password_is_never_shown() -> None:
    """S16: neither the settings nor an error about the password repeat it."""
    assert "hunter2" not in repr(settings(USERNAME="shop", PASSWORD="hunter2"))
    with pytest.raises(SMTPInputError, match="MAIL_PASSWORD is a list") as caught:
        settings(PASSWORD=["hunter2"])
    assert "hunter2" not in str(caught.value)


def test_from_prefixed_env(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flask reads variables as JSON: numbers become strings where strings belong, a list is a sender."""
    monkeypatch.setenv("FLASK_MAIL_PORT", "2525")
    monkeypatch.setenv("FLASK_MAIL_PASSWORD", "12345")
    monkeypatch.setenv("FLASK_MAIL_DEFAULT_SENDER", json.dumps(["Shop", "shop@example.com"]))
    app = Flask("shop")
    app.config.from_prefixed_env()
    found = Settings.of(app.config)

    assert found.port == 2525
    assert found.password == Secret("12345")
    assert found.default_sender == ("Shop", "shop@example.com")


def test_a_ca_file_may_be_a_path(tmp_path: Path) -> None:
    """MAIL_CA_FILE takes a string or a Path."""
    file = tmp_path / "ca.pem"
    file.touch()

    assert settings(CA_FILE=file).ca_file == str(file)


@pytest.mark.parametrize(
    "wrong",
    [
        {"MAIL_PORT": "many"},
        {"MAIL_URL": "smtp://shop:hunter2@mail.example.com:2525?timeout_reply=soon"},
        {"MAIL_URL": ["smtp://shop:hunter2@mail.example.com"]},
        {"MAIL_PASSWORD": ["hunter2"]},
        {"MAIL_TOKEN_PROVIDER": "no.such.hunter2"},
        {"MAIL_MAILERS": {"bulk": {"PASSWORD": "hunter2", "PORT": "many"}}},
        {"MAIL_MAILERS": {"bulk": {"URL": "smtp://shop:hunter2@mail.example.com", "POST": 25}}},
    ],
    ids=repr,
)
def test_a_wrong_setting_shows_no_other(wrong: dict[str, Any]) -> None:
    """S16: an error tracker that records variables gets neither the password nor what else the app's config holds."""
    app = Flask("shop")
    app.config |= {"SECRET_KEY": "hunter2", "MAIL_USERNAME": "shop", "MAIL_PASSWORD": "hunter2", **wrong}
    with pytest.raises(SMTPInputError) as caught:
        Mail(app)
    assert "in Mail.init_app" in shown(caught.value)
    assert "hunter2" not in shown(caught.value)
