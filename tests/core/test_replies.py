"""Replies and enhanced status codes as values."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbridge.replies import EnhancedCode, Reply


@pytest.mark.parametrize(
    ("code", "true"),
    [
        (250, {"positive"}),
        (354, {"intermediate"}),
        (421, {"transient", "refused"}),
        (550, {"permanent", "refused"}),
    ],
)
def test_the_first_digit_decides(code: int, true: set[str]) -> None:
    """RFC 5321 section 4.2.1: success, more to come, refused for now, refused for good."""
    kinds = {"positive", "intermediate", "transient", "permanent", "refused"}

    assert {kind for kind in kinds if getattr(Reply(code), kind)} == true


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("5.1.1 No such user", EnhancedCode(5, 1, 1)),
        ("5.1.1", EnhancedCode(5, 1, 1)),
        ("4.7.500 Busy", EnhancedCode(4, 7, 500)),
        ("5.1.1No space", None),
        ("5.1 Short", None),
        ("3.1.1 No such class", None),
        ("5.1.1234 Long", None),
        ("5.١.1 Other digits", None),
        ("No code 5.1.1", None),
    ],
)
def test_an_enhanced_code_stands_in_front(text: str, code: EnhancedCode | None) -> None:
    """RFC 2034 section 4: class, subject and detail, then white space or the end."""
    assert EnhancedCode.parse(text) == code


def test_an_enhanced_code_spells_itself() -> None:
    """As people write it."""
    assert str(EnhancedCode(5, 7, 26)) == "5.7.26"


def test_an_enhanced_code_of_another_class_is_text() -> None:
    """RFC 2034 section 4: its class agrees with the reply code, or it is none."""
    reply = Reply(450, ("5.1.1 Confused",))

    assert reply.enhanced is None
    assert reply.text == "5.1.1 Confused"


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (("5.1.1 No such user",), "No such user"),
        (("5.7.26 Not", "5.7.26 authenticated", "see https://x"), "Not\nauthenticated\nsee https://x"),
        (("5.1.1 One", "5.1.10 Two"), "One\nTwo"),
        (("5.1.1",), ""),
        (("plain",), "plain"),
    ],
)
def test_the_text_has_no_codes(lines: tuple[str, ...], text: str) -> None:
    """What a person reads: the lines without their enhanced codes."""
    assert Reply(550, lines).text == text


@given(st.lists(st.binary().filter(lambda line: b"\n" not in line), min_size=1))
def test_raw_gives_the_octets_back(lines: list[bytes]) -> None:
    """Whatever the encoding of the server, `raw` is what it sent."""
    reply = Reply(250, tuple(line.decode("utf-8", "surrogateescape") for line in lines))

    assert reply.raw == b"\n".join(lines)


def test_a_reply_prints_and_pickles() -> None:
    """Code first, then its lines; and it goes to another process unchanged."""
    reply = Reply(250, ("5.1.1 a", "b"))

    assert str(reply) == "250 5.1.1 a\nb"
    assert pickle.loads(pickle.dumps(reply)) == reply
