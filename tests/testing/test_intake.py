"""Lines, contents and chunks come out of the buffer whole, wherever the segments were cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbridge.testing.intake import LINE_LIMIT, TLS, Chunk, Content, Expected, Intake, Line, LineTooLongError


def fed(data: bytes, *, lax: bool = False) -> Intake:
    intake = Intake(lax=lax)
    intake.feed(data)
    return intake


def test_a_line_waits_for_its_crlf() -> None:
    """A bare LF ends no line."""
    intake = fed(b"NOOP\n")
    assert intake.take(Line()) is None
    intake.feed(b"x\r\nrest")
    assert intake.take(Line()) == b"NOOP\nx"
    assert len(intake) == 4


def test_a_lax_line_ends_with_lf() -> None:
    """A lax server takes a bare LF for the end of a line."""
    assert fed(b"NOOP\nx", lax=True).take(Line()) == b"NOOP"


def test_an_endless_line_is_an_error() -> None:
    """Nobody waits for the end of a line for ever."""
    assert fed(b"x" * (LINE_LIMIT - 1)).take(Line()) is None
    with pytest.raises(LineTooLongError):
        fed(b"x" * LINE_LIMIT).take(Line())


@pytest.mark.parametrize(
    ("sent", "content"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"a\r\n.\r\n", b"a\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"a\r\n..b\r\n...\r\n.\r\n", b"a\r\n.b\r\n..\r\n"),
        (b"a\n.\nb\r\n.\r\n", b"a\n.\nb\r\n"),
        (b"a\n.\r\nb\r\n.\r\n", b"a\n.\r\nb\r\n"),
        (b"a\r.\r\nb\r\n.\r\n", b"a\r.\r\nb\r\n"),
    ],
)
def test_content_ends_at_its_dot_wherever_it_is_cut(sent: bytes, content: bytes) -> None:
    """Only CRLF dot CRLF ends content, octet by octet as well as at once; stuffed dots are gone."""
    intake = Intake()
    taken = []
    for octet in sent:
        intake.feed(bytes([octet]))
        taken.append(intake.take(Content()))
    assert taken == [None] * (len(sent) - 1) + [content]
    assert fed(sent + b"QUIT").take(Content()) == content


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r\n"])
def test_lax_content_ends_at_any_dot(end: bytes) -> None:
    """These are the ends that smuggled messages use; what stands behind is the next command."""
    intake = fed(b"a" + end + b"MAIL", lax=True)
    assert intake.take(Content()) == b"a" + end[: end.index(b".")]
    assert intake.take(Chunk(4)) == b"MAIL"


@given(st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\r", b"").replace(b"\n", b""))))
def test_stuffed_lines_come_back(lines: list[bytes]) -> None:
    """Whatever the lines are, unstuffing undoes stuffing."""
    stuffed = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)
    assert fed(stuffed + b".\r\n").take(Content()) == b"".join(line + b"\r\n" for line in lines)


def test_two_contents_in_a_row() -> None:
    """The search for the second end does not remember the first."""
    intake = fed(b"one\r\n.\r\ntwo\r\n.\r\n")
    assert [intake.take(Content()), intake.take(Content())] == [b"one\r\n", b"two\r\n"]


def test_a_chunk_is_counted() -> None:
    """A chunk is so many octets, whatever they are."""
    intake = fed(b"\r\n.\r\n")
    assert intake.take(Chunk(6)) is None
    assert intake.take(Chunk(5)) == b"\r\n.\r\n"
    assert intake.take(Chunk(0)) == b""


def test_what_is_expected_may_come_in_parts() -> None:
    """A prefix waits, a difference is handed out at once."""
    intake = fed(b"EH")
    assert intake.take(Expected(b"EHLO")) is None
    intake.feed(b"LOx")
    assert intake.take(Expected(b"EHLO")) == b"EHLO"
    assert intake.take(Expected(b"yes")) == b"x"


def test_nothing_is_read_while_tls_is_awaited() -> None:
    """What comes between STARTTLS and the handshake is no line, and can be forgotten."""
    intake = fed(b"MAIL FROM:<a@x>\r\n")
    assert intake.take(TLS()) is None
    intake.clear()
    assert len(intake) == 0
