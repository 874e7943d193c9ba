"""Server URLs: everything in one string, and no secret in any error."""

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailbridge import urls
from mailbridge.auth import Secret
from mailbridge.errors import SMTPInputError
from tests.core.given import ODD_TEXT, SECRET, complaint, raised
from tests.leaks import shown

ENCODABLE = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://h", {"host": "h", "port": 25}),
        ("SMTPS://h:465", {"host": "h", "port": 465, "security": "implicit"}),
        ("smtp+starttls://h/", {"host": "h", "port": 587, "security": "starttls"}),
        ("submission://h", {"host": "h", "port": 587, "security": "starttls"}),
        ("smtp://[2001:db8::1]:25", {"host": "[2001:db8::1]", "port": 25}),
        ("smtp://[fe80::1%25eth0]", {"host": "[fe80::1%eth0]", "port": 25}),
        ("lmtp://h:24", {"host": "h", "port": 24, "lmtp": True}),
        ("lmtp:///run/a%20b.sock", {"path": "/run/a b.sock", "security": "none", "lmtp": True}),
        ("smtp://joe@h", {"host": "h", "port": 25, "username": "joe"}),
        ("smtp://joe:a:b@h", {"host": "h", "port": 25, "username": "joe", "password": Secret("a:b")}),
        ("smtp://joe:@h", {"host": "h", "port": 25, "username": "joe", "password": Secret("")}),
        ("smtp://a%40b:%2F%3A%FF@h", {"host": "h", "port": 25, "username": "a@b", "password": Secret(b"/:\xff")}),
        ("smtp://a@b:c@d@h", {"host": "h", "port": 25, "username": "a@b", "password": Secret("c@d")}),
        ("smtp://h?", {"host": "h", "port": 25}),
        ("smtp://h?security=none&&auth=PLAIN,LOGIN", {"security": "none", "auth": ("PLAIN", "LOGIN")}),
        ("smtps://h?security=implicit", {"security": "implicit"}),
        ("smtp://h?ca_file=/a+b%26c&pipelining=No&chunking=TRUE", {"ca_file": "/a+b&c", "pipelining": False}),
        ("smtp://h?max_recipients=100&source_address=[::1]:9", {"max_recipients": 100, "source_address": ("::1", 9)}),
        ("smtp://h?source_address=192.0.2.1", {"source_address": ("192.0.2.1", 0)}),
        ("smtp://h?timeout_reply=2.5&timeout_send=60", {"timeouts": {"reply": 2.5, "send": 60.0}}),
    ],
)
def test_a_url_is_taken_apart(url: str, expected: dict[str, object]) -> None:
    """Scheme, user, password, host, port, path and options; each percent-decoded."""
    found = urls.parse(url)

    assert {"lmtp": False} | found | expected == {"lmtp": False} | found


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "begins with one of smtp://, smtps://"),
        ("mail.example.com:587", "begins with one of"),
        ("http://h", "lmtp://, not http://"),
        ("u:secret://h", "begins with one of smtp://, smtps://, smtp+starttls://, submission://, lmtp://"),
        ("smtp:/h", "begins with one of"),
        ("smtp://h\n", "line ends"),
        ("smtp://h\ud800", "control characters"),
        ("smtp://", "not host or host:port: ''"),
        ("smtp://h:port", "not host or host:port: 'h' and what follows"),
        ("smtp://:25", "not host"),
        ("smtp://[::1", "not host"),
        ("smtp://h:0", "a port is a number from 1 to 65535, not 0"),
        ("smtp://h:65536", "not 65536"),
        ("smtp://h/path", "a path ('/path') belongs only in lmtp"),
        ("lmtp://h/path", "belongs only in lmtp:///path"),
        ("lmtp://", "not host"),
        ("lmtp:///p?security=starttls", "the scheme says none, the option security=starttls: leave one out"),
        ("smtps://h?security=%0A%1B[2J", r"the option security=\n\x1b[2J: leave one out"),
        ("smtp://h#x", "as %40 %2F %3F %23 %25"),
        ("smtp://h?colour=red", "unknown option 'colour' in a server URL; allowed are allow_plaintext_auth, auth,"),
        ("smtp://h?pipelining=maybe", "the option pipelining is true or false, not 'maybe'"),
        ("smtp://h?pipelining", "the option pipelining has no value"),
        ("smtp://h?ca_file=", "the option ca_file has no value in a server URL: leave it out"),
        ("smtp://h?timeout_send=", "the option timeout_send has no value"),
        ("smtp://h?auth=PLAIN&auth=LOGIN", "the option auth stands twice"),
        ("smtp://h?timeout_send=1&timeout_send=1", "the option timeout_send stands twice"),
        ("smtp://h?max_recipients=-1", "a whole number, not '-1'"),
        ("smtp://h?max_recipients=٣", "a whole number"),
        ("smtp://h?timeout_reply=soon", "timeout_reply is a number of seconds"),
        ("smtp://h?timeout_reply=1e9", "a number of seconds"),
        ("smtp://h?source_address=:25", "address or address:port"),
        ("smtp://h?source_address=a:b", "address or address:port"),
        ("smtps://h?security=none", "the scheme says implicit, the option security=none"),
        ("smtp://%FF@h", "UTF-8"),
        ("smtp://h?ca_file=%FF", "UTF-8"),
    ],
)
def test_a_wrong_url_is_named(url: str, why: str) -> None:
    """The error says which part, what stands there (never a secret), and what is allowed."""
    said = str(raised(SMTPInputError, lambda: urls.parse(url)))

    assert why in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("url", "beside", "port"),
    [
        ("smtp://h", None, 25),
        ("smtp://localhost", "none", 25),
        ("smtp://h?security=starttls", None, 25),
        ("smtp://h?security=implicit", None, 465),
        ("smtp://h", "implicit", 465),
        ("smtp://h:26", "implicit", 26),
        ("smtps://h", None, 465),
        ("smtp+starttls://h", None, 587),
        ("submission://h", None, 587),
        ("lmtp://h", None, 24),
        ("lmtp://h?security=implicit", None, 24),
    ],
)
def test_the_scheme_decides_the_port(url: str, beside: str | None, port: int) -> None:
    """Where none is given; but TLS at once has a port of its own (RFC 8314)."""
    assert urls.parse(url, beside)["port"] == port


@pytest.mark.parametrize("value", [None, b"smtp://h", 25])
def test_a_url_is_a_string(value: object) -> None:
    """A setting that is missing is named by its type."""
    error = raised(SMTPInputError, lambda: urls.parse(value))

    assert type(value).__name__ in str(error)


@pytest.mark.parametrize("text", ["1", "true", "Yes", " ON "])
def test_what_is_true(text: str) -> None:
    """In any case, with white space around it."""
    assert urls.to_bool(text) is True


@pytest.mark.parametrize("text", ["0", "False", "NO", "off\n"])
def test_what_is_false(text: str) -> None:
    """`MAIL_USE_SSL="False"` from the environment is never true."""
    assert urls.to_bool(text) is False


@given(
    ENCODABLE,
    ENCODABLE,
    st.integers(1, 65_535),
    st.sampled_from(["h", "mail.example.com", "[::1]"]),
    ENCODABLE.filter(bool),
)
def test_a_url_survives_being_written(user: str, password: str, port: int, host: str, name: str) -> None:
    """Whatever stands in user, password and options, percent-encoded it comes back."""
    parts = [quote(part, safe="") for part in (user, password, name)]

    found = urls.parse(f"smtp://{parts[0]}:{parts[1]}@{host}:{port}?local_hostname={parts[2]}")

    assert (found["username"], found["password"].reveal()) == (user, password.encode())
    assert (found["host"], found["port"], found["local_hostname"]) == (host, port, name)


@given(ODD_TEXT, st.sampled_from([*urls.SCHEMES]))
def test_any_text_is_attributes_or_an_input_error(text: str, scheme: str) -> None:
    """Nothing else is raised, with a scheme or without one."""
    for url in (text, f"{scheme}://{text}", f"{scheme}://h?{text}"):
        assert complaint(lambda url=url: urls.parse(url)).isprintable()


@given(ODD_TEXT, ODD_TEXT)
@example(f"smtp://joe:{SECRET}/x@h", "")
@example(f"smtp://joe:{SECRET}?x@h", "")
@example(f"smtp://joe:{SECRET}#x@h", "")
@example(f"smtp://joe:1/{SECRET}@h", "")
@example(f"smtp://joe:1?{SECRET}@h", "")
@example(f"smtp://joe:a@b/{SECRET}@h", "")
@example(f"smtp://joe:{SECRET}", "")
@example(f"joe:{SECRET}://@h", "")
@example(f"smtp://joe:{SECRET}%FF%@h:x", "")
def test_s16_the_password_is_in_no_error(before: str, behind: str) -> None:
    """Wherever a misplaced character puts it: in front of a path, a query, or as a port."""
    url = before if SECRET in before else f"smtp://joe:{SECRET}{before}@h{behind}"

    assert SECRET not in complaint(lambda: urls.parse(url))


@pytest.mark.parametrize("url", [f"smtp://joe:{SECRET}@h:x", f"smtp://joe:{SECRET}@h?port=1", f"imap://joe:{SECRET}@h"])
def test_s16_a_url_is_in_no_frame(url: str) -> None:
    """S16: a program that reads a URL by itself, too, has nothing of it in the variables of the traceback."""
    with pytest.raises(SMTPInputError) as caught:
        urls.parse(url)
    assert "in parse" in shown(caught.value)
    assert SECRET not in shown(caught.value)
