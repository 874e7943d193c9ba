"""Content: header and body from octets and files, canonical, a piece at a time."""

import gc
import io
import time
import tracemalloc
import warnings
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mailbridge.content import HEADER, Content, divided, of_octets, of_pieces
from mailbridge.errors import SMTPInputError
from mailbridge.files import of_file
from mailbridge.message import MailObject
from mailbridge.preparing import prepare
from mailbridge.wire import CHUNK
from tests.core.given import complaint, raised

ODD_MAIL = st.lists(
    st.sampled_from([b"A: b", b"Bcc:c", b" d", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"x", b":", b"\xff"]), max_size=10
).map(b"".join)


@pytest.mark.parametrize(
    ("head", "header", "body"),
    [
        (b"A: 1\r\nB: 2\r\n\r\nbody", b"A: 1\r\nB: 2\r\n", b"\r\nbody"),
        (b"A: 1\n 2\n\nbody\n", b"A: 1\r\n 2\r\n", b"\nbody\n"),
        (b"A: 1\rB: 2\r\rbody", b"A: 1\r\nB: 2\r\n", b"\rbody"),
        (b"A: 1\n\r\nbody", b"A: 1\r\n", b"\r\nbody"),
        (b"A: 1\r\n\nbody", b"A: 1\r\n", b"\nbody"),
        (b"A: 1\r\n", b"A: 1\r\n", b""),
        (b"A: 1", b"A: 1\r\n", b""),
        (b"\r\nbody", b"", b"body"),
        (b"no header at all\n\nbody", b"", b"no header at all\n\nbody"),
        (b"", b"", b""),
    ],
)
def test_where_a_header_ends(head: bytes, header: bytes, body: bytes) -> None:
    """At the first empty line, whatever the line ends are; content may have no header, or no body."""
    found, start = divided(head)

    assert (found, head[start:]) == (header, body)


def test_a_header_has_a_limit() -> None:
    """Behind a megabyte without an empty line there is no telling where it ends."""
    assert "header" in str(raised(SMTPInputError, lambda: of_octets(b"A: b\r\n" * HEADER)))


class Pipe(io.BytesIO):
    """A file that cannot be rewound."""

    def seekable(self) -> bool:
        return False


def joined(content: Content) -> bytes:
    return b"".join(content.pieces())


@given(ODD_MAIL)
def test_octets_and_files_are_the_same(data: bytes) -> None:
    """Wherever content comes from, header and body are divided alike, and can be read again and again."""
    assume(not complaint(lambda: of_octets(data)))
    sources = [
        of_octets(data),
        of_octets(memoryview(bytearray(data))),
        of_file(io.BytesIO(data)),
        of_file(Pipe(data)),
    ]

    contents = [Content.of(*source) for source in sources]
    assert {joined(content) for content in contents + contents} == {joined(contents[0])}


@pytest.mark.parametrize(
    ("body", "canonical", "size", "eight_bit"),
    [
        (b"\r\nbody\r\n", True, 8, False),
        (b"\nbody\n", False, 8, False),
        (b"\r\nb\xf6dy\r\n", True, 8, True),
        (b"\nb\xf6dy\n", False, 8, True),
        (b"", True, 0, False),
    ],
)
def test_content_is_measured(body: bytes, canonical: bool, size: int, eight_bit: bool) -> None:
    """The size is that of the wire form (RFC 1870); what is canonical already is sent as it is."""
    content = Content.of(b"A: 1\r\n", lambda: [body])

    assert (content.canonical, content.size, content.eight_bit) == (canonical, 6 + size, eight_bit)
    assert len(joined(content)) == content.size


def test_the_caller_may_know_that_it_is_canonical() -> None:
    """The check is then saved; what the caller knows is not doubted."""
    assert Content.of(b"", lambda: [b"a\nb"], known_canonical=True).canonical


@pytest.mark.parametrize(
    ("header", "utf8", "undecodable"),
    [(b"A: b\r\n", False, False), ("A: ö\r\n".encode(), True, False), (b"A: \xf6\r\n", False, True)],
)
def test_a_header_in_utf8_needs_smtputf8(header: bytes, utf8: bool, undecodable: bool) -> None:
    """RFC 6532: other octets above 127 are nothing that SMTPUTF8 could carry."""
    content = Content.of(header, lambda: [b"\xff"])

    assert (content.utf8_header, content.undecodable_header) == (utf8, undecodable)


def test_canonical_octets_are_one_piece() -> None:
    """However many, since they are read from where the caller holds them; behind them comes no other."""
    data = b"A: 1\r\n\r\n" + b"x" * 3 * CHUNK
    header, body = Content.of(*of_octets(data)).pieces()

    assert (header, bytes(body)) == (b"A: 1\r\n", data[6:])
    assert isinstance(body, memoryview)
    assert body.obj is data


def test_other_octets_come_in_pieces() -> None:
    """Those whose line ends must be mended, a little more than CHUNK at a time: memory holds one of them."""
    line = b"x" * 98
    data = b"A: 1\n\n" + (line + b"\n") * 10_000
    header, *body = Content.of(*of_octets(data)).pieces()

    assert header == b"A: 1\r\n"
    assert len(body) == 4
    assert all(CHUNK <= len(piece) <= CHUNK * 1.02 for piece in body[:-1])
    assert b"".join(body) == b"\r\n" + (line + b"\r\n") * 10_000


def test_no_piece_is_empty() -> None:
    """A message without a header of its own, or a source that gives nothing now and then, makes none."""
    content = Content.of(b"", lambda: [b"", b"x", b"", b"y"], known_canonical=True)

    assert list(content.pieces()) == [b"x", b"y"]


@pytest.mark.parametrize("now", [b"A: 1\n\nshort", b"A: 1\n\nmuch longer"], ids=["less", "more"])
def test_a_file_that_changes_is_noticed(now: bytes) -> None:
    """Its size was announced already: neither less nor more of it leaves as if nothing had happened."""
    file = io.BytesIO(b"A: 1\n\nas it was")
    content = Content.of(*of_file(file))
    file.seek(0)
    file.truncate()
    file.write(now)

    assert "changed while it was sent" in str(raised(SMTPInputError, lambda: joined(content)))


def test_a_header_in_several_pieces_is_found() -> None:
    """A large header that was written in pieces is one header, so that nothing in it is overlooked."""
    header, body, _ = of_pieces([b"A: 1\r\n", b"Bcc: b@x\r\n\r", b"\nbody", b"more"])

    assert (header, b"".join(body())) == (b"A: 1\r\nBcc: b@x\r\n", b"\r\nbodymore")


def test_a_file_is_read_from_where_it_stands() -> None:
    """What the caller has read of it already is no part of the message."""
    file = io.BytesIO(b"preface\nA: 1\n\nbody")
    file.readline()

    assert joined(Content.of(*of_file(file))) == b"A: 1\r\n\r\nbody"


@pytest.mark.parametrize("file", [io.StringIO("A: 1\n\nbody"), io.TextIOWrapper(io.BytesIO(b"A: 1\n\nbody"))])
def test_a_text_file_is_refused(file: io.TextIOBase) -> None:
    """Its octets are already lost; the error says how to open it."""
    assert "binary mode" in str(raised(SMTPInputError, lambda: of_file(file)))


def test_a_pipe_is_copied_to_disk_and_closed() -> None:
    """What cannot be rewound is kept in a temporary file, which is gone with the content."""
    data = b"A: 1\r\n\r\n" + b"x\r\n" * CHUNK

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        content = Content.of(*of_file(Pipe(data)))
        assert joined(content) == joined(content) == data
        del content
        gc.collect()

    assert warned == []


def test_a_file_of_any_size_costs_little(tmp_path: Path) -> None:
    """It is read in pieces, each time anew: 25 MB of file take a few MB at most."""
    path = tmp_path / "mail"
    with path.open("wb") as file:
        file.write(b"From: a@x\n\n" + (b"x" * 75 + b"\n") * (25 * 2**20 // 76))

    with path.open("rb") as file:
        tracemalloc.start()
        content = prepare(MailObject(file, "a@x", ["b@x"])).content
        assert sum(map(len, content.pieces())) == content.size > 25 * 2**20
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert peak < 4 * 2**20


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_octets_are_not_copied(kind: type) -> None:
    """The body is read from where the caller holds it."""
    held = kind(b"From: a@x\r\n\r\n" + b"x" * 25 * 2**20)

    tracemalloc.start()
    content = prepare(MailObject(held, "a@x", ["b@x"])).content
    assert sum(map(len, content.pieces())) == content.size
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 5 * 2**20


@pytest.mark.parametrize(
    ("start", "why"),
    [
        (b"From ann@x.org Mon\n", "mbox"),
        (b">From ann@x.org Mon\r\n", "mbox"),
        (b"\xef\xbb\xbf", "byte order mark"),
        (b" \r\n", "white space"),
        (b"\tnoise\nmore noise\r", "white space"),
        (b"    ", "white space"),
        (b"noise\n", "Bcc"),
        (b"\n\r\n", "Bcc"),
    ],
)
def test_s22_what_stands_in_front_of_a_header_is_refused(start: bytes, why: str) -> None:
    """Taken for text it would show Bcc to everybody; from octets and from files alike."""
    hidden = b"    bcc : bob@x.org\n" if why == "Bcc" else b"    to : bob@x.org\n"
    data = start + b"From: ann@x.org\n" + hidden + b"\nHello"

    assert why in str(raised(SMTPInputError, lambda: of_octets(data)))
    assert why in str(raised(SMTPInputError, lambda: of_file(io.BytesIO(data))))


@pytest.mark.parametrize(
    "text",
    [
        b"From here on\nall is text",
        b"\xef\xbb\xbfHello",
        b"  Dear Ann,\nnote: all is text\n\nSubject: none\nBcc: nobody",
        b"-----Original Message-----\nFrom: Ann\nTo: Bob\n\nHello",
        b"Hello\n\nBcc: is a word",
        b"Hello Bcc: is a word",
        b"See http://x.org/ there: a place",
    ],
)
def test_text_without_a_header_is_sent(text: bytes) -> None:
    """Whatever looks a little like a field in it."""
    assert of_octets(text) == (b"", text, False)


def test_a_message_says_itself_where_its_header_ends() -> None:
    """What was written from its parts is never mistaken: text may begin with the word."""
    assert of_pieces([b"\r\nBcc: is a word"]) == (b"", b"Bcc: is a word", False)


@pytest.mark.parametrize("junk", [b" ", b"\n", b"\r", b"x\n", b" \n", b" x\r\n", b"\t:", b"From ", b"bcc "])
def test_s11_a_megabyte_in_front_of_nothing_costs_little(junk: bytes) -> None:
    """Nothing is scanned again and again."""
    data = b" " + junk * (HEADER // len(junk))
    began = time.process_time()
    of_octets(data)
    of_octets(data[1:])

    assert time.process_time() - began < 2
