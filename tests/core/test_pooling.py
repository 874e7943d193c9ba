"""Who gets which connection: decided by the Ledger alone, whatever the clock says."""

import math

import pytest

from mailbridge.limits import Limits
from mailbridge.pooling import BACK_OFF, JITTER, LONGEST_PAUSE, PAUSE, Claim, Lease, Ledger

ONE = Limits(max_connections=1)


def lent(claim: Claim[str]) -> Lease[str]:
    """The lease of a claim that must have been granted."""
    assert claim.lease is not None
    return claim.lease


def opened(ledger: Ledger[str], name: str, now: float = 0.0) -> Lease[str]:
    """A lease whose user has made a connection."""
    lease = lent(ledger.claim(now))
    assert lease.thing is None
    lease.thing, lease.born = name, now
    return lease


def laid_down(ledger: Ledger[str], *names: str, now: float = 0.0) -> None:
    """Idle connections, the last one on top."""
    for lease in [opened(ledger, name, now) for name in names]:
        ledger.give_back(lease, now, usable=True)


def counts(ledger: Ledger[str]) -> tuple[int, int, int, int]:
    return ledger.open, ledger.idle, ledger.out, ledger.waiting


def test_the_first_claim() -> None:
    """Nothing is open, so the user may open something."""
    ledger = Ledger[str](Limits())
    lease = lent(ledger.claim(5.0))
    assert (lease.thing, lease.born, lease.idle, counts(ledger)) == (None, 5.0, None, (1, 0, 1, 0))


def test_last_in_first_out() -> None:
    """What was used a moment ago is used again, and the others may grow old."""
    ledger = Ledger[str](Limits(max_connections=3))
    laid_down(ledger, "a", "b")
    lease = lent(ledger.claim(4.0))
    assert (lease.thing, lease.idle) == ("b", 4.0)
    assert lent(ledger.claim(4.0)).thing == "a"
    assert lent(ledger.claim(4.0)).thing is None


def test_no_more_than_the_limit() -> None:
    """Beyond it one waits, in order, and is told when it is granted."""
    ledger, woken = Ledger[str](ONE), list[str]()
    first = opened(ledger, "a")
    ann = ledger.claim(1.0, lambda: woken.append("ann"))
    bob = ledger.claim(1.0, lambda: woken.append("bob"))
    assert counts(ledger) == (1, 0, 1, 2)
    ledger.give_back(first, 2.0, usable=True)
    assert (lent(ann).thing, bob.lease, woken) == ("a", None, ["ann"])


def test_no_barging() -> None:
    """Who comes last does not get what was just given back."""
    ledger = Ledger[str](ONE)
    first = opened(ledger, "a")
    ann = ledger.claim(1.0)
    ledger.give_back(first, 2.0, usable=True)
    assert ledger.claim(2.0).lease is None
    assert lent(ann).thing == "a"


def test_the_head_of_the_queue() -> None:
    """Whose turn it was already goes before those who wait."""
    ledger = Ledger[str](ONE)
    lease = opened(ledger, "a")
    ann, bob = ledger.claim(1.0), ledger.claim(1.0, first=True)
    ledger.give_back(lease, 1.0, usable=True)
    assert (lent(bob).thing, ann.lease) == ("a", None)


def test_what_is_broken_makes_room() -> None:
    """A connection that is not usable is never lent again; who waits may open another."""
    ledger = Ledger[str](ONE)
    lease = opened(ledger, "a")
    ann = ledger.claim(1.0)
    ledger.give_back(lease, 2.0, usable=False)
    assert (lent(ann).thing, lease.thing, ledger.expired(2.0)) == (None, None, [])


def test_a_lease_ends_once() -> None:
    """Given back twice, it is void the second time: nobody else's connection is touched."""
    ledger = Ledger[str](ONE)
    lease = opened(ledger, "a")
    ledger.give_back(lease, 1.0, usable=True)
    ledger.give_back(lease, 1.0, usable=True)
    assert (counts(ledger), ledger.things, ledger.expired(1.0)) == ((1, 1, 0, 0), ["a"], [])


def test_a_lease_of_another_ledger() -> None:
    """What was lent before a fork is nobody's place here: it is to be closed."""
    before, ledger = Ledger[str](ONE), Ledger[str](ONE)
    ledger.give_back(opened(before, "a"), 1.0, usable=True)
    assert (counts(ledger), ledger.expired(1.0)) == ((0, 0, 0, 0), ["a"])


def test_cancelled_while_waiting() -> None:
    """It leaves the queue, and the next one moves up."""
    ledger = Ledger[str](ONE)
    lease = opened(ledger, "a")
    ann, bob = ledger.claim(1.0), ledger.claim(1.0)
    ledger.cancel(ann, 1.0)
    ledger.give_back(lease, 1.0, usable=True)
    assert (ann.lease, lent(bob).thing) == (None, "a")


def test_cancelled_after_it_was_granted() -> None:
    """The grant came just before the end of patience: it goes to the next one."""
    ledger = Ledger[str](ONE)
    lease = opened(ledger, "a")
    ann, bob = ledger.claim(1.0), ledger.claim(1.0)
    ledger.give_back(lease, 1.0, usable=True)
    ledger.cancel(ann, 1.0)
    ledger.cancel(Claim(), 1.0)
    assert (lent(bob).thing, counts(ledger)) == ("a", (1, 0, 1, 0))


def test_idle_for_too_long() -> None:
    """It is handed out once, to be closed, and not lent any more."""
    ledger = Ledger[str](Limits(max_idle=10.0))
    laid_down(ledger, "a")
    assert ledger.expired(9.9) == []
    assert lent(ledger.claim(10.0)).thing is None
    assert (ledger.expired(10.0), ledger.expired(10.0)) == (["a"], [])


def test_the_first_to_have_had_its_time_is_seen() -> None:
    """Whichever place it has in the stack: the one on top may be the oldest by far."""
    ledger = Ledger[str](Limits(max_idle=50.0, max_age=100.0))
    old, young = opened(ledger, "old", 0.0), opened(ledger, "young", 80.0)
    ledger.give_back(young, 85.0, usable=True)
    ledger.give_back(old, 90.0, usable=True)
    assert (ledger.expired(99.9), ledger.expired(100.0)) == ([], ["old"])
    assert (ledger.expired(134.9), ledger.expired(135.0)) == ([], ["young"])


def test_idle_since_it_was_laid_down() -> None:
    """However long it was in use, it is idle only from then on."""
    ledger = Ledger[str](Limits(max_idle=10.0))
    lease = opened(ledger, "a")
    ledger.give_back(lease, 20.0, usable=True)
    assert ledger.expired(20.0) == []
    assert lent(ledger.claim(25.0)).idle == 5.0


def test_too_old() -> None:
    """Its age counts from when it was made, however busy it was; chance takes a little off."""
    ledger = Ledger[str](Limits(max_age=100.0), jitter=lambda: 0.5)
    lease = opened(ledger, "a")
    end = 100.0 * (1 - JITTER / 2)
    assert not lease.too_old(end - 0.1)
    ledger.give_back(lease, end - 0.1, usable=True)
    assert ledger.expired(end) == ["a"]


def test_the_things_there_are() -> None:
    """Those that are idle, lent or aside, for whoever must close them all."""
    ledger = Ledger[str](Limits(max_connections=4))
    leases = [opened(ledger, name) for name in "abc"]
    lent(ledger.claim(0.0))
    ledger.give_back(leases[0], 0.0, usable=True)
    ledger.suspend(leases[1], 0.0)
    assert sorted(ledger.things) == ["a", "b", "c"]


def test_dismissed() -> None:
    """All that nobody uses is handed out at once."""
    ledger = Ledger[str](Limits(max_connections=3, max_idle=10.0))
    laid_down(ledger, "a")
    ledger.tend(10.0)
    laid_down(ledger, "b", "c", now=10.0)
    assert sorted(ledger.dismiss()) == ["a", "b", "c"]
    assert counts(ledger) == (0, 0, 0, 0)


# A place whose user is busy elsewhere.


def test_set_aside() -> None:
    """It does not count meanwhile, so the user may have another one without waiting for itself."""
    ledger = Ledger[str](ONE)
    outer = opened(ledger, "a")
    ledger.suspend(outer, 0.0)
    inner = opened(ledger, "b")
    assert counts(ledger) == (2, 0, 2, 0)
    ledger.give_back(inner, 0.0, usable=True)
    ledger.resume(outer)
    assert ledger.expired(0.0) == ["b"]
    assert counts(ledger) == (1, 0, 1, 0)


def test_the_longest_idle_makes_way() -> None:
    """Where those who come back are too many, what was used a moment ago stays."""
    ledger = Ledger[str](Limits(max_connections=3))
    outer = opened(ledger, "a")
    ledger.suspend(outer, 0.0)
    laid_down(ledger, "b", "c", "d")
    ledger.resume(outer)
    assert ledger.expired(0.0) == ["b"]


def test_given_back_from_aside() -> None:
    """An interruption may end a lease there."""
    ledger = Ledger[str](ONE)
    lease = opened(ledger, "a")
    ledger.suspend(lease, 0.0)
    ledger.give_back(lease, 0.0, usable=True)
    ledger.resume(lease)
    ledger.suspend(lease, 0.0)
    assert counts(ledger) == (1, 1, 0, 0)


def test_given_back_above_the_ceiling() -> None:
    """Where its place was taken meanwhile, it is closed."""
    ledger = Ledger[str](ONE)
    outer = opened(ledger, "a")
    ledger.suspend(outer, 0.0)
    inner = opened(ledger, "b")
    ledger.resume(outer)
    ledger.give_back(outer, 0.0, usable=True)
    assert (ledger.expired(0.0), ledger.open, inner.thing) == (["a"], 1, "b")


# A server that has too many connections.


def turned_away(ledger: Ledger[str], now: float) -> Claim[str]:
    """A user opens a connection, is turned away and claims again."""
    lease = lent(ledger.claim(now))
    ledger.shrink(now)
    claim = ledger.claim(now, first=True)
    ledger.give_back(lease, now, usable=False)
    return claim


def test_shrinks() -> None:
    """With two open the third was refused: two it is, and who was refused waits for one of them."""
    ledger = Ledger[str](Limits(max_connections=5))
    leases = [opened(ledger, name) for name in "ab"]
    claim = turned_away(ledger, 0.0)
    assert (ledger.ceiling(0.0), claim.lease) == (2, None)
    ledger.give_back(leases[0], 1.0, usable=True)
    assert lent(claim).thing == "a"


def test_grows_back() -> None:
    """One more each BACK_OFF seconds, up to the limit."""
    ledger = Ledger[str](Limits(max_connections=5))
    for name in "ab":
        opened(ledger, name)
    turned_away(ledger, 0.0)
    assert [ledger.ceiling(BACK_OFF * turns) for turns in (0.9, 1, 2.5, 3, 99)] == [2, 3, 4, 5, 5]
    assert [ledger.due(BACK_OFF * turns) for turns in (0.9, 1, 2.5, 3)] == [
        BACK_OFF,
        BACK_OFF * 2,
        BACK_OFF * 3,
        math.inf,
    ]


@pytest.mark.parametrize("attempts", [1, 2, 9])
def test_backs_off(attempts: int) -> None:
    """Nothing is opened for a while, and longer with each refusal in a row."""
    ledger, now = Ledger[str](ONE), 0.0
    for _ in range(attempts):
        claim = turned_away(ledger, now)
        assert claim.lease is None
        begun, now = now, ledger.due(now)
        ledger.tend(now)
        ledger.give_back(lent(claim), now, usable=False)
    assert now - begun == pytest.approx(min(PAUSE * 2 ** (attempts - 1), LONGEST_PAUSE))


def test_a_success_forgives() -> None:
    """After a connection that served, the next refusal is the first one again."""
    ledger = Ledger[str](Limits(max_connections=5))
    lease = opened(ledger, "a")
    turned_away(ledger, 0.0)
    ledger.give_back(lease, 1.0, usable=True)
    ledger.shrink(2.0)
    assert ledger.due(2.0) == 2.0 + PAUSE


def test_who_waits_is_told_of_the_pause() -> None:
    """Time alone grants a claim now, so those who wait must look at the clock."""
    ledger, woken = Ledger[str](ONE), list[str]()
    opened(ledger, "a")
    ledger.claim(0.0, lambda: woken.append("ann"))
    ledger.claim(0.0)
    ledger.shrink(0.0)
    assert woken == ["ann"]
    assert ledger.ceiling(0.0) == 1
