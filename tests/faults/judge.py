"""What the server has and what the client says, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from mailbridge import Receipt, State
from mailbridge.testing import Record
from tests.faults.host import TAKEN, Mail
from tests.faults.line import Line
from tests.faults.sessions import Combination


class Evidence(Protocol):
    """What can be known of a session.

    Attributes:
        combination: Its kind.
        record: What the server took.
        lines: The connections, octet by octet; empty where nobody watched the wire.
    """

    combination: Combination
    record: Record
    lines: list[Line]


ANSWER = b"250 %s\r\n" % TAKEN.encode()


def wrongs(host: Evidence, mails: Sequence[Mail], receipts: Mapping[int, Receipt]) -> Iterator[str]:
    """What does not agree; nothing where all does."""
    taken = Counter((accepted.content, name) for accepted in host.record.messages for name in accepted.recipients)
    contents = {mail.content for mail in mails}
    for content, _ in taken:
        if content not in contents:
            yield f"the record holds {content!r}, which nobody sent"
    for mail in mails:
        receipt = receipts.get(mail.number)
        if receipt is None:
            yield f"message {mail.number} has no receipt"
        elif set(receipt.results) != set(mail.recipients):
            yield f"message {mail.number}: the receipt speaks of {sorted(receipt.results)}"
        else:
            for name in mail.recipients:
                if wrong := _wrong(host, mail, name, receipt.results[name].state, taken[mail.content, name]):
                    yield f"message {mail.number}, {name}: {wrong}"


def _wrong(host: Evidence, mail: Mail, name: str, state: State, times: int) -> str | None:
    if times > 1:
        return f"{times} times in the record"
    if state is State.ACCEPTED and not times:
        return "called accepted, and not in the record"
    if state in {State.DEFERRED, State.REJECTED, State.NOT_SENT} and times:
        return f"called {state}, and in the record"
    if state is State.UNKNOWN and host.lines and not offered(host, mail):
        return "called unknown before the commit point was offered"
    if state is State.UNKNOWN and host.lines and times and answered(host, mail, name):
        return "called unknown though its reply had come"
    return None


def offered(host: Evidence, mail: Mail) -> bool:
    """The last octet of the content's end was offered on some connection."""
    content = mail.content
    chunk, dot = b"BDAT %d LAST\r\n" % len(content) + content, content.replace(b"\r\n.", b"\r\n..") + b".\r\n"
    return any(chunk in line.offered or dot in line.offered for line in host.lines)


def answered(host: Evidence, mail: Mail, name: str) -> bool:
    """The reply to its content was read to its end: so many contents were answered before it on its connection."""
    place = 0
    for accepted in host.record.messages:
        if accepted.content == mail.content:
            place += accepted.recipients.index(name) + 1 if host.combination.dialect == "LMTP" else 1
            return host.lines[accepted.connection - 1].heard.count(ANSWER) >= place
        if accepted.connection == _connection_of(host, mail):
            place += len(accepted.recipients) if host.combination.dialect == "LMTP" else 1
    raise AssertionError("asked of a message that is not in the record")


def _connection_of(host: Evidence, mail: Mail) -> int:
    return next(one.connection for one in host.record.messages if one.content == mail.content)
