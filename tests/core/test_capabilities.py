"""What a server offers."""

import pickle

import pytest

from mailbridge.capabilities import Capabilities
from mailbridge.replies import Reply


def offered(*lines: str) -> Capabilities:
    return Capabilities.parse(Reply(250, ("mx.example.com greets you", *lines)))


def test_a_reply_to_ehlo() -> None:
    """The server's name, and each keyword with its parameters, in whatever case it was written."""
    found = offered("PIPELINING", "size 1000", "Chunking", "")

    assert found.name == "mx.example.com"
    assert found.esmtp
    assert found.pipelining
    assert found.chunking
    assert dict(found.extensions) == {"PIPELINING": "", "SIZE": "1000", "CHUNKING": ""}
    assert "pipelining" in found
    assert "STARTTLS" not in found


@pytest.mark.parametrize("line", ["", " ", "-", "?what", "ünicode"])
def test_a_line_that_is_no_keyword_is_passed_over(line: str) -> None:
    """Some servers end their list with an empty line (smtp-sink)."""
    assert not offered(line).extensions


def test_nothing_known() -> None:
    """Before EHLO, and after a bare HELO, nothing is offered."""
    nothing = Capabilities()

    assert (nothing.name, nothing.esmtp, dict(nothing.extensions)) == ("", False, {})
    assert (nothing.pipelining, nothing.chunking) == (False, False)
    assert Capabilities.parse(Reply(250, ("",))).name == ""


@pytest.mark.parametrize(
    ("line", "size"),
    [
        ("SIZE 35651584", 35_651_584),
        (" SIZE 1000 ", 1000),
        ("SIZE", None),
        ("SIZE 0", None),
        ("SIZE many", None),
        ("SIZE ٣", None),
        ("SIZE " + "9" * 21, None),
        ("HELP", None),
    ],
)
def test_a_size_limit(line: str, size: int | None) -> None:
    """RFC 1870 section 4: without a number, or with 0, there is no limit."""
    assert offered(line).size == size


@pytest.mark.parametrize(
    ("lines", "mechanisms"),
    [
        (["AUTH PLAIN LOGIN"], ("PLAIN", "LOGIN")),
        (["AUTH=PLAIN"], ("PLAIN",)),
        (["AUTH PLAIN LOGIN", "AUTH=LOGIN CRAM-MD5"], ("PLAIN", "LOGIN", "CRAM-MD5")),
        (["auth plain"], ("PLAIN",)),
        (["AUTH"], ()),
        ([], ()),
    ],
)
def test_mechanisms(lines: list[str], mechanisms: tuple[str, ...]) -> None:
    """Both spellings that servers use, each mechanism once, in the server's order."""
    assert offered(*lines).mechanisms == mechanisms


@pytest.mark.parametrize(
    ("line", "limit"),
    [
        ("LIMITS MAILMAX=10 RCPTMAX=50", 50),
        ("LIMITS rcptmax=7", 7),
        ("LIMITS RCPTMAX=0", None),
        ("LIMITS RCPTMAX=x", None),
        ("LIMITS MAILMAX=10", None),
        ("HELP", None),
    ],
)
def test_limits(line: str, limit: int | None) -> None:
    """RFC 9422: a number from 1, or no limit."""
    assert offered(line).limit("RCPTMAX") == limit


def test_capabilities_are_a_value() -> None:
    """They cannot be changed, and go to another process as they are."""
    found = offered("SIZE 10")
    arrived = pickle.loads(pickle.dumps(found))

    assert arrived == found
    for each in (found, arrived):
        with pytest.raises(TypeError):
            each.extensions["AUTH"] = "PLAIN"


def test_a_keyword_announced_twice() -> None:
    """Its parameters are joined; a line without any adds nothing, no space either."""
    assert dict(offered("X a", "X", "X=b", "X =").extensions) == {"X": "a b"}
