"""Settings and constructor arguments: how they are read, and what is said where they are wrong."""

import re
import traceback
import warnings
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from mailbridge import Security, Timeouts
from mailbridge_django import Backend, checks

from .conftest import HAS_MAILERS, READING_WARNS, Site

needs_mailers = pytest.mark.skipif(not HAS_MAILERS, reason="MAILERS came with Django 6.1")


@pytest.fixture
def plain(settings: Any) -> Any:
    """The settings of a site without MAILERS."""
    if HAS_MAILERS:
        del settings.MAILERS
    return settings


def refusal(site: Site, **options: Any) -> str:
    """What a site with these options is told."""
    site.set(**options)
    with pytest.raises((ImproperlyConfigured, ValueError)) as caught:
        site.backend()
    return str(caught.value)


def test_names_and_values_of_djangos_backend(site: Site, tmp_path: Path) -> None:
    """Each option is an attribute, as in Django's own backend."""
    (certificate := tmp_path / "cert.pem").touch()
    (key := tmp_path / "key.pem").touch()
    options = {"host": "mail.example.com", "port": 2525, "username": "ann", "password": "s3cret-horse", "use_tls": True}
    options |= {"use_ssl": False, "timeout": 7.5, "ssl_certfile": str(certificate), "ssl_keyfile": str(key)}
    site.set(**options)
    backend = site.backend()

    assert {name: getattr(backend, name) for name in options} == options
    server = backend.server
    assert (server.security, server.client_cert, server.client_key) == (Security.STARTTLS, str(certificate), str(key))


@pytest.mark.filterwarnings(*READING_WARNS.args if HAS_MAILERS else [])
def test_settings_are_read_without_a_warning(plain: Any) -> None:
    """Django 6.1 warns whoever reads EMAIL_* from outside of it; of ours a site could do nothing about that."""
    plain.EMAIL_HOST = "mail.example.com"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (Backend().host, checks.check_mailers(None)) == ("mail.example.com", [])


@pytest.mark.filterwarnings(*READING_WARNS.args if HAS_MAILERS else [])
def test_arguments_before_settings(plain: Any) -> None:
    """Ten of them may be given by position, in Django's order; an empty host or port counts for none."""
    plain.EMAIL_HOST, plain.EMAIL_PORT, plain.EMAIL_HOST_USER = "settings.example.com", 2525, "settings"
    backend = Backend("localhost", 26, "ann", "s3cret-horse", False, True, False, 5, None, None)
    assert (backend.host, backend.port, backend.username, backend.password) == ("localhost", 26, "ann", "s3cret-horse")
    assert (backend.fail_silently, backend.timeout) == (True, 5)

    backend = Backend("", 0, username="")
    assert (backend.host, backend.port, backend.username) == ("settings.example.com", 2525, "")


@pytest.mark.parametrize(
    ("options", "port"), [({}, 25), ({"use_tls": True}, 587), ({"use_ssl": True}, 465), ({"port": 26}, 26)]
)
@needs_mailers
def test_the_usual_port_of_a_mailer(settings: Any, options: dict[str, Any], port: int) -> None:
    """In MAILERS it follows from the mode, as in Django."""
    Site(settings, mailers=True).set(host="mail.example.com", **options)
    assert mail.mailers.default.port == port


def test_attributes_that_change(site: Site) -> None:
    """A program may change a backend before it opens it; what it says then counts."""
    site.set(host="mail.example.com")
    backend = site.backend()
    backend.host, backend.use_tls, backend.username, backend.password = "other.example.com", True, "ann", "s3cret-horse"

    assert (backend.server.host, backend.server.security) == ("other.example.com", Security.STARTTLS)
    assert backend.server.username == "ann"


def test_timeouts(site: Site) -> None:
    """They are finite by default; `timeout` bounds connecting and each reply, and never shortens a whole send."""
    site.set(host="mail.example.com")
    assert site.backend().server.timeouts == Timeouts()
    site.set(host="mail.example.com", timeout=4)
    assert site.backend().server.timeouts == Timeouts(4, 4, 4, 300)
    site.set(host="mail.example.com", timeout=500)
    assert site.backend().server.timeouts.send == 500


def test_values_from_the_environment(site: Site, tmp_path: Path) -> None:
    """Strings are read for what they say: "False" is not true."""
    (ca_file := tmp_path / "ca.pem").touch()
    site.set(host="localhost", port="2525", use_tls="False", use_ssl="true", timeout="2.5", ca_file=ca_file)
    backend = site.backend()

    assert (backend.port, backend.use_tls, backend.use_ssl) == (2525, False, True)
    assert (backend.timeout, backend.ca_file) == (2.5, str(ca_file))


def test_tls_and_ssl_exclude_each_other(site: Site) -> None:
    """Django's own words."""
    said = refusal(site, host="localhost", use_tls=True, use_ssl=True)

    assert said == (
        "MAILERS['default']: The 'use_ssl' and 'use_tls' OPTIONS are incompatible. Set at most one of them to True."
        if site.mailers
        else "EMAIL_USE_TLS/EMAIL_USE_SSL are mutually exclusive, so only set one of those settings to True."
    )


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("port", "smtp", "EMAIL_PORT is a port, a number from 1 to 65535, not 'smtp'"),
        ("port", 70_000, "EMAIL_PORT is a port, a number from 1 to 65535, not 70000"),
        ("port", -1, "EMAIL_PORT is a port, a number from 1 to 65535, not -1"),
        ("port", True, "EMAIL_PORT is a port, a number from 1 to 65535, not True"),
        ("host", 5, "EMAIL_HOST is a string, not 5"),
        ("host", "a b", "EMAIL_HOST: 'a b' is not a host name or an address"),
        ("use_tls", "maybe", "EMAIL_USE_TLS is True or False, not 'maybe'"),
        ("timeout", 0, "EMAIL_TIMEOUT is a positive number of seconds, not 0"),
        ("timeout", 1e9, "EMAIL_TIMEOUT: the timeout 'send' is above 0 and up to 1000000 seconds, not 1000000000.0"),
        ("timeout", "soon", "EMAIL_TIMEOUT is a positive number of seconds, not 'soon'"),
        ("timeout", float("inf"), "EMAIL_TIMEOUT is a positive number of seconds, not inf"),
        ("password", b"s3cret-horse", "EMAIL_HOST_PASSWORD is a string"),
        ("ca_file", 5, "MAILBRIDGE['ca_file'] is the path of a file, not 5"),
    ],
)
def test_a_wrong_value(site: Site, option: str, value: Any, expected: str) -> None:
    """The error names the setting, the value (never a secret) and what is allowed."""
    said = refusal(site, **{"host": "localhost", option: value})

    if site.mailers:
        place = re.compile(r"^(EMAIL_\w+|MAILBRIDGE\[\S+\])")
        expected = "MAILERS['default']: " + place.sub(f"OPTIONS[{option!r}]", expected)
    assert said == expected


@pytest.mark.filterwarnings(*READING_WARNS.args if HAS_MAILERS else [])
def test_an_empty_host(plain: Any) -> None:
    """Django has no default behind an empty EMAIL_HOST, and smtplib says nothing of use about it."""
    plain.EMAIL_HOST = ""
    with pytest.raises(ImproperlyConfigured, match=r"^EMAIL_HOST is a host name or an address, not ''$"):
        Backend()


def test_a_host_with_its_port(site: Site) -> None:
    """The error names the setting; no part of it goes to the resolver."""
    assert re.search(r"(EMAIL_HOST|OPTIONS\['host'\]): 'localhost:2525'", refusal(site, host="localhost:2525"))


def test_a_key_alone(site: Site) -> None:
    """A client's key needs its certificate; both are named as the site writes them."""
    said = refusal(site, host="localhost", ssl_keyfile="/key.pem")
    names = ("OPTIONS['ssl_keyfile']", "OPTIONS['ssl_certfile']")
    names = names if site.mailers else ("EMAIL_SSL_KEYFILE", "EMAIL_SSL_CERTFILE")
    assert said.endswith(f"{names[0]} without {names[1]}")


@pytest.mark.parametrize(("option", "setting"), [("ssl_certfile", "EMAIL_SSL_CERTFILE"), ("ca_file", "MAILBRIDGE")])
def test_a_file_that_is_not_there(site: Site, tmp_path: Path, option: str, setting: str) -> None:
    """It is said at once, not once for each message; without TLS it is not needed."""
    missing = str(tmp_path / "missing.pem")
    said = refusal(site, host="localhost", use_tls=True, **{option: missing})
    assert ("OPTIONS" if site.mailers else setting) in said
    assert "cannot be read" in said
    assert missing in said

    site.set(host="localhost", use_tls=False, **{option: missing})
    assert site.backend()


def test_a_password_in_clear(site: Site) -> None:
    """Credentials for another machine need TLS, or a word that says otherwise."""
    credentials = {"host": "mail.example.com", "username": "ann", "password": "s3cret-horse"}
    assert "credentials would travel in clear to mail.example.com" in refusal(site, **credentials)

    site.set(**credentials, allow_plaintext_auth=True)
    assert site.backend().server.security is Security.NONE


def test_a_password_is_in_no_traceback(site: Site) -> None:
    """Not even in one that shows local variables (WIRE.md S16)."""
    password = "hunter" + str(2)  # the lines of source in a traceback do not spell it
    site.set(host="mail.example.com", username="ann", password=password)
    with pytest.raises(ImproperlyConfigured) as caught:
        site.backend()
    stack = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    ours = {f"{frame.filename}: {frame.locals}" for frame in stack if "mailbridge" in frame.filename}

    assert any("backends.py" in frame for frame in ours)
    assert not [frame for frame in ours if "hunter2" in frame]


@pytest.mark.parametrize("ours", [{"cafile": "/ca.pem"}, ["ca_file"], "ca_file"])
def test_a_wrong_mailbridge_setting(site: Site, ours: Any) -> None:
    """MAILBRIDGE is a dictionary of known keys."""
    site.set(host="localhost")
    with override_settings(MAILBRIDGE=ours), pytest.raises(ImproperlyConfigured, match="MAILBRIDGE"):
        site.backend()


@needs_mailers
def test_mailbridge_is_for_all_mailers(settings: Any) -> None:
    """Its values are defaults; a mailer's own OPTIONS come first."""
    settings.MAILBRIDGE = {"ca_file": "/all.pem"}
    backend = {"BACKEND": "mailbridge_django.Backend"}
    settings.MAILERS = {
        "default": {**backend, "OPTIONS": {"host": "localhost"}},
        "bulk": {**backend, "OPTIONS": {"host": "localhost", "ca_file": "/bulk.pem"}},
    }
    assert (mail.mailers["default"].ca_file, mail.mailers["bulk"].ca_file) == ("/all.pem", "/bulk.pem")
    assert mail.mailers["bulk"].alias == "bulk"


@needs_mailers
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"host": "localhost", "colour": "red"}, "MAILERS['default']: Unknown options 'colour'."),
        ({"port": 25}, "MAILERS['default']: OPTIONS must define 'host'."),
        ({"host": ""}, "MAILERS['default']: OPTIONS must define 'host'."),
    ],
)
def test_a_mailer_that_is_wrong(settings: Any, options: dict[str, Any], expected: str) -> None:
    """It is reported as Django's own InvalidMailer."""
    assert refusal(Site(settings, mailers=True), **options) == expected
    assert issubclass(mail.InvalidMailer, ImproperlyConfigured)
