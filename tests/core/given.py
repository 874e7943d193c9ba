"""What several modules of these tests start from: odd text, mail, a secret and the places where it could show."""

import pickle
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from email.message import EmailMessage
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import strategies as st

from mailbridge.errors import SMTPInputError
from mailbridge.message import MailObject
from mailbridge.preparing import Prepared, prepare

# Every character there is, the lone surrogates of a damaged decoding too.
ANY_TEXT = st.text(st.characters(exclude_categories=()))
# What comes near to an address, a list of them, a URL or a command, and to what breaks them.
CRAFTED = st.lists(
    st.sampled_from(["a", "b.c", "x.org", "[192.0.2.1]", "[IPv6:::1]", "é", "faß.de", "瘊", "://", "smtp://", "%00"])
    | st.sampled_from('@<>",;():?&=%#/\\')
    | st.sampled_from([" ", "\t", "\r\n", "\n", "\0", "\u2028"]),
    max_size=12,
).map("".join)
ODD_TEXT = ANY_TEXT | CRAFTED

# Tests name it and never spell it: a traceback shows their lines.
SECRET = "correct-horse-battery"


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """The same octets, cut at these places."""
    borders = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(borders)]


def every_cut(data: bytes) -> Iterator[list[bytes]]:
    """The same octets in two pieces, cut at every place."""
    return (pieces(data, [cut]) for cut in range(len(data) + 1))


def shown(error: BaseException) -> str:
    """All that a log, a crash reporter or another process gets to see of an error."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "\n".join((repr(error), str(error), "".join(told.format()), repr(pickle.dumps(error))))


def assert_hides_the_secret(error: BaseException) -> None:
    """Neither the secret nor its base64 shows."""
    seen = shown(error)
    for form in (SECRET, b64encode(SECRET.encode()).decode(), b64encode(f"\0joe\0{SECRET}".encode()).decode()):
        assert form not in seen


def complaint(call: Callable[[], object]) -> str:
    """The sentence of the input error that a call raises; empty where it raises none."""
    try:
        call()
    except SMTPInputError as error:
        return f"{error!r} {error}"
    return ""


def raised(kind: type[Any] | tuple[type[Any], ...], call: Callable[[], object]) -> Any:
    """The error that a call raises."""
    with pytest.raises(kind) as caught:
        call()
    return caught.value


def mail(body: str = "hello\n", **fields: str) -> EmailMessage:
    """A small message from a@example.com to b@example.org; `resent_to` is the field Resent-To."""
    message = EmailMessage()
    for name, value in ({"from": "a@example.com", "to": "b@example.org"} | fields).items():
        message[name.replace("_", "-").title()] = value
    message.set_content(body)
    return message


def octets(content: object, sender: str | None = "a@example.com", to: tuple[str, ...] = ("b@example.org",)) -> bytes:
    """What of some content goes onto the wire."""
    return wire(prepare(MailObject(content, sender, to)))


def wire(prepared: Prepared) -> bytes:
    """The content of a prepared mail in one piece."""
    return b"".join(prepared.content.pieces())
