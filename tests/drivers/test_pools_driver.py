"""One pool for each configuration, and not too many of them."""

from typing import Any

import pytest

from mailbridge import Pools, Server, SMTPInputError
from mailbridge.testing import ScriptedServer
from tests.drivers.helpers import server_of
from tests.drivers.pools import at_once, letter

LOGIN: dict[str, Any] = {"username": "ann", "password": "s3cret-horse"}


def test_the_same_configuration() -> None:
    """Equal servers and options share a pool, defaults spelled out or not; a secret tells them apart unseen."""
    pools, server = Pools(), Server("mail.example.com", **LOGIN)
    pool = pools.get(server)
    assert pools.get(Server("mail.example.com", **LOGIN), max_connections=2) is pool
    assert pools.get(Server("mail.example.com", **LOGIN | {"password": "other"})) is not pool
    assert pools.get(server, max_connections=3) is not pool
    assert len(pools) == 3
    assert "s3cret-horse" not in repr(vars(pools))


def test_threads_get_the_same_one() -> None:
    """Whoever asks first makes it."""
    pools, found = Pools(), list[object]()
    with at_once(*[lambda: found.append(pools.get(Server("mail.example.com")))] * 20):
        pass
    assert (len(found), len(set(found))) == (20, 1)


def test_too_many_pools(server: ScriptedServer) -> None:
    """The one that nobody asked for longest keeps no connection; who has it sends all the same."""
    pools = Pools(max_pools=2)
    first, second = (pools.get(server_of(server), max_messages=n) for n in (1001, 1002))
    for pool in (first, second):
        pool.send(letter(1))
    assert pools.get(server_of(server), max_messages=1001) is first
    pools.get(server_of(server), max_messages=1003)
    assert (first.stats().idle, second.stats().idle, len(pools)) == (1, 0, 2)
    assert second.send(letter(2)).complete
    assert second.stats().open == 0
    pools.close()


def test_closed(server: ScriptedServer) -> None:
    """All say goodbye; whoever asks again gets a new one."""
    pools = Pools()
    pool = pools.get(server_of(server))
    pool.send(letter(1))
    pools.close()
    assert server.lines[-1] == b"QUIT"
    again = pools.get(server_of(server))
    assert again is not pool
    assert again.send(letter(2)).complete
    pools.close()


def test_a_pool_that_somebody_closed(server: ScriptedServer) -> None:
    """Its users share it, but whoever comes next gets one that works."""
    pools = Pools()
    with pools.get(server_of(server)) as pool:
        pool.send(letter(1))
    assert pool.closed
    assert pools.get(server_of(server)).send(letter(2)).complete
    pools.close()


def test_cleared(server: ScriptedServer) -> None:
    """Settings changed: nothing is kept, and nobody who is sending is disturbed."""
    pools = Pools()
    pool = pools.get(server_of(server))
    pool.send(letter(1))
    pools.clear()
    assert (len(pools), pool.stats().open) == (0, 0)
    assert pool.send(letter(2)).complete
    server.wait_for(lambda: all(c.ended for c in server.connections))


@pytest.mark.parametrize("number", [0, True, "32", None])
def test_a_wrong_number_of_pools(number: Any) -> None:
    """It is named, with its value."""
    with pytest.raises(SMTPInputError, match="max_pools is a number from 1, not"):
        Pools(number)


def test_a_wrong_option() -> None:
    """It is the error of a pool, and no pool is made."""
    pools = Pools()
    with pytest.raises(SMTPInputError, match="max_connections"):
        pools.get(Server("mail.example.com"), max_connections=0)
    assert len(pools) == 0
