"""The black box of a connection."""

import pytest

from mailbridge.commands import Auth, AuthResponse, Data, Ehlo, Noop
from mailbridge.facts import PRINTED
from mailbridge.replies import Reply
from mailbridge.transcript import LINES, Transcript


def test_a_dialogue_as_it_is_kept() -> None:
    """Who said what, in order; content is counted and secrets are not there."""
    transcript = Transcript()
    transcript.received(Reply(220, ("mx ready",)))
    transcript.sent(Ehlo("me"), b"EHLO me\r\n")
    transcript.received(Reply(250, ("mx", "AUTH PLAIN", "")))
    transcript.sent(Auth("PLAIN"), b"AUTH PLAIN\r\n")
    transcript.received(Reply(334, ("c2VjcmV0",)), secret=True)
    transcript.sent(AuthResponse(b"c2VjcmV0"), b"c2VjcmV0\r\n")
    transcript.sent(Data(), b"DATA\r\n")
    transcript.content(10)
    transcript.content(5)
    transcript.note("the stream ended")
    transcript.content(1)

    assert transcript.lines() == (
        "S: 220 mx ready",
        "C: EHLO me",
        "S: 250 mx",
        "S: 250 AUTH PLAIN",
        "S: 250",
        "C: AUTH PLAIN [hidden]",
        "S: 334 [hidden]",
        "C: [hidden]",
        "C: DATA",
        "C: [15 octets of content]",
        "-: the stream ended",
        "C: [1 octets of content]",
    )


def test_each_line_is_taken_once() -> None:
    """What is taken is what was said since; content that grows meanwhile is told anew."""
    transcript = Transcript()
    transcript.note("one")
    transcript.content(2)
    assert transcript.take() == ("-: one", "C: [2 octets of content]")
    assert transcript.take() == ()

    transcript.content(3)
    transcript.note("two")
    assert transcript.take() == ("C: [5 octets of content]", "-: two")
    assert len(transcript.lines()) == 3


def test_no_more_is_taken_than_is_kept() -> None:
    """The oldest lines are gone, whoever has taken them."""
    transcript = Transcript()
    for number in range(LINES + 5):
        transcript.note(str(number))

    assert len(transcript.take()) == LINES


def test_content_can_be_the_first_entry() -> None:
    """Nothing stands before it to be added to."""
    transcript = Transcript()
    transcript.content(3)

    assert transcript.lines() == ("C: [3 octets of content]",)


def test_s20_odd_words_are_escaped() -> None:
    """A line stays a line, whoever said it."""
    transcript = Transcript()
    transcript.received(Reply(550, ("a\x1b[2J\nERROR",)))
    transcript.sent(Noop(), b"NOOP \xff\x07\r\n")
    transcript.note("a\nb")

    assert transcript.lines() == ("S: 550 a\\x1b[2J\\nERROR", "C: NOOP �\\x07", "-: a\\nb")


@pytest.mark.parametrize("reply", [Reply(250, ("x",)), Reply(250, ("x",) * 50)])
def test_only_the_last_lines_are_kept(reply: Reply) -> None:
    """However many entries and however long replies are."""
    transcript = Transcript()
    for _ in range(LINES + 1):
        transcript.received(reply)
    transcript.note("end")

    assert len(transcript.lines()) == LINES
    assert transcript.lines()[-1] == "-: end"


def test_s12_a_server_that_talks_without_end_fills_nothing() -> None:
    """What is kept is cut as it is written, in lines and in length."""
    transcript = Transcript()
    for _ in range(50):
        transcript.received(Reply(250, ("x" * 8_000,) * 15))

    assert sum(len(str(entry)) for entry in transcript._entries) < LINES * (PRINTED + 50)
