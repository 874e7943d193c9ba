"""A server as one URL, our own options, and two places that do not say the same."""

import traceback
from typing import Any

import pytest
from django.core import mail
from django.core.exceptions import ImproperlyConfigured

from mailbridge import Security, Timeouts
from mailbridge.testing import ScriptedServer
from mailbridge_django import Backend, conf

from .conftest import HAS_MAILERS, READING_WARNS, Site, mails

URL = "smtps://ann:secret@mail.example.com"


@pytest.fixture
def plain(settings: Any) -> Any:
    """The settings of a site without MAILERS."""
    if HAS_MAILERS:
        del settings.MAILERS
    return settings


def test_a_url_says_it_all(site: Site) -> None:
    """Host, port, security and login of one string; the attributes are Django's."""
    site.set(url=URL)
    backend = site.backend()
    assert (backend.host, backend.port, backend.use_ssl, backend.use_tls) == ("mail.example.com", 465, True, False)
    assert (backend.username, backend.password) == ("ann", "secret")
    assert backend.server.security is Security.IMPLICIT


def test_a_message_by_url(site: Site, smtp_server: ScriptedServer) -> None:
    """It is sent where the URL says."""
    site.set(url=smtp_server.url)
    assert site.backend().send_messages(mails("bob@example.org")) == 1


def test_a_unix_socket(site: Site) -> None:
    """LMTP over a unix socket has neither host nor port."""
    with ScriptedServer(lmtp=True, unix=True) as server:
        site.set(url=server.url)
        assert site.backend().send_messages(mails("bob@example.org")) == 1


def test_what_only_a_url_says(site: Site) -> None:
    """An attribute of the server that is no option of ours reaches it all the same."""
    site.set(url=URL + "?minimum_tls=TLSv1.3&timeout_reply=7")
    server = site.backend().server
    assert (server.minimum_tls, server.timeouts) == ("TLSv1.3", Timeouts(reply=7))


@pytest.mark.parametrize(
    ("url", "security"),
    [
        ("smtp://mail.example.com", Security.STARTTLS),
        ("smtp://localhost", Security.NONE),
        ("smtp://mail.example.com?security=opportunistic", Security.OPPORTUNISTIC),
        ("submission://localhost", Security.STARTTLS),
    ],
)
def test_the_security_of_a_url(site: Site, url: str, security: Security) -> None:
    """As in the core: a URL that leaves it open requires STARTTLS, unless the host is this machine."""
    site.set(url=url)
    assert site.backend().server.security is security


def test_options_before_the_url(site: Site) -> None:
    """An option of ours that the URL says as well wins; what it does not say comes from the URL."""
    site.set(url=URL + "?max_recipients=7&local_hostname=a.example", max_recipients="9", ca_file=None)
    server = site.backend().server
    assert (server.max_recipients, server.local_hostname) == (9, "a.example")


def test_all_that_the_server_takes(site: Site) -> None:
    """Each option of ours that describes the server describes it."""
    options = {"security": "starttls", "auth": "PLAIN, LOGIN", "pipelining": "no", "chunking": False, "deadline": "9"}
    site.set(host="mail.example.com", timeouts={"connect": 2}, local_hostname="a.example", **options)
    server = site.backend().server
    assert (server.security, [one.name for one in server.mechanisms]) == (Security.STARTTLS, ["PLAIN", "LOGIN"])
    assert (server.pipelining, server.chunking, server.local_hostname) == (False, False, "a.example")
    assert server.timeouts == Timeouts(connect=2, send=9)


def token(*, force_refresh: bool = False) -> str:
    """A provider for the tests."""
    return "token"


@pytest.mark.parametrize("provider", [token, f"{__name__}.token"])
def test_a_token_provider(site: Site, provider: Any) -> None:
    """It is a callable or the dotted path of one."""
    site.set(host="mail.example.com", use_tls=True, username="ann", token_provider=provider)
    found = site.backend().server.token_provider
    assert found is not None
    assert found() == "token"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"host": "other.example.com"}, r"'?host'?\]?|EMAIL_HOST"),
        ({"security": "starttls"}, "security"),
        ({"use_tls": True}, r"use_tls|EMAIL_USE_TLS"),
        ({"use_ssl": False}, r"use_ssl|EMAIL_USE_SSL"),
    ],
)
def test_two_places_that_disagree(site: Site, options: dict[str, Any], words: str) -> None:
    """Which one wins is nobody's guess."""
    site.set(url=URL, **options)
    with pytest.raises(ImproperlyConfigured, match=rf"({words}).*disagree: leave one out"):
        site.backend()


def test_two_places_that_agree(site: Site) -> None:
    """The same host and the same security may be said twice."""
    site.set(url=URL, host="mail.example.com", use_ssl=True, use_tls=False, security="implicit")
    assert site.backend().server.security is Security.IMPLICIT


@pytest.mark.filterwarnings(*READING_WARNS.args if HAS_MAILERS else [])
def test_email_settings_fill_what_the_url_leaves_open(plain: Any) -> None:
    """A password may stay in a setting of its own."""
    plain.MAILBRIDGE = {"url": "smtps://ann@mail.example.com"}
    plain.EMAIL_HOST_PASSWORD = "secret"
    backend = Backend()
    assert (backend.host, backend.username, backend.password) == ("mail.example.com", "ann", "secret")


@pytest.mark.filterwarnings(*READING_WARNS.args if HAS_MAILERS else [])
def test_an_argument_takes_the_place_of_the_settings(plain: Any) -> None:
    """A program that gives a URL means it, whatever EMAIL_HOST says."""
    plain.EMAIL_HOST, plain.EMAIL_USE_TLS = "settings.example.com", True
    assert Backend(url=URL).host == "mail.example.com"


@pytest.mark.filterwarnings(*READING_WARNS.args if HAS_MAILERS else [])
def test_email_use_tls_false_stays_plain(plain: Any) -> None:
    """It is what the site says, and a check warns."""
    plain.MAILBRIDGE = {"url": "smtp://mail.example.com"}
    plain.EMAIL_USE_TLS = False
    assert Backend().server.security is Security.NONE


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("url", "http://mail.example.com", "a server URL begins with"),
        ("security", "tls", "is one of implicit, starttls, opportunistic, none, not 'tls'"),
        ("auth", 5, "is a list of strings, or one string with commas, not 5"),
        ("token_provider", "no.such.path", "is a callable that gives a token, or the dotted path of one$"),
        ("timeouts", {"conect": 5}, "is a dictionary of seconds by name: connect, reply, content, send, not"),
        ("timeouts", {"connect": 0}, "is a positive number of seconds"),
        ("deadline", -1, "is a positive number of seconds, not -1"),
        ("max_recipients", 0, "is a whole number from 1, not 0"),
        ("max_recipients", True, "is a whole number from 1, not True"),
        ("deadline", "soon", "is a positive number of seconds, not 'soon'"),
        ("pipelining", "maybe", "is True or False, not 'maybe'"),
        ("on_partial", "deliver", "is one of signal, raise, abort, not 'deliver'"),
        ("on_commit", 5, "is True, False or the alias of a database, not 5"),
        ("on_commit", "nowhere", "names no database of DATABASES: 'nowhere'"),
        ("log_addresses", "some", "is one of full, masked, none, not 'some'"),
        ("redirect_to", "not an address", "redirect_to or allow_domains: "),
        ("allow_domains", "@a.example", "redirect_to or allow_domains: '@a.example' is not a domain"),
        ("allow_domains", 5, "is a list of strings"),
    ],
)
def test_a_wrong_value(site: Site, option: str, value: Any, words: str) -> None:
    """It is refused when the backend is made, in a sentence that says what is allowed."""
    site.set(**({} if option == "url" else {"host": "localhost"}), **{option: value})
    with pytest.raises(ImproperlyConfigured, match=words):
        site.backend()


@pytest.mark.parametrize(
    ("options", "expected"), [({"pipelining": "False"}, False), ({"pipelining": ""}, None), ({"pipelining": "1"}, True)]
)
def test_flags_from_the_environment(site: Site, options: dict[str, Any], expected: object) -> None:
    """The word "False" is false, and a variable without a value says nothing."""
    site.set(host="localhost", **options)
    assert vars(site.backend())["pipelining"] is expected


def test_two_names_for_one_thing(site: Site, tmp_path: Any) -> None:
    """A certificate has our name and Django's; in one place only one of them may stand."""
    with pytest.raises(ImproperlyConfigured, match="are the same: leave one out"):
        conf.gather(None, {"client_cert": "a.pem", "ssl_certfile": "b.pem"})
    site.set(host="localhost", client_cert="a.pem")
    assert site.backend().ssl_certfile == "a.pem"


def test_a_password_in_a_url_is_in_no_traceback(site: Site) -> None:
    """Not even in one that shows local variables (WIRE.md S16)."""
    site.set(url="smtps://ann:hunter" + "%32@mail.example.com?colour=red")
    with pytest.raises(ImproperlyConfigured, match="colour") as caught:
        site.backend()
    stack = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    ours = [f"{frame.filename}: {frame.locals}" for frame in stack if "/mailbridge" in frame.filename]
    assert ours
    assert not [frame for frame in ours if "hunter" in frame]


def test_a_password_beside_a_wrong_key_is_in_no_traceback(site: Site, settings: Any) -> None:
    """The setting that holds both is complained about without being shown."""
    site.set(host="localhost")
    settings.MAILBRIDGE = {"url": "smtps://ann:hunter" + "%32@mail.example.com", "colour": "red"}
    with pytest.raises(ImproperlyConfigured, match="has no key 'colour'") as caught:
        site.backend()
    stack = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    assert not [frame for frame in stack if "/mailbridge_django" in frame.filename and "hunter" in str(frame.locals)]


@pytest.mark.skipif(not HAS_MAILERS, reason="MAILERS came with Django 6.1")
def test_mailers_by_url(settings: Any) -> None:
    """MAILBRIDGE names the server of all mailers; one of them may have its own."""
    settings.MAILBRIDGE = {"url": URL}
    backend = {"BACKEND": "mailbridge_django.Backend"}
    settings.MAILERS = {"default": backend, "bulk": {**backend, "OPTIONS": {"url": "smtp://localhost"}}}
    assert (mail.mailers["default"].host, mail.mailers["bulk"].host) == ("mail.example.com", "localhost")
