"""What a client may say: a reading of the RFCs of its own, which knows nothing of the client.

An `Ear` hears both sides of one connection, in the order in which the client wrote and read, and raises `Illegal`
where the client says what it must not: a command in a wrong place, an extension that was not offered, a group that
goes on where it had to end, a chunk of another size, a word behind a 421.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

from tests.fuzz.sayings import Illegal, Said, Transaction

# RFC 5321 section 4.1.2 and RFC 6531 section 3.3, as far as this client's tests go.
_MAILBOX = r'(?:[^\s<>@"\x00-\x20\x7f]+|"(?:[^"\\]|\\.)+")@[A-Za-z0-9.\[\]:-]+'
_WORDS = r"(?P<words>(?: [A-Z0-9-]+(?:=[!-<>-~]+)?)*)"
_FORMS = {
    "EHLO": r"EHLO [!-~]+",
    "HELO": r"HELO [!-~]+",
    "LHLO": r"LHLO [!-~]+",
    "STARTTLS": r"STARTTLS",
    "AUTH": r"AUTH [A-Z0-9_-]{1,20}(?: (?:=|[A-Za-z0-9+/]+={0,2}))?",
    "MAIL": rf"MAIL FROM:<(?P<path>|{_MAILBOX})>{_WORDS}",
    "RCPT": rf"RCPT TO:<(?P<path>{_MAILBOX})>{_WORDS}",
    "DATA": r"DATA",
    "BDAT": r"BDAT (?P<size>0|[1-9][0-9]{0,19})(?: LAST)?",
    "RSET": r"RSET",
    "QUIT": r"QUIT",
}
FORMS = {verb: re.compile(form) for verb, form in _FORMS.items()}

# RFC 2920 section 3.1, RFC 3207 section 4, RFC 4954 section 4.
LAST_OF_GROUP = {"EHLO", "HELO", "LHLO", "STARTTLS", "AUTH", "RESPONSE", "DATA", "QUIT"}
# The first digits that say yes.
YES = {"DATA": "3", "AUTH": "23", "RESPONSE": "23"}
# RFC 5321 section 4.5.3.1.4, with what RFC 1870, 6152, 6531, 3461 and 4954 add.
LINES = {"MAIL": 512 + 26 + 17 + 10 + 120, "RCPT": 512 + 528, "AUTH": 12_288, "RESPONSE": 12_288}
# Which extension allows which parameter.
WORDS = {
    "MAIL": {
        "SIZE": "SIZE",
        "BODY": "8BITMIME",
        "SMTPUTF8": "SMTPUTF8",
        "RET": "DSN",
        "ENVID": "DSN",
        "REQUIRETLS": "REQUIRETLS",
        "MT-PRIORITY": "MT-PRIORITY",
    },
    "RCPT": {"NOTIFY": "DSN", "ORCPT": "DSN"},
}
UNANSWERED = 128


class Ear:
    """Listens to one connection.

    Attributes:
        transactions: All of them, in order.
        waiting: What was said and has not all of its replies.
        over: Why nothing may be said any more.
        dismissed: It is over by a 421.
    """

    def __init__(self, *, lmtp: bool = False, secure: bool = False, overlap: bool = False) -> None:
        """Listen from the greeting on."""
        # RFC 2920 lets a group follow the dot. Four servers of ten break on it (SERVERS.md P1): it is asked for.
        self._last_of_group = LAST_OF_GROUP if overlap else LAST_OF_GROUP | {"CONTENT"}
        self.lmtp, self.secure = lmtp, secure
        self.transactions: list[Transaction] = []
        self.waiting: deque[Said] = deque([Said("GREETING")])
        self.over, self.dismissed = "", False
        self.unfinished = b""  # of a reply
        self._said, self._searched = b"", 0
        self._codes: list[bytes] = []
        self._lines: list[str] = []
        self._offers: dict[str, str] | None = None
        self._knows_ehlo = True
        self._logged_in = False
        self._mails = 0
        self._mode = "LINE"
        self._open: Transaction | None = None
        self._unfinished: list[Said] = []  # each RSET that gave a transaction up

    # What the client says.

    def said(self, octets: bytes) -> list[Said]:
        """The client wrote something; give what is complete with it."""
        _require(not octets or not self.over, f"something was said behind {self.over}: {octets[:60]!r}")
        self._said += octets
        return list(self._complete())

    def _complete(self) -> Iterator[Said]:
        while self._said:
            if self.waiting and (missing := self.waiting[-1].missing):
                yield from self._chunk(self.waiting[-1], missing)
            elif self._mode == "CONTENT":
                # The dot may stand at the very beginning, or behind a line end that was seen before.
                start = max(0, self._searched - len(b"\r\n.\r"))
                end = 0 if self._said.startswith(b".\r\n") else self._said.find(b"\r\n.\r\n", start) + len(b"\r\n")
                if end == 1:
                    self._searched = len(self._said)
                    return
                self._searched = 0
                yield self._content(end)
            elif (end := self._said.find(b"\n")) < 0:
                return
            else:
                line, self._said = self._said[: end + 1], self._said[end + 1 :]
                said = self._line(line)
                if not said.missing:
                    yield from self._chunk(said, 0)

    def _chunk(self, said: Said, missing: int) -> Iterator[Said]:
        piece, self._said = self._said[:missing], self._said[missing:]
        said.content += piece
        said.missing -= len(piece)
        if not said.missing:
            if said.last:
                self._check_whole(next(t for t in self.transactions if t.commit is said))
            yield said

    def _content(self, end: int) -> Said:
        stuffed, self._said = self._said[:end], self._said[end + len(b".\r\n") :]
        _require(not re.search(rb"\r(?!\n)|(?<!\r)\n", stuffed), "a bare CR or LF in content")
        # A dot that begins a line is doubled, or it is the end.
        _require(not re.search(rb"(?:\A|\n)\.(?!\.)", stuffed), "a bare dot at the beginning of a line")
        said = Said("CONTENT", content=re.sub(rb"(^|\r\n)\.", rb"\1", stuffed))
        transaction = self._transaction("content")
        _require(not (transaction.nobody and stuffed), "content that nobody wants")
        self._mode = "LINE"
        self._commit(transaction, said)
        self._check_whole(transaction)
        self.waiting.append(said)
        return said

    def _check_whole(self, transaction: Transaction) -> None:
        """The content is complete: what MAIL said of it was true."""
        content, words = transaction.content, transaction.words
        _require(content.isascii() or words.get("BODY") == "8BITMIME", "8-bit content without BODY=8BITMIME")
        size = int(words.get("SIZE", len(content)))
        # DATA may need a line end in front of its dot; where everybody was refused the dot stands alone (RFC 2920 3.1).
        _require(not content or len(content) - size in {0, 2}, f"{len(content)} octets where SIZE said {size}")

    def _line(self, line: bytes) -> Said:
        verb = "RESPONSE" if self._mode == "RESPONSE" else line.split(b" ")[0].strip().decode("latin-1")
        _require(line.endswith(b"\r\n") and not re.search(rb"[\x00-\x1f\x7f]", line[:-2]), f"a line with {line!r}")
        _require(len(line) <= LINES.get(verb, 512), f"a line of {len(line)} octets: {line[:60]!r}")
        self._check_turn(verb)
        text = line[:-2].decode()
        if verb == "RESPONSE":
            _require(re.fullmatch(r"\*|[A-Za-z0-9+/]*={0,2}", text), f"no response: {text!r}")
            said, self._mode = Said(verb, text), "LINE"
        else:
            found = FORMS[verb].fullmatch(text) if verb in FORMS else None
            _require(found, f"no command of a legal form: {text!r}")
            said = Said(verb, text.partition(" ")[2])
            getattr(self, f"_{verb.lower()}")(said, **(found.groupdict() if found else {}))
        self.waiting.append(said)
        _require(len(self.waiting) <= UNANSWERED, "too much that is not answered")
        return said

    def _check_turn(self, verb: str) -> None:
        _require(self._mode != "TLS", f"{verb} in place of the handshake")
        if self.waiting:
            _require("PIPELINING" in (self._offers or {}), f"{verb} while {self.waiting[-1].verb} waits")
            _require(self.waiting[-1].verb not in self._last_of_group, f"{verb} behind {self.waiting[-1].verb}")
        chunks = self._open and self._open.chunks
        _require(not chunks or verb in {"BDAT", "RSET", "QUIT"}, f"{verb} between chunks")

    # Each verb. What it needs in front of it is checked; what it leads to is noted.

    def _ehlo(self, said: Said) -> None:
        _require(not self.lmtp and not self._logged_in, f"{said.verb} here")
        self._open = None

    def _lhlo(self, said: Said) -> None:
        _require(self.lmtp and not self._logged_in, "LHLO here")
        self._open = None

    def _helo(self, said: Said) -> None:
        _require(not self._knows_ehlo, "HELO though EHLO was not refused")
        self._ehlo(said)

    def _starttls(self, said: Said) -> None:
        _require("STARTTLS" in self._ready("STARTTLS") and not self.secure, "STARTTLS here")
        _require(self._open is None, "STARTTLS in a transaction")

    def _auth(self, said: Said) -> None:
        mechanisms = self._ready("AUTH").get("AUTH", "").split()
        _require(said.argument.split()[0] in mechanisms, f"AUTH {said.argument.split()[0]}, offered are {mechanisms}")
        _require(self.secure and not self._logged_in and self._open is None, "AUTH here")

    def _mail(self, said: Said, path: str, words: str) -> None:
        offers = self._ready("MAIL")
        _require(self._open is None, "MAIL in a transaction")
        self._mails += 1
        _require(self._mails <= _limit(offers, "MAILMAX"), "more than MAILMAX")
        self._open = Transaction(said, self._words("MAIL", words))
        self.transactions.append(self._open)
        self._check_ascii(path)

    def _rcpt(self, said: Said, path: str, words: str) -> None:
        transaction = self._transaction("RCPT")
        self._words("RCPT", words)
        _require(not transaction.mail.refused, "RCPT behind a refused MAIL")
        _require(not transaction.data, "RCPT behind DATA")
        _require(said.argument not in [rcpt.argument for rcpt in transaction.rcpts], "the same RCPT twice")
        transaction.rcpts.append(said)
        _require(len(transaction.rcpts) <= _limit(self._ready("RCPT"), "RCPTMAX"), "more than RCPTMAX")
        self._check_ascii(path)

    def _data(self, said: Said) -> None:
        transaction = self._transaction("DATA")
        _require(transaction.rcpts and not transaction.nobody, "DATA for nobody")
        # RFC 3030 section 2: DATA and BDAT do not mix. (BDAT in between is seen by `_check_turn`.)
        _require(not transaction.data, "DATA twice")
        transaction.data = said

    def _bdat(self, said: Said, size: str) -> None:
        transaction = self._transaction("BDAT")
        _require("CHUNKING" in self._ready("BDAT"), "BDAT without CHUNKING")
        _require(transaction.rcpts and not transaction.nobody, "BDAT for nobody")
        _require(not transaction.data, "BDAT behind DATA")
        _require(not any(chunk.refused for chunk in transaction.chunks), "BDAT behind a refused chunk")
        said.missing = int(size)
        if said.last:
            self._commit(transaction, said)
        else:
            transaction.chunks.append(said)

    def _rset(self, said: Said) -> None:
        # RFC 3030 section 2 allows RSET between chunks; Exim crashes (SERVERS.md B3).
        _require(not (self._open and self._open.chunks), "RSET between chunks")
        if self._open:
            self._unfinished.append(said)
        self._open = None

    def _quit(self, said: Said) -> None:
        self.over = "QUIT"

    def _commit(self, transaction: Transaction, said: Said) -> None:
        transaction.commit, self._open = said, None

    def _ready(self, verb: str) -> dict[str, str]:
        _require(self._offers is not None, f"{verb} before EHLO")
        return self._offers or {}

    def _transaction(self, verb: str) -> Transaction:
        _require(self._open, f"{verb} without MAIL")
        assert self._open is not None
        return self._open

    def _words(self, verb: str, text: str) -> dict[str, str]:
        words = [word.partition("=")[::2] for word in text.split()]
        names = [name for name, _ in words]
        _require(len(names) == len(set(names)), f"a parameter twice: {text}")
        for name in names:
            _require(WORDS[verb].get(name, "?") in (self._offers or {}), f"{name} was not offered")
        return dict(words)

    def _check_ascii(self, path: str) -> None:
        _require(path.isascii() or (self._open and "SMTPUTF8" in self._open.words), f"{path} without SMTPUTF8")

    # What the client hears.

    def heard(self, octets: bytes) -> None:
        """The client read something."""
        *lines, self.unfinished = (self.unfinished + octets).split(b"\n")
        for line in lines:
            if self._mode == "TLS":
                self.over = "octets behind the 220 to STARTTLS"
            if not self.over or self.dismissed:
                self._reply_line(line.removesuffix(b"\r"))
        if self._mode == "TLS" and self.unfinished:
            self.over = "octets behind the 220 to STARTTLS"

    def _reply_line(self, line: bytes) -> None:
        self._codes.append(line[:3])
        self._lines.append(line[4:].decode("utf-8", "replace"))
        if not re.fullmatch(rb"[2-5][0-9][0-9](?:[ -].*)?", line, re.DOTALL) or len(set(self._codes)) > 1:
            self.over = f"what is no reply: {line[:60]!r}"
        elif line[3:4] != b"-":
            lines, self._codes, self._lines = self._lines, [], []
            self._reply(int(line[:3]), lines)

    def _reply(self, code: int, lines: list[str]) -> None:
        said = self.waiting[0] if self.waiting else None
        if said is None or said.missing or (self.dismissed and not said.last):
            self.over = self.over or f"a reply to nothing: {code}"
            self.dismissed = self.dismissed or code == 421
            return
        if code < 400 and str(code)[0] not in YES.get(said.verb, "2"):
            self.over = f"{code} to {said.verb}"
            return
        if not said.replies:
            said.due = self._replies_due(said)
        said.replies.append(code)
        if len(said.replies) == said.due:
            self.waiting.popleft()
        if code == 421:
            self.over, self.dismissed = "a 421", True
        self._learn(said, code, lines)

    def _replies_due(self, said: Said) -> int:
        # RFC 2033 section 4.2.
        mine = next((t for t in self.transactions if t.commit is said), None)
        return max(1, sum(rcpt.accepted for rcpt in mine.rcpts)) if self.lmtp and mine else 1

    def _learn(self, said: Said, code: int, lines: list[str]) -> None:
        match said.verb, code // 100:
            case "EHLO" | "LHLO", 2:
                self._offers = _offers(lines)
            case "EHLO", _:
                self._knows_ehlo = code not in {500, 502}
            case "HELO", 2:
                self._offers = {}
            case "STARTTLS", 2:
                self._mode = "TLS"
            case "AUTH" | "RESPONSE", 3:
                self._mode = "RESPONSE"
            case "AUTH" | "RESPONSE", 2:
                self._logged_in = True
            case "DATA", 3:
                # Even where MAIL was refused: the content, a lone dot then, is due.
                self._mode, self._open = "CONTENT", next(t for t in self.transactions if t.data is said)
            case "MAIL", 4 | 5:
                if self._open and self._open.mail is said and not self._open.chunks:
                    self._open = None
            case "RSET", 4 | 5:
                if said in self._unfinished:
                    # The old transaction may still be there, and would get what follows.
                    self.over = self.over or f"a refused RSET ({code})"
            case _:
                pass

    def secured(self) -> None:
        """The TLS handshake is done: all that was learned is forgotten (RFC 3207 section 4.2)."""
        _require(self._mode == "TLS" and not self.over, f"a handshake out of turn, or behind {self.over}")
        self.secure, self._mode, self._offers, self._knows_ehlo = True, "LINE", None, True


def _require(condition: object, complaint: str) -> None:
    if not condition:
        raise Illegal(complaint)


def _offers(lines: list[str]) -> dict[str, str]:
    words = [re.sub("^AUTH=", "AUTH ", line.strip()).partition(" ") for line in lines[1:]]
    offers: dict[str, str] = {}
    for name, _, parameters in words:
        offers[name.upper()] = f"{offers.get(name.upper(), '')} {parameters}".strip()
    return offers


def _limit(offers: dict[str, str], name: str) -> int:
    found = re.search(rf"{name}=([0-9]+)", offers.get("LIMITS", ""))
    return int(found[1]) if found else 1 << 30
