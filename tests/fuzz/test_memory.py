"""What a client holds does not grow with what it has done."""

import gc
import tracemalloc

import pytest

import mailbridge
from tests.fuzz.fate import Fate
from tests.fuzz.letters import KINDS
from tests.fuzz.sessions import SERVERS, Session


def held() -> int:
    """Octets that our own code allocated and that are still there."""
    gc.collect()
    ours = tracemalloc.Filter(True, f"{next(iter(mailbridge.__path__))}/*")
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([ours]).traces)


def test_a_long_session_holds_no_more_than_a_short_one(pytestconfig: pytest.Config) -> None:
    """Four hundred messages more, over many connections, refused and accepted: the same few kilobytes."""
    if pytestconfig.pluginmanager.hasplugin("tests.secrecy"):
        pytest.skip("the search for secrets keeps what it has seen")
    session = Session(SERVERS[0])
    small = [kind for kind, (body, *_) in enumerate(KINDS) if len(body) < 1000]

    def send(count: int) -> None:
        for number in range(count):
            session.send(Fate(bytes((number * step) % 256 for step in range(60))), small[number % len(small)])
        session.hang_up()
        # What the servers remember is theirs, and holds on to what was said.
        session.links.clear()
        session.world.kept.clear()
        session.world.spoken.clear()

    tracemalloc.start()
    try:
        send(280)  # the messages themselves are kept for later, up to 256 of them
        before = held()
        send(400)
        assert held() < before + 50_000
    finally:
        tracemalloc.stop()
