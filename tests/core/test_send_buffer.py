"""Octets on their way out."""

from hypothesis import given
from hypothesis import strategies as st

from mailbridge.wire import CHUNK, SEGMENT, SendBuffer


def filled(*octets: bytes) -> SendBuffer:
    buffer = SendBuffer()
    for piece in octets:
        buffer.append(piece)
    return buffer


@given(st.lists(st.binary(max_size=10) | st.just(b"x" * SEGMENT), max_size=6), st.lists(st.integers(0, 5_000)))
def test_what_goes_in_comes_out(octets: list[bytes], written: list[int]) -> None:
    """In order and once, however little the kernel takes at a time."""
    buffer, out = filled(*octets), b""
    for asked in [*written, *[SEGMENT] * 20]:
        view = buffer.view()
        taken = min(asked, len(view))
        out += bytes(view[:taken])
        buffer.take(taken)

    assert out == b"".join(octets)
    assert len(buffer) == 0


def test_small_pieces_leave_in_one_write() -> None:
    """One flight is one segment, filled up with the beginning of a large piece; the rest of that is never copied."""
    large = b"x" * 3 * SEGMENT
    buffer = filled(b"MAIL\r\n", b"RCPT\r\n", large)
    assert bytes(buffer.view()) == b"MAIL\r\nRCPT\r\n" + large[: SEGMENT - 12]

    buffer.take(SEGMENT)
    assert buffer.view().obj is large
    assert len(buffer.view()) == 2 * SEGMENT + 12


def test_what_is_left_of_a_write_is_not_copied_again() -> None:
    """However little the kernel takes at a time, each octet is joined once."""
    buffer = filled(b"MAIL\r\n", b"RCPT\r\n", b"x" * SEGMENT)
    begun = buffer.view().obj
    buffer.take(8)

    assert buffer.view().obj is begun


def test_a_large_piece_leaves_in_several_writes() -> None:
    """What was on its way when a write was broken off counts as gone: that is never all of it."""
    buffer = filled(b"x" * (2 * CHUNK + 1))
    written = []
    while view := buffer.view():
        written.append(len(view))
        buffer.take(len(view))

    assert written == [CHUNK, CHUNK, 1]


def test_what_may_have_left_is_known() -> None:
    """What was taken has left; what a write that does not say was given may have."""
    buffer = filled(b"abcdef")
    buffer.take(2)
    assert buffer.offered == 2

    buffer.attempting(3)
    assert buffer.offered == 5


def test_what_has_not_left_can_be_dropped() -> None:
    """The stream then ends where it stands."""
    buffer = filled(b"abc", b"def")
    buffer.take(2)
    buffer.drop()

    assert (len(buffer), buffer.queued, bytes(buffer.view())) == (0, 2, b"")
