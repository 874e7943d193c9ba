"""What must hold for any octets: one function for each parser that strangers can reach.

Each takes octets and raises where something does not hold. `make fuzz` runs them guided by coverage, `make test` on
the cases that are kept in `corpus/`.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import quote

from mailbridge.addresses import (
    DOMAIN,
    LIST_TEXT,
    LOCAL_PART,
    PATH,
    Address,
    addr_specs,
    needs_a_labels,
    parse,
    parse_list,
    with_a_labels,
)
from mailbridge.capabilities import Capabilities
from mailbridge.errors import SMTPProtocolError
from mailbridge.replies import Reply
from mailbridge.server import Security, Server
from mailbridge.testing import paths
from mailbridge.wire import REPLY_LINE, REPLY_LINES, REPLY_SIZE, ReplyBuffer
from tests.core.given import SECRET, complaint

T = TypeVar("T")
Target = Callable[[bytes], None]


def text_of(data: bytes) -> str:
    """Any text: UTF-8 as far as it goes, each other octet as half of a surrogate."""
    return data.decode("utf-8", "surrogateescape")


# Replies.


def replies(data: bytes) -> None:
    """Replies and the place of the first mistake do not depend on segments, and are those of a plain reading."""
    head, _, stream = data.partition(b"|")
    whole = _read([stream])

    assert _read(_cut(stream, head or b"\x01")) == whole
    assert whole == _plainly(stream)
    for reply in whole[0]:
        assert _read([_written(reply)]) == ([reply], False)
        assert pickle.loads(pickle.dumps(reply)) == reply
        assert not reply.enhanced or reply.enhanced.severity == reply.code // 100
        assert [reply.positive, reply.intermediate, reply.transient, reply.permanent].count(True) == 1
        assert reply.text.count("\n") == reply.raw.count(b"\n") == len(reply.lines) - 1


def _cut(stream: bytes, sizes: bytes) -> list[bytes]:
    """The stream in segments: these sizes, again and again."""
    pieces, place, turn = [], 0, 0
    while place < len(stream):
        size = sizes[turn % len(sizes)] or 1
        pieces.append(stream[place : place + size])
        place, turn = place + size, turn + 1
    return pieces


def _read(segments: Sequence[bytes]) -> tuple[list[Reply], bool]:
    """All replies in front of the first mistake, and whether there was one."""
    buffer, found = ReplyBuffer(), list[Reply]()
    try:
        for segment in segments:
            buffer.feed(segment)
            while reply := buffer.next():
                found.append(reply)
            assert len(buffer) <= REPLY_SIZE + REPLY_LINE + 1
    except SMTPProtocolError:
        return found, True
    return found, False


def _plainly(stream: bytes) -> tuple[list[Reply], bool]:
    """The same, by the words of RFC 5321 section 4.2 and the three bounds."""
    found, lines, codes, size = list[Reply](), list[str](), set[bytes](), 0
    *complete, rest = stream.split(b"\n")
    for text in complete:
        line = text[:-1] if text[-1:] == b"\r" else text
        if len(text) > REPLY_LINE or not re.fullmatch(rb"[2-5][0-9][0-9](?:[ -].*)?", line, re.DOTALL):
            return found, True
        codes.add(line[:3])
        lines.append(text_of(line[4:]))
        size += len(line) + 1
        more = line[3:4] == b"-"
        alone = len(lines) == 1 and not more
        if len(codes) > 1 or (not alone and (size > REPLY_SIZE or len(lines) > REPLY_LINES)):
            return found, True
        if not more:
            found.append(Reply(int(line[:3]), tuple(lines)))
            lines, codes, size = [], set(), 0
    return found, len(rest) > REPLY_LINE


def _written(reply: Reply) -> bytes:
    *before, last = reply.raw.split(b"\n")
    head = b"".join(b"%d-%b\r\n" % (reply.code, line) for line in before)
    return head + b"%d %b\r\n" % (reply.code, last)


# The EHLO reply.


def ehlo(data: bytes) -> None:
    """Whatever a server announces can be read, asked for, pickled, and written again."""
    lines = text_of(data.replace(b"\r", b" ")).split("\n")
    known = Capabilities.parse(Reply(250, tuple(lines)))

    assert known.esmtp
    assert known.pipelining == ("PIPELINING" in known)
    assert known.chunking == ("chunking" in known)
    for keyword, parameters in known.extensions.items():
        assert re.fullmatch("[A-Z0-9][A-Z0-9-]*", keyword)
        assert any(keyword.lower() in line.lower() for line in lines[1:])
        assert not parameters.startswith((" ", "="))
    assert known.size is None or 0 < known.size < 10**20
    assert all(known.limit(name) is None or 0 < known.limit(name) < 10**20 for name in ("MAILMAX", "RCPTMAX"))
    assert len(known.mechanisms) == len(set(known.mechanisms))
    assert all(name == name.upper() and not re.search(r"[\s=]", name) for name in known.mechanisms)
    assert pickle.loads(pickle.dumps(known)) == known
    again = (known.name, *(f"{keyword} {parameters}" for keyword, parameters in known.extensions.items()))
    assert Capabilities.parse(Reply(250, again)) == known


# Addresses.


def addresses(data: bytes) -> None:
    """What is an address survives being written, as one path of a strict server; what is none is an input error."""
    text = text_of(data)
    found = _attempt(parse_list, text)
    for address in filter(None, (_attempt(parse, text), *(found or ()))):
        _check_address(address)
    if found is not None:
        assert len(text) <= LIST_TEXT
        assert all(address.domain for address in found)
        assert [parse(spec) for spec in addr_specs(text)] == found
        assert parse_list(", ".join(map(str, found))) == found
        assert parse_list(with_a_labels(text)) == found
        assert not needs_a_labels(with_a_labels(text))


def _attempt(read: Callable[[str], T], text: str) -> T | None:
    """What is read, or None where it is an input error fit to print."""
    found: list[T] = []
    assert complaint(lambda: found.append(read(text))).isprintable()
    return found[0] if found else None


def _check_address(address: Address) -> None:
    written = str(address)
    assert parse(written) == address
    assert parse(f"Somebody <{written}>") == address
    assert address.path == f"<{written}>".encode()
    assert len(address.path) <= PATH
    assert len(address.domain) <= DOMAIN
    assert len(address.local.encode()) <= LOCAL_PART
    assert address.domain.isascii()
    assert not re.search(rb"[\x00-\x1f\x7f]", address.path)
    # Another reader, which knows nothing of ours, takes all of it for the address and none for a parameter.
    assert paths.parse("TO:", f"TO:{address.path.decode()}") == (written, {})


# URLs.


def urls(data: bytes) -> None:
    """What is a server survives being written as a URL; what is none is an input error that shows no password."""
    text = text_of(data)
    for url in (text, f"smtp://{text}", f"lmtp://{text}", f"smtps://joe:{SECRET}{text}", f"smtp://joe:{SECRET}@{text}"):
        server = _attempt(Server.from_url, url)
        assert SECRET not in complaint(lambda url=url: Server.from_url(url))
        if server is not None:
            assert SECRET not in repr(server)
            assert Server.from_url(_url(server)) == server


def _url(server: Server) -> str:
    """The URL of a server, from its attributes alone."""
    login = quote(server.username, safe="")
    if server.password is not None:
        login += ":" + quote(server.password.reveal(), safe="")
    options = {
        **{name: getattr(server, name) for name in ("authzid", "local_hostname", "max_recipients")},
        **{name: getattr(server, name) for name in ("ca_file", "ca_path", "client_cert", "client_key")},
        "auth": ",".join(one if isinstance(one, str) else one.name for one in server.auth),
        "source_address": _source(server),
        "minimum_tls": server.minimum_tls if server.minimum_tls != "TLSv1.2" else None,
        **{f"timeout_{name}": getattr(server.timeouts, name) for name in ("connect", "reply", "content", "send")},
    }
    flags = ("pipelining", "chunking", "overlap", "allow_plaintext_auth", "danger_accept_any_certificate")
    query = [
        f"{name}={quote(f'{value:f}' if isinstance(value, float) else str(value))}"
        for name, value in options.items()
        if value not in {None, ""}
    ]
    query += [f"{name}={getattr(server, name)}" for name in flags]
    return f"{_front(server)}://{login}{'@' * bool(login)}{_place(server)}?{'&'.join([*query, *_security(server)])}"


def _front(server: Server) -> str:
    return "lmtp" if server.lmtp else "smtp"


def _place(server: Server) -> str:
    if server.path:
        return quote(server.path)
    # A bare IPv6 address is a host too, though in a URL only brackets keep its colons.
    return f"{quote(server.host, safe='[]:' if '[' in server.host else '')}:{server.port}"


def _security(server: Server) -> list[str]:
    return [] if server.path else [f"security={Security(server.security)}"]


def _source(server: Server) -> str | None:
    if server.source_address is None:
        return None
    host, port = server.source_address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


TARGETS: dict[str, Target] = {"replies": replies, "ehlo": ehlo, "addresses": addresses, "urls": urls}
