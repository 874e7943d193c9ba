"""`Script`: what a test dictates to a server, one line each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mailbridge.testing.actions import Then
from mailbridge.testing.answers import Answer, refusal
from mailbridge.testing.extensions import DEFAULT_EXTENSIONS, Offers
from mailbridge.testing.settings import Settings

ANY = "*"

Turn = tuple[bytes, bytes] | tuple[bytes, bytes, Then]


@dataclass(slots=True)
class Rule:
    """From the `nth` occurrence of `event` on, `times` times: say `raw`, and `then`."""

    event: str
    raw: bytes | None
    nth: int
    times: int | None
    then: Then
    held: bool = False
    seen: int = 0

    def occurs(self) -> bool:
        """Count one occurrence of the event; whether the rule holds for it."""
        self.seen += 1
        past = self.seen - self.nth
        return past >= 0 and (self.times is None or past < self.times)


@dataclass(slots=True)
class Cut:
    """At octet `at` of what a connection reads or writes: `saying`, then `how`, on `times` connections."""

    at: int
    how: Then
    times: int
    reading: bool
    saying: bytes = b""
    claimed: set[int] = field(default_factory=set)

    def concerns(self, connection: int) -> bool:
        """Whether this cut is for that connection; the first ones to ask get it."""
        if len(self.claimed) < self.times:
            self.claimed.add(connection)
        return connection in self.claimed


@dataclass(frozen=True, slots=True)
class Farewell:
    """421 after so many messages on one connection."""

    after_messages: int
    unasked: bool
    then: Then


@dataclass(frozen=True, slots=True)
class Impatience:
    """421 after so many seconds in which a client said nothing."""

    seconds: float
    then: Then


class Script:
    """How a server misbehaves. Everything may be said before or while it serves.

    Where several lines speak about the same thing, the last one wins.
    Recipients and senders are compared character by character; "*" is everybody.
    """

    def __init__(self, settings: Settings | None = None, extensions: Iterable[str] = DEFAULT_EXTENSIONS) -> None:
        self.settings = settings or Settings()
        self.offers = Offers(extensions)
        self._offer_security()
        self.rules: list[Rule] = []
        self.cuts: list[Cut] = []
        self.plays: list[Sequence[Turn]] = []
        self.recipients: dict[str, Answer] = {}
        self.senders: dict[str, Answer] = {}
        self.contents: dict[str, Answer] = {}
        self.farewell: Farewell | None = None
        self.impatience: Impatience | None = None
        self.behind_starttls: tuple[bytes, bool] | None = None
        self.pause = 0.0
        self.sizes: tuple[int, ...] = ()
        self.each_reply = False

    def refuse(self, recipient: str, code: int = 550, enhanced: str = "5.1.1", text: str = "no such user") -> None:
        """Answer RCPT for this recipient with `code`."""
        self.recipients[recipient] = refusal(code, enhanced, text)

    def defer(self, recipient: str, code: int = 451, enhanced: str = "4.2.0", text: str = "try again later") -> None:
        """Answer RCPT for this recipient with a temporary `code`."""
        self.refuse(recipient, code, enhanced, text)

    def refuse_sender(
        self, sender: str, code: int = 550, enhanced: str = "5.7.1", text: str = "sender refused"
    ) -> None:
        """Answer MAIL from this sender ("" is the null sender) with `code`."""
        self.senders[sender] = refusal(code, enhanced, text)

    def refuse_content(
        self,
        code: int = 554,
        enhanced: str = "5.6.0",
        text: str = "content refused",
        recipient: str | None = None,
    ) -> None:
        """Answer complete content with `code`; over LMTP, for `recipient` only if given."""
        self.contents[ANY if recipient is None else recipient] = refusal(code, enhanced, text)

    def answer(
        self,
        event: str,
        raw: bytes | None,
        *,
        times: int | None = None,
        nth: int = 1,
        then: Then = Then.GO_ON,
    ) -> None:
        """Say `raw`, octet for octet, where a reply to `event` is due.

        The command takes effect if the last line of `raw` begins with 2 or 3, not if it
        begins with another digit, and as it would have without this rule if there is none.

        Args:
            event: A verb, or "GREETING", "RESPONSE" (a line of an AUTH exchange after the
                first), "CONTENT" (each reply that follows the content, so over LMTP one per
                recipient; also those to BDAT LAST, which "BDAT" means too), "TLS" (in place of
                the server's part of a handshake, in clear; then the connection ends in any case).
            raw: The reply; b"" is no reply at all, None the usual one.
            times: How often; None is for ever.
            nth: From which occurrence on, counted from 1 since this call, over all connections.
            then: What becomes of the connection after the reply.
        """
        if not isinstance(raw, bytes | None):
            raise TypeError(f"a reply is octets, not {raw!r}")
        self.rules.append(Rule(event.upper(), raw, nth, times, Then(then)))

    def cut_after(self, event: str, how: Then = Then.CLOSE, *, nth: int = 1, times: int | None = 1) -> None:
        """End the connection right after the usual reply to `event`."""
        self.answer(event, None, nth=nth, times=times, then=how)

    def cut_before(self, event: str, how: Then = Then.CLOSE, *, nth: int = 1, times: int | None = 1) -> None:
        """End the connection instead of replying to `event`; it takes effect all the same."""
        self.answer(event, b"", nth=nth, times=times, then=how)

    def cut_at_read(self, octets: int, how: Then = Then.CLOSE, *, times: int = 1, saying: bytes = b"") -> None:
        """End the next `times` connections once they have read so many octets (above TLS), with these last words."""
        self.cuts.append(Cut(octets, Then(how), times, reading=True, saying=saying))

    def cut_at_written(self, octets: int, how: Then = Then.CLOSE, *, times: int = 1, saying: bytes = b"") -> None:
        """End the next `times` connections once they have written so many octets (above TLS), with these last words.

        Last words that stand where a reply is due are that reply: the command takes effect as they say.
        """
        self.cuts.append(Cut(octets, Then(how), times, reading=False, saying=saying))

    def say_421(
        self,
        *,
        after_messages: int | None = None,
        after_idle: float | None = None,
        unasked: bool = False,
        then: Then = Then.CLOSE,
    ) -> None:
        """Say 421 to the MAIL that follows so many messages on one connection, or to a client that is idle.

        Args:
            after_messages: How many messages a connection may carry.
            after_idle: Seconds without a word. Connections that are waited on already count from their next word on.
            unasked: Say it right behind the last message's reply, not to the next MAIL.
            then: What becomes of the connection; some servers go on (`Then.GO_ON`).
        """
        if after_messages is not None:
            self.farewell = Farewell(after_messages, unasked, then)
        if after_idle is not None:
            self.impatience = Impatience(after_idle, then)

    def drip(self, seconds_per_octet: float) -> None:
        """Write one octet at a time, each after a pause; 0 ends it."""
        self.pause = seconds_per_octet

    def segments(self, sizes: int | Sequence[int] | Literal["replies"] | None) -> None:
        """Split what is written.

        Args:
            sizes: Octets of each piece; several sizes take turns, again and again. "replies" writes each reply on its
                own though the client asked for several at once; None writes at once what was asked at once.
        """
        wanted: Sequence[object] = (sizes,) if isinstance(sizes, int) else (sizes or ())
        self.each_reply = wanted == "replies"
        self.sizes = () if self.each_reply else tuple(size for size in wanted if isinstance(size, int) and size > 0)
        if not self.each_reply and len(self.sizes) < len(wanted):
            raise ValueError(f'sizes are numbers from 1, "replies" or None, not {sizes!r}')

    def hold_back(self, event: str, *, nth: int = 1, times: int | None = 1) -> None:
        """Keep the reply to `event` until the next one leaves, and write both in one segment."""
        self.rules.append(Rule(event.upper(), None, nth, times, Then.GO_ON, held=True))

    def inject_behind_starttls(self, data: bytes, *, same_segment: bool = True) -> None:
        """Write `data` in clear right behind the 220 to STARTTLS."""
        self.behind_starttls = (data, same_segment)

    def offer(self, extension: str, *, tls: bool | None = None) -> None:
        """Announce "NAME" or "NAME parameters": under TLS, in clear, or (None) in both."""
        self.offers.offer(extension, tls=tls)

    def withdraw(self, name: str, *, tls: bool | None = None) -> None:
        """Do not announce `name`: under TLS, in clear, or (None) in both."""
        self.offers.withdraw(name, tls=tls)

    def play(self, turns: Sequence[Turn]) -> None:
        """Serve the next connection from a transcript; several calls serve several connections.

        Each turn is what the client must send, what the server says to it, and perhaps a
        `Then`. A first turn that expects b"" is the greeting; otherwise the usual one is given.
        """
        self.plays.append(turns)

    def _offer_security(self) -> None:
        starttls = self.settings.tls == "starttls"
        if starttls:
            self.offer("STARTTLS", tls=False)
        if self.settings.accounts:
            # Credentials are not asked for in clear where TLS is to be had.
            self.offer("AUTH " + " ".join(self.settings.auth), tls=True if starttls else None)
