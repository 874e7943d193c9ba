"""Octets in both directions, cut wherever a network may cut them."""

import io
import re
import tracemalloc
from itertools import accumulate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailbridge import wire
from mailbridge.errors import SMTPProtocolError
from mailbridge.replies import Reply
from mailbridge.wire import DotStuffer, Measure, ReplyBuffer, canonical, cut, read_pieces
from tests.core.given import every_cut, pieces, raised

CUTS = st.lists(st.integers(0, 200), max_size=8)
# What line ends, dots and commands can make together.
CONTENT = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"..", b"a", b"MAIL FROM:<e@x>", b"\xff\0", b"\r\n.\r\n"]),
    max_size=12,
).map(b"".join) | st.binary(max_size=60)
WORDS = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=20)
REPLIES = st.lists(st.builds(Reply, st.integers(200, 599), st.lists(WORDS, min_size=1, max_size=4).map(tuple)))


def said(reply: Reply) -> bytes:
    """A reply as a server sends it."""
    *first, last = (line.encode() for line in reply.lines)
    code = b"%d" % reply.code
    return b"".join(code + b"-" + line + b"\r\n" for line in first) + code + b" " + last + b"\r\n"


def read(segments: list[bytes]) -> list[Reply | str]:
    """The replies in a stream; the complaint at its end where it breaks."""
    buffer, replies = ReplyBuffer(), list[Reply | str]()
    for segment in segments:
        buffer.feed(segment)
        try:
            while reply := buffer.next():
                replies.append(reply)
        except SMTPProtocolError as error:
            return [*replies, str(error)]
    return replies


@given(REPLIES, CUTS)
def test_replies_come_whole_however_they_are_cut(replies: list[Reply], cuts: list[int]) -> None:
    """Any segmentation of a stream gives the replies that it was made of."""
    assert read(pieces(b"".join(map(said, replies)), cuts)) == replies


@pytest.mark.parametrize(
    "stream",
    [
        b"220 hi\r\n250-a\r\n250-SIZE 1\r\n250 \r\n354\r\n",
        b"250 a\n250-b\nnonsense\r\n250 c\r\n",
        b"250-a\r\n550 b\r\n250 c\r\n",
        b"250 " + b"x" * (wire.REPLY_LINE - 5) + b"\r\n250 ok\r\n",
        b"250 " + b"x" * (wire.REPLY_LINE - 4) + b"\r\n250 ok\r\n",
    ],
    ids=["replies", "nonsense", "mixed codes", "longest line", "one octet too long"],
)
def test_a_stream_reads_the_same_cut_at_every_byte(stream: bytes) -> None:
    """Where the network cuts changes nothing, in good streams and in bad ones."""
    whole = read([stream])
    cuts = every_cut(stream) if len(stream) < 200 else (pieces(stream, [at]) for at in (-9, -10, -11, -12, -13))
    cuts = [*cuts, [stream[n : n + 1] for n in range(len(stream))]]

    assert all(read(segments) == whole for segments in cuts)


@given(st.binary() | st.lists(st.sampled_from([b"2", b"50", b"-", b" ", b"\r", b"\n", b"\xff"])).map(b"".join), CUTS)
def test_any_octets_are_replies_or_a_protocol_error(stream: bytes, cuts: list[int]) -> None:
    """Nothing else is raised, and cutting changes nothing."""
    assert read(pieces(stream, cuts)) == read([stream])


@pytest.mark.parametrize(
    ("stream", "complaint"),
    [
        (b"250-a\r\n550 b\r\n", "codes 250 and 550"),
        (b"\r\n", "no reply: b''"),
        (b"2500\r\n", "no reply: b'2500'"),
        (b"250_ok\r\n", "no reply"),
        (b"150 early\r\n", "no reply"),
        (b"650 late\r\n", "no reply"),
        (b"\x15\x03\x03\0\2\2\n", "TLS at once"),
    ],
)
def test_s14_what_is_no_reply(stream: bytes, complaint: str) -> None:
    """Mixed codes, blank lines, four digits and other classes end the stream; the sentence says what came."""
    [seen] = read([stream])

    assert complaint in str(seen)


def test_a_tls_record_is_recognised_before_its_line_ends() -> None:
    """A server that speaks TLS at once sends no line end to wait for."""
    buffer = ReplyBuffer()
    buffer.feed(b"\x16\x03\x01\0\x05")

    assert buffer.next() is None
    assert buffer.looks_like_tls
    assert not ReplyBuffer().looks_like_tls


def test_what_waits_is_counted() -> None:
    """An unfinished reply counts with what came of it already; a finished one no more."""
    buffer = ReplyBuffer()
    buffer.feed(b"250-a\r\n250-")
    assert buffer.next() is None
    assert len(buffer) == len(b"250-a\r\n250-")

    buffer.feed(b"b\r\n250 c\r\nleft")
    assert buffer.next() == Reply(250, ("a", "b", "c"))
    assert len(buffer) == len(b"left")


@pytest.mark.parametrize(("lines", "whole"), [(wire.REPLY_LINES, True), (wire.REPLY_LINES + 1, False)])
def test_s12_a_reply_has_so_many_lines(lines: int, whole: bool) -> None:
    """The last that is allowed is read, and one more is not."""
    [seen] = read([b"250-\n" * (lines - 1) + b"250 \n"])

    assert isinstance(seen, Reply) is whole


@pytest.mark.parametrize(
    "line",
    [b"250-" + b"x" * 8_000 + b"\r\n", b"x" * 8_000, b"250-\r\n", b"250-a\n" * 2_000],
    ids=["3000 lines of 8 kB", "an endless line", "a million short lines", "many lines at once"],
)
def test_s12_an_endless_reply_is_cut_off(line: bytes) -> None:
    """Line, count and total are bounded: the error comes before a megabyte is held."""
    buffer = ReplyBuffer()

    def flood() -> None:
        for _ in range(1_000_000):
            buffer.feed(line)
            assert buffer.next() is None

    tracemalloc.start()
    error = raised(SMTPProtocolError, flood)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert "of more than" in str(error)
    assert peak < 1_000_000


@given(CONTENT, CUTS)
@example(b"a\r\nb", [2])
@example(b"a\r", [1])
def test_canonical_content_has_only_crlf(data: bytes, cuts: list[int]) -> None:
    """RFC 5321 section 2.3.8: every CR, LF and CRLF becomes CRLF, and nothing else changes."""
    expected = re.sub(rb"\r\n|\r|\n", b"\r\n", data)

    assert b"".join(canonical(pieces(data, cuts))) == expected
    assert Measure(pieces(data, cuts)).canonical is (data == expected)


def received(stream: bytes) -> tuple[bytes, bytes]:
    """What a strict server takes for the content, and what it takes for commands behind it (RFC 5321 section 4.5.2)."""
    content = b""
    while True:
        line, end, stream = stream.partition(b"\r\n")
        assert end, "the content has no end"
        if line == b".":
            return content, stream
        content += line.removeprefix(b".") + end


def sent(parts: list[bytes]) -> bytes:
    """Canonical content as it goes behind DATA, with the dot that ends it."""
    stuffer = DotStuffer()
    return b"".join([*(stuffer.feed(part) for part in parts), stuffer.end(), b".\r\n"])


@given(CONTENT, CUTS)
def test_s8_a_server_reads_what_was_sent(data: bytes, cuts: list[int]) -> None:
    """Any octets in any pieces arrive as they were, and nothing of them is taken for the end or a command."""
    content = b"".join(canonical([data]))
    last_line_end = b"" if content.endswith(b"\r\n") or not content else b"\r\n"

    assert received(sent(pieces(content, cuts))) == (content + last_line_end, b"")


@pytest.mark.parametrize(
    "trick",
    [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r\n", b"\r\n.\r", b"\n.\r", b"\n\0.\r\n"],
)
def test_s8_no_second_message_can_be_smuggled(trick: bytes) -> None:
    """However lax a server's idea of the end of data, it finds one end, at every position of every cut."""
    data = b"Subject: x\r\n\r\nbody" + trick + b"MAIL FROM:<e@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n"

    for parts in every_cut(data):
        stream = sent(list(canonical(parts)))
        assert len(re.findall(rb"(?:\r\n|\r|\n)\.(?:\r\n|\r|\n)", stream)) == 1
        assert stream.endswith(b"\r\n.\r\n")


@pytest.mark.parametrize("data", [b".", b"..", b".\r\n", b"a\r\n.", b"\r\n.a\r\n..\r\n"])
def test_dots_are_stuffed_a_byte_at_a_time(data: bytes) -> None:
    """The smallest pieces give the same as the whole."""
    assert sent([data[n : n + 1] for n in range(len(data))]) == sent([data])


def test_nothing_is_content_too() -> None:
    """Empty content is the dot alone."""
    assert sent([]) == sent([b""]) == b".\r\n"


@given(st.lists(st.binary(max_size=20)), st.integers(1, 10))
def test_pieces_are_cut_at_each_border(octets: list[bytes], every: int) -> None:
    """No piece reaches over the end of a chunk, and nothing is lost or added."""
    found = list(cut(octets, every))

    assert b"".join(found) == b"".join(octets)
    ends = set(accumulate(map(len, found)))
    assert set(range(every, len(b"".join(octets)) + 1, every)) <= ends


def test_what_is_cut_is_not_copied() -> None:
    """Each part is a view of the piece that it belongs to, or a large one would be copied as often as it is cut."""
    whole = b"x" * 10
    parts = [part for part in cut([whole], 3) if isinstance(part, memoryview)]

    assert list(map(len, parts)) == [3, 3, 3, 1]
    assert all(part.obj is whole for part in parts)


def test_a_file_is_read_in_pieces() -> None:
    """As many octets at once as asked for, to the end."""
    assert list(read_pieces(io.BytesIO(b"abcde"), 2)) == [b"ab", b"cd", b"e"]


@pytest.mark.parametrize(
    ("pieces", "stuffed"),
    [
        ((b".a\r\n",), b"..a\r\n"),
        ((b"a\r\n", b".b\r\n"), b"a\r\n..b\r\n"),
        ((b"a\r", b"\n.b\r\n"), b"a\r\n..b\r\n"),
        ((b"a\r", b"", b"\n", b".b\r\n"), b"a\r\n..b\r\n"),
        ((b"a", b".b\r\n"), b"a.b\r\n"),
    ],
)
def test_s8_a_dot_behind_a_border(pieces: tuple[bytes, ...], stuffed: bytes) -> None:
    """A line may begin with a piece, or behind a line end that two pieces share."""
    stuffer = DotStuffer()

    assert b"".join(stuffer.feed(piece) for piece in pieces) == stuffed
