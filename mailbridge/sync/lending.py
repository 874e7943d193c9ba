"""Lending channels to threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Protocol
from weakref import WeakSet

from .. import commands
from ..conversations import ask
from ..errors import SMTPException
from ..pooling import Claim, Lease
from ..server import Security
from ..sockets.desk import channel_of
from ..sockets.lending import Lending
from ..tls import context_for
from .channel import Channel
from .processes import LAST_WORDS


class Guest(Protocol):
    """Who keeps leases while its caller does something else, and would keep them while that caller waits for one."""

    def make_room(self) -> None:
        """Give leases back as long as somebody waits."""


class Guests(threading.local):
    """Those of this thread: only the thread that waits can make them move, and no other one knows them."""

    here: WeakSet[Guest] | None = None

    def invite(self, guest: Guest) -> None:
        """Ask one in; it is forgotten when nobody has it any more."""
        if self.here is None:
            self.here = WeakSet()
        self.here.add(guest)

    def present(self) -> list[Guest]:
        """Those who are there."""
        return list(self.here or ())


class Lender(Lending[Channel]):
    """Keeps channels to one server and lends each to one thread at a time.

    Attributes:
        settings: How it behaves.
    """

    _quiet: threading.Event

    def claim(self, deadline: float) -> Lease[Channel]:
        """Wait for a channel; `give_back` it. It may have to connect yet.

        Args:
            deadline: The moment to give up, on the monotonic clock; `claim_timeout` may come earlier.

        Raises:
            SMTPPoolTimeout: None came free in time.
            SMTPPoolClosed: The pool is closed.
            SMTPInputError: A certificate of the configuration cannot be read.
        """
        if not self._prepared:
            self._prepare()
        now = time.monotonic()
        lease = self._desk.ask(now)
        if not isinstance(lease, Lease):
            lease = self._granted(lease, now, min(deadline, now + self.settings.claim_timeout))
        if self._doubtful(lease):
            self._probe(lease, deadline)
        return lease

    def _prepare(self) -> None:
        """Make the TLS context, which costs 15 ms of CPU once, for which nobody else has to wait."""
        if self.server.security is not Security.NONE:
            context_for(self.server)
        self._prepared = True

    def try_again(self, lease: Lease[Channel], deadline: float, error: SMTPException) -> Lease[Channel]:
        """The server has too many connections: give this place up, wait for another one.

        Args:
            lease: What the server turned away.
            deadline: The moment to give up, on the monotonic clock.
            error: What the server said.

        Raises:
            SMTPPoolTimeout: The deadline passed; its cause is what the server said.
            SMTPPoolClosed: The pool is closed.
        """
        now, channel = time.monotonic(), channel_of(lease)
        claim, notes = self._desk.ask_again(lease, now), channel.take_notes()
        try:
            lease = self._granted(claim, now, deadline, error)
        except SMTPException:
            self._say_all(notes)
            raise
        # They are said when no lease is held.
        channel_of(lease).notes[:0] = notes
        if self._doubtful(lease):
            self._probe(lease, deadline)
        return lease

    def invite(self, guest: Guest) -> None:
        """Ask somebody to make room where this thread waits; it is forgotten when nobody has it any more."""
        self._guests.invite(guest)

    def drain(self, timeout: float) -> bool:
        """Take no more messages, wait for those under way, and close.

        Args:
            timeout: Seconds to wait for them.

        Returns:
            All came to their end in time.
        """
        deadline = time.monotonic() + timeout
        self._desk.take_no_more()
        done = self._quiet.wait(timeout)
        self.close(max(min(deadline - time.monotonic(), LAST_WORDS), 0.0) if done else 0.0)
        return done

    def close(self, timeout: float = LAST_WORDS) -> None:
        """Close what is idle now, and what is in use as soon as it comes back. Nothing more is taken.

        Args:
            timeout: Seconds to wait for the answers to QUIT, all together.
        """
        _close(self._desk.lock_up(), time.monotonic() + timeout)

    def after_fork(self) -> None:
        """In a forked child the connections are the parent's."""
        self.disown()

    def at_exit(self, deadline: float) -> None:
        """The process ends: close what is idle. Mail may still be sent, by those who come after this."""
        _close(self._desk.let_go(), deadline)

    # How it claims.

    def _granted(
        self, claim: Claim[Channel] | None, begun: float, deadline: float, why: SMTPException | None = None
    ) -> Lease[Channel]:
        """Wait for a claim's turn."""
        if claim is None:
            raise self._shut()
        try:
            self._wait(claim, deadline, why)
        except BaseException:
            self._desk.withdraw(claim, time.monotonic())
            raise
        return self._desk.served(claim, time.monotonic() - begun)

    def _begin(self, *, keeping: bool = True, closed: bool = False) -> None:
        super()._begin(keeping=keeping, closed=closed)
        self._guests = Guests()

    @staticmethod
    def _bell() -> threading.Event:
        return threading.Event()

    def _maker(self) -> Callable[[], Channel]:
        return partial(Channel, self.server, self._acquaintance, max_messages=self.settings.max_messages)

    def _wait(self, claim: Claim[Channel], deadline: float, why: SMTPException | None) -> None:
        # An event would be three locks and a queue of those who wait for it. This one is let go by whoever has news.
        woken = threading.Lock()
        woken.acquire()
        claim.wake = partial(_wake, woken)
        for guest in self._guests.present():
            guest.make_room()
        while claim.lease is None and (seconds := self._due(claim, deadline, why)) is not None:
            woken.acquire(timeout=seconds)

    def _probe(self, lease: Lease[Channel], deadline: float) -> None:
        """Ask a connection that was idle for long whether it lives; one that does not is replaced at its next use."""
        channel = channel_of(lease)
        try:
            with suppress(SMTPException):
                if channel.alive:
                    channel.converse(lambda smtp: ask(smtp, commands.Noop()), deadline)
        except BaseException:
            self.give_back(lease)
            raise


def _wake(woken: threading.Lock) -> None:
    # One at a time wakes, for the pool's lock is held; where it is free, there was news that nobody has heard yet.
    if woken.locked():
        woken.release()


def _close(channels: Iterable[Channel], deadline: float) -> None:
    """Close channels that nobody has any more, and wait for the answers to QUIT until a deadline."""
    for channel in channels:
        if time.monotonic() < deadline:
            channel.close(deadline)
        channel.leave()
