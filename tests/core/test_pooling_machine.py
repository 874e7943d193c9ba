"""The Ledger under any sequence of events: no place is lent twice, none is lost, nobody is passed over."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mailbridge.limits import Limits
from mailbridge.pooling import BACK_OFF, LONGEST_PAUSE, Claim, Lease, Ledger

MAX_IDLE, MAX_AGE = 10.0, 35.0
Number = st.integers(min_value=0, max_value=99)


class Users(RuleBasedStateMachine):
    """Users of a pool whose connections are numbers. What is closed is counted, by whoever closes it."""

    @initialize(most=st.integers(min_value=1, max_value=3), chance=st.floats(min_value=0, max_value=1))
    def begin(self, most: int, chance: float) -> None:
        self.limits = Limits(max_connections=most, max_idle=MAX_IDLE, max_age=MAX_AGE)
        self.ledger = Ledger[int](self.limits, lambda: chance)
        self.now = 0.0
        self.opened = 0
        self.closed: list[int] = []
        self.queue: list[Claim[int]] = []
        self.held: list[Lease[int]] = []
        self.aside: list[Lease[int]] = []
        self.resumed = 0
        self.paused_until = 0.0

    def see(self) -> None:
        """Take what was granted; it must be the front of the queue. Close what has expired."""
        granted = [claim for claim in self.queue if claim.lease]
        assert granted == self.queue[: len(granted)], "somebody was passed over"
        del self.queue[: len(granted)]
        for claim in granted:
            self.take(claim)
        expired = self.ledger.expired(self.now)
        assert not set(expired) & {lease.thing for lease in self.held + self.aside}, "what is in use was closed"
        self.closed += expired

    def take(self, claim: Claim[int]) -> None:
        lease = claim.lease
        assert lease is not None
        assert lease not in self.held + self.aside, "a lease was given twice"
        if lease.thing is None:
            lease.thing, lease.born = self.opened, self.now
            self.opened += 1
        else:
            assert lease.idle is not None
            assert lease.idle < MAX_IDLE
            assert not lease.too_old(self.now)
        self.held.append(lease)

    @rule(first=st.booleans())
    def claim(self, first: bool) -> None:
        claim = self.ledger.claim(self.now, first=first)
        self.queue.insert(0 if first else len(self.queue), claim)
        self.see()

    @precondition(lambda self: self.queue)
    @rule(number=Number)
    def give_up(self, number: int) -> None:
        self.ledger.cancel(self.queue.pop(number % len(self.queue)), self.now)
        self.see()

    @precondition(lambda self: self.held)
    @rule(number=Number, usable=st.booleans(), turned_away=st.booleans())
    def give_back(self, number: int, usable: bool, turned_away: bool) -> None:
        lease = self.held.pop(number % len(self.held))
        assert lease.thing is not None
        if turned_away:
            self.ledger.shrink(self.now)
            self.paused_until = self.now + LONGEST_PAUSE
        if turned_away or not usable:
            self.closed.append(lease.thing)
        self.ledger.give_back(lease, self.now, usable=usable and not turned_away)
        self.see()

    @precondition(lambda self: self.held)
    @rule(number=Number)
    def look_away(self, number: int) -> None:
        lease = self.held.pop(number % len(self.held))
        self.aside.append(lease)
        self.ledger.suspend(lease, self.now)
        self.see()

    @precondition(lambda self: self.aside)
    @rule()
    def look_back(self) -> None:
        lease = self.aside.pop()
        self.ledger.resume(lease)
        self.held.append(lease)
        self.resumed = len(self.held)
        self.see()

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 5.0, MAX_IDLE, BACK_OFF, MAX_AGE]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.ledger.tend(self.now)
        self.see()

    @rule()
    def close(self) -> None:
        self.closed += self.ledger.dismiss()
        self.ledger.tend(self.now)
        self.see()

    @invariant()
    def nothing_is_lost(self) -> None:
        things = self.ledger.things
        assert sorted(things + self.closed) == list(range(self.opened))
        assert {lease.thing for lease in self.held + self.aside} <= set(things)
        assert self.ledger.open == len(things) == self.ledger.idle + self.ledger.out
        assert self.ledger.out == len(self.held + self.aside)
        assert self.ledger.waiting == len(self.queue)

    @invariant()
    def the_limit_holds(self) -> None:
        assert 1 <= self.ledger.ceiling(self.now) <= self.limits.max_connections
        # Only those who come back from elsewhere may be more than that, and then nothing is idle beside them.
        if self.ledger.open - len(self.aside) > self.limits.max_connections:
            assert len(self.held) <= self.resumed
            assert not self.ledger.idle

    @invariant()
    def nobody_waits_in_vain(self) -> None:
        if self.queue:
            taken = len(self.held) + self.ledger.idle
            assert not self.ledger.idle
            assert taken >= self.ledger.ceiling(self.now) or self.now < self.paused_until


TestLedger = Users.TestCase
