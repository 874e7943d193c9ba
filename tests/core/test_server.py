"""Where and how to connect: checked before a byte is sent, and silent about its secrets."""

import dataclasses
import pickle
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from mailbridge import urls
from mailbridge.auth import MECHANISMS, Credentials, Mechanism, Secret, external
from mailbridge.errors import SMTPInputError
from mailbridge.server import RECIPIENTS, Security, Server, Timeouts, is_loopback
from tests.core.given import ODD_TEXT, SECRET, assert_hides_the_secret, complaint, raised

LOGIN: dict[str, Any] = {"username": "joe", "password": SECRET}


class Unhashable:
    """A token provider that compares by what it holds."""

    __hash__ = None  # type: ignore[assignment]  # as a dataclass with __eq__ has it

    def __call__(self, **options: bool) -> str:
        return SECRET


def test_the_same_configuration_is_the_same_key() -> None:
    """Equal servers are one key of a dictionary, another password is another; a provider need not be hashable."""
    one, same, other = (Server("h", **LOGIN | {"password": p}) for p in (SECRET, SECRET, "another"))
    assert len({one, same, other}) == 2
    assert hash(Server("h", username="joe", token_provider=Unhashable()))


def test_the_defaults_are_safe() -> None:
    """STARTTLS required, certificates verified, nobody logs in, every deadline finite."""
    server = Server("mail.example.com")

    assert (server.security, server.port, server.minimum_tls) == (Security.STARTTLS, 587, "TLSv1.2")
    assert not any((server.danger_accept_any_certificate, server.allow_plaintext_auth, server.wants_login))
    assert server.timeouts == Timeouts(connect=10, reply=30, content=120, send=300)
    assert server.max_recipients == RECIPIENTS


@pytest.mark.parametrize(
    ("options", "port"),
    [
        ({"security": "implicit"}, 465),
        ({"security": "starttls"}, 587),
        ({"security": "opportunistic"}, 25),
        ({"security": "none"}, 25),
        ({"lmtp": True}, 24),
        ({"port": 2525}, 2525),
        ({"host": "", "path": "/run/lmtp"}, 0),
    ],
)
def test_the_port_follows_the_security(options: dict[str, Any], port: int) -> None:
    """Unless it is given; a unix socket has none."""
    assert Server(**{"host": "h"} | options).port == port


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "needs a host, or the path"),
        ({"host": "h", "path": "/p"}, "not both"),
        ({"host": "h h"}, "'h h' is not a host name"),
        ({"host": "h\r\n"}, "'h\\r\\n' is not a host name"),
        ({"path": "/a\0b"}, "NUL"),
        ({"host": "h", "port": 65_536}, "a port is a number from 1 to 65535, not 65536"),
        ({"host": "h", "port": -1}, "not -1"),
        ({"host": "h", "port": "25"}, "not '25'"),
        ({"host": "h", "port": True}, "not True"),
        ({"host": "h", "security": "ssl"}, "security is one of implicit, starttls, opportunistic, none, not 'ssl'"),
        ({"host": "h", "security": None}, "not None"),
        ({"host": "h", "local_hostname": "two words"}, "local_hostname is one word of ASCII, not 'two words'"),
        ({"host": "h", "local_hostname": "h\r\nMAIL"}, "local_hostname"),
        ({"host": "h", "local_hostname": ""}, "local_hostname"),
        ({"host": "h", "max_recipients": 0}, "max_recipients is a number from 1, not 0"),
        ({"host": "h", "max_recipients": 1.5}, "not 1.5"),
        ({"host": "h", "timeouts": 10}, "timeouts is a Timeouts, not 10"),
        ({"host": "h", "auth": ["NTLM"]}, "unknown AUTH mechanism 'NTLM'"),
        ({"host": "h", "minimum_tls": "SSLv3"}, "minimum_tls is TLSv1.2 or TLSv1.3, not 'SSLv3'"),
        ({"host": "h", "client_key": "k"}, "client_key without client_cert"),
        ({"host": "h", "username": "joe", "password": 5}, "password is a string, not int"),
        ({"host": "h", "client_key_password": 5}, "client_key_password is a string, not int"),
        ({"host": "h", "password": "p"}, "without a username"),
        ({"host": "h", "token_provider": str}, "without a username"),
        ({"host": "h", **LOGIN, "token_provider": str}, "password and token_provider exclude each other"),
        ({"host": "h", **LOGIN, "security": "opportunistic"}, "opportunistic TLS never carries credentials"),
        ({"host": "h", **LOGIN, "security": "none"}, "credentials would travel in clear to h"),
        ({"host": 123}, "host is a string, not 123"),
        ({"host": "h.example:587"}, "'h.example:587' is not a host name or an address: give the port as port=587"),
        ({"host": "[::1]:25"}, "give the port as port=25"),
        ({"host": "1:2:3"}, "'1:2:3' is not a host name or an address"),
        ({"host": "smtp://joe:secret@h"}, "host is the name or address alone; a URL is for Server.from_url"),
        ({"host": "h", "username": 5}, "username is a string, not int"),
        ({"host": "h", "username": None}, "username is a string, not NoneType"),
        ({"host": "h", "username": "joe"}, "a username without password or token_provider"),
        ({"host": "h", "username": "joe", "auth": "PLAIN"}, "only auth=('EXTERNAL',) needs neither"),
        ({"host": "h", **LOGIN, "username": "joe\r\nQUIT"}, "username must not hold control characters"),
        ({"host": "h", **LOGIN, "username": "joe\ud800"}, "halves of surrogates"),
        ({"host": "h", **LOGIN, "authzid": "a\0b"}, "authzid must not hold control characters"),
        ({"host": "h", **LOGIN, "auth": "XOAUTH2"}, "auth names XOAUTH2, and this account has a password"),
        ({"host": "h", "username": "joe", "token_provider": str, "auth": ["PLAIN", "LOGIN"]}, "has a token"),
        ({"host": "h", "auth": "NTLM"}, "unknown AUTH mechanism 'NTLM'"),
        ({"host": "h", "auth": 5}, "auth is a list of mechanisms, not 5"),
        ({"host": "h", "username": "joe", "token_provider": 5}, "token_provider is a function that gives a token"),
        ({"host": "h", "local_hostname": 5}, "local_hostname is a string, not 5"),
        ({"host": "h", "minimum_tls": 1.2}, "minimum_tls is a string, not 1.2"),
        ({"host": "h", "ssl_context": True}, "ssl_context is an ssl.SSLContext, not True"),
        ({"host": "h", "ca_file": 5}, "ca_file is a path, a string without NUL, not 5"),
        ({"host": "h", "client_cert": b"c"}, "client_cert is a path, a string without NUL, not b'c'"),
        ({"host": "h", "ca_path": "a\0b"}, "ca_path is a path"),
        ({"path": None}, "path is a path"),
        ({"path": "/p", "security": "implicit"}, "a unix socket (path) has no TLS: leave out security=implicit"),
        ({"path": "/p", "security": "opportunistic"}, "leave out security=opportunistic"),
        ({"path": "/p", "ca_file": "f", "minimum_tls": "TLSv1.3"}, "leave out ca_file, minimum_tls"),
        ({"path": "/p", "ssl_context": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}, "leave out ssl_context"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], why: str) -> None:
    """What was wrong, the value where it is no secret, and what is allowed."""
    assert why in str(raised(SMTPInputError, lambda: Server(**options)))


@pytest.mark.parametrize("name", ["lmtp", "danger_accept_any_certificate", "pipelining", "chunking"])
@pytest.mark.parametrize("value", ["False", 1, None])
def test_a_truth_is_no_string(name: str, value: Any) -> None:
    """ "False" from the environment is never taken for true."""
    error = raised(SMTPInputError, lambda: Server("h", **{name: value}))

    assert f"{name} is True or False, not {value!r}" in str(error)


@pytest.mark.parametrize(
    "address", ["192.0.2.1", 5, ("192.0.2.1",), ("192.0.2.1", "25"), ("192.0.2.1", -1), ("a b", 0), (None, 25)]
)
def test_a_source_address_is_a_pair(address: Any) -> None:
    """Of an address, which may be empty, and a port."""
    error = raised(SMTPInputError, lambda: Server("h", source_address=address))

    assert f"source_address is an address and a port (0 for any), not {address!r}" in str(error)
    assert Server("h", source_address=["", 25]).source_address == ("", 25)


@pytest.mark.parametrize(
    "host", ["::1", "[::1]", "2001:db8::1", "fe80::1%eth0", "[fe80::1%eth0]", "192.0.2.1", "a.b-c"]
)
def test_a_host_is_a_name_or_an_address(host: str) -> None:
    """A literal with colons is no host with a port."""
    assert Server(host).host == host


def test_a_name_of_ones_own() -> None:
    """Any word without spaces, an address literal too."""
    assert Server("h", local_hostname="[192.0.2.1]").local_hostname == "[192.0.2.1]"


def test_a_file_may_be_a_path() -> None:
    """Whatever `os.fspath` knows."""
    server = Server("h", ca_file=Path("ca"), ca_path=Path("all"), client_cert=Path("cert"), client_key=Path("key"))

    assert (server.ca_file, server.ca_path, server.client_cert, server.client_key) == ("ca", "all", "cert", "key")
    assert Server(path=Path("/run/lmtp")).path == "/run/lmtp"


def test_mechanisms_in_one_string() -> None:
    """As in a URL: never letter by letter."""
    assert [one.name for one in Server("h", auth="plain,LOGIN").mechanisms] == ["PLAIN", "LOGIN"]


@pytest.mark.parametrize(
    "option",
    [
        {"ca_file": "f"},
        {"ca_path": "p"},
        {"client_cert": "c"},
        {"client_key_password": "p"},
        {"danger_accept_any_certificate": True},
        {"minimum_tls": "TLSv1.3"},
    ],
)
def test_a_context_of_ones_own_excludes_what_would_be_ignored(option: dict[str, Any]) -> None:
    """Nothing that the caller asks for is dropped in silence."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    error = raised(SMTPInputError, lambda: Server("h", ssl_context=context, **option))

    assert next(iter(option)) in str(error)
    assert Server("h", ssl_context=context).ssl_context is context


@pytest.mark.parametrize("value", [0, -1, 1_000_001, 1e300, float("inf"), float("nan"), True, "10", None])
@pytest.mark.parametrize("name", ["connect", "reply", "content", "send"])
def test_every_deadline_is_finite(name: str, value: Any) -> None:
    """And a positive number, of a size that every system can wait for."""
    error = raised(SMTPInputError, lambda: Timeouts(**{name: value}))

    assert f"the timeout '{name}' is above 0 and up to 1000000 seconds, not {value!r}" in str(error)


def test_patience() -> None:
    """RFC 5321 section 4.5.3.2: five minutes for a reply, ten after the dot."""
    assert (Timeouts.patient().reply, Timeouts.patient().content) == (300, 600)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LocalHost.", True),
        ("a.localhost", True),
        ("127.0.0.53", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost.example", False),
        ("notlocalhost", False),
        ("192.0.2.1", False),
        ("0.0.0.0", False),
    ],
)
def test_what_is_this_machine(host: str, loopback: bool) -> None:
    """By its name alone: nothing is looked up."""
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    "options",
    [{"host": "localhost"}, {"path": "/run/lmtp"}, {"host": "h", "allow_plaintext_auth": True}],
)
def test_s4_credentials_in_clear_stay_here_or_are_asked_for(options: dict[str, Any]) -> None:
    """Loopback, a unix socket, or the explicit flag."""
    assert Server(**options, **LOGIN, security=Security.NONE).may_log_in_plainly
    assert not Server("h", **LOGIN).may_log_in_plainly


@pytest.mark.parametrize(
    ("options", "wants"),
    [
        ({}, False),
        (LOGIN, True),
        ({"username": "joe", "token_provider": lambda: "t"}, True),
        ({"auth": ["PLAIN"]}, False),
        ({"auth": ["external"]}, True),
        ({"auth": [Mechanism("MINE", external, "nothing")]}, True),
    ],
)
def test_who_logs_in(options: dict[str, Any], wants: bool) -> None:
    """Who gave a name, or a mechanism by which the connection proves it."""
    assert Server("h", **options).wants_login is wants


def test_credentials() -> None:
    """The password, or a token in its place; the host without brackets."""
    server = Server("[::1]", 25, **LOGIN, authzid="ann", auth=["plain"])

    assert server.credentials() == Credentials("joe", Secret(SECRET), "ann", "::1", 25)
    assert server.credentials(Secret("t")).secret == Secret("t")
    assert Server(path="/run/lmtp").credentials() == Credentials(host="/run/lmtp")
    assert server.mechanisms == (MECHANISMS["PLAIN"],)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtps://mail.example.com", Server("mail.example.com", security=Security.IMPLICIT)),
        (f"submission://joe:{SECRET}@h", Server("h", **LOGIN)),
        ("smtp://h", Server("h", 25, security=Security.STARTTLS)),
        ("smtp://h:25?security=none", Server("h", 25, security=Security.NONE)),
        ("smtp://localhost", Server("localhost", security=Security.NONE)),
        ("smtp://localhost?security=starttls", Server("localhost", 25)),
        ("smtp+starttls://localhost", Server("localhost")),
        ("lmtp://[::1]", Server("[::1]", lmtp=True, security=Security.NONE)),
        ("lmtp:///run/lmtp", Server(path="/run/lmtp", lmtp=True)),
        ("smtp://h?timeout_send=5", Server("h", 25, timeouts=Timeouts(send=5))),
        ("smtp://h?auth=LOGIN&chunking=no", Server("h", 25, auth=("LOGIN",), chunking=False)),
    ],
)
def test_a_server_from_a_url(url: str, expected: Server) -> None:
    """`smtp://` requires STARTTLS, unless the host is this machine."""
    found = Server.from_url(url)

    assert dataclasses.replace(found, auth=found.mechanisms) == dataclasses.replace(expected, auth=expected.mechanisms)


def test_a_url_leaves_room_for_options() -> None:
    """What it cannot say is given beside it."""
    server = Server.from_url("smtp://joe@localhost", token_provider=str, security=Security.STARTTLS)

    assert server.token_provider is str
    assert server.security is Security.STARTTLS


@given(ODD_TEXT)
def test_any_url_is_a_server_or_an_input_error(text: str) -> None:
    """Nothing else is raised, whatever stands in it."""
    complaint(lambda: Server.from_url(text))
    complaint(lambda: Server.from_url(f"smtp://{text}"))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Server("h h", **LOGIN),
        lambda: Server("h", **LOGIN, minimum_tls="x"),
        lambda: Server("h", **LOGIN, security="none"),
        lambda: Server("h", **LOGIN, colour="red"),
        lambda: Server("h", username="joe", password=SECRET.encode(), port=-1),
        lambda: Server("h", password=SECRET),
        lambda: Server("h", client_key="k", client_key_password=SECRET),
        lambda: Server("h", username="joe", token_provider=SECRET),
        lambda: Server.from_url("smtp://joe@h", token_provider=SECRET.encode()),
        lambda: Server("h", **LOGIN, auth="XOAUTH2"),
        lambda: Server.from_url(f"smtp://joe:{SECRET}@h?auth=XOAUTH2"),
        lambda: Server.from_url(f"smtp://joe%00:{SECRET}@h"),
        lambda: Server("[::1]:25", **LOGIN),
        lambda: dataclasses.replace(Server("h", **LOGIN), port=-1),
        lambda: Server.from_url(f"smtp://joe:{SECRET}@h?colour=red"),
        lambda: Server.from_url(f"smtp://joe:{SECRET}@h:99999"),
        lambda: Server.from_url(f"smtp://joe:{SECRET}/@h"),
        lambda: Server.from_url(f"smtp://joe:{SECRET}@h?security=none"),
        lambda: Server.from_url(f"smtp://joe:{SECRET}@h?timeout_send=0"),
        lambda: Server.from_url(f"smtp://joe:{SECRET}@h h"),
        lambda: Server.from_url(f"http://joe:{SECRET}@h"),
        lambda: Server.from_url(f"smtp://joe:{SECRET}\ud800@h"),
        lambda: Server.from_url("smtp://joe@h?colour=red", password=SECRET),
        lambda: Server.from_url("smtp://joe@h", password=SECRET, colour="red"),
        lambda: Server.from_url(f"smtp://joe:{SECRET}@h", username="ann"),
    ],
)
def test_s16_a_wrong_server_does_not_show_its_secret(make: Callable[[], object]) -> None:
    """Neither the error, nor its pickle, nor a traceback with every local variable of ours."""
    assert_hides_the_secret(raised((SMTPInputError, TypeError), make))


def test_s16_a_server_does_not_show_its_secrets() -> None:
    """Its repr has them not at all, and it is not pickled with them."""
    server = Server("h", **LOGIN, client_cert="c", client_key_password=SECRET)

    assert SECRET not in repr(server)
    assert server.password == server.client_key_password == Secret(SECRET)
    assert_hides_the_secret(raised(TypeError, lambda: pickle.dumps(server)))


def test_a_server_without_secrets_goes_to_another_process() -> None:
    """As the value that it is."""
    server = Server("h", timeouts=Timeouts.patient())

    assert pickle.loads(pickle.dumps(server)) == server


@pytest.mark.parametrize(
    ("url", "options", "named"),
    [
        ("smtp://h:25", {"port": 3}, "port"),
        ("smtps://h", {"security": "starttls"}, "security"),
        (
            "smtps://u:secret@h?max_recipients=3",
            {"max_recipients": 4, "password": "hush-hush"},
            "max_recipients, password",
        ),
    ],
)
def test_what_a_url_says_is_not_said_again(url: str, options: dict[str, Any], named: str) -> None:
    """Two places that could disagree: the options are named, their values are not repeated."""
    said = complaint(lambda: Server.from_url(url, **options))
    assert f"the URL says {named} already: say it in one place" in said
    assert "hush-hush" not in said


def test_the_docstring_names_the_options_of_a_url() -> None:
    """README sends its readers there."""
    said = Server.from_url.__doc__ or ""
    assert [name for name in (*urls.OPTIONS, *urls.TIMEOUTS) if not re.search(rf"\b{name}\b", said)] == []
