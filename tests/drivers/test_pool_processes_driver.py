"""Pools where processes fork, spawn and end: nobody talks on somebody else's connection, nobody waits for ever."""

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import traceback
import warnings
import weakref
from collections.abc import Callable

import pytest

from mailbridge import Pool, Pools, Server
from mailbridge.sync import processes
from mailbridge.testing import ScriptedServer, Then
from mailbridge.testing.settings import TLSMode
from tests.drivers.helpers import PATIENCE, server_of
from tests.drivers.pools import letter, pool_of

TLS = pytest.mark.parametrize("tls", [None, "implicit", "starttls"])


def in_a_child(job: Callable[[], object]) -> None:
    """Fork, run a function in the child, and see it end well."""
    with warnings.catch_warnings():
        # The server's threads do not exist in the child, which is what this is about.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        signal.alarm(int(PATIENCE * 2))
        try:
            job()
        except BaseException:  # noqa: BLE001 - a child that goes on would run the rest of the tests
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@TLS
def test_forked_with_a_warm_pool(tls: TLSMode | None) -> None:
    """Both sides send (S21): the child over a connection of its own, the parent over the one that it had."""
    with ScriptedServer(tls=tls) as server, pool_of(server) as pool:
        pool.send(letter(1))
        in_a_child(lambda: (pool.send(letter(2)), pool.close()))
        receipt = pool.send(letter(3))
        assert receipt.reused
        assert [(m.connection, m.content) for m in server.messages] == [
            (1, letter(1)),
            (2, letter(2)),
            (1, letter(3)),
        ]


def test_forked_before_the_first_use(server: ScriptedServer) -> None:
    """A server that forks its workers from a program that has the pool already."""
    with pool_of(server) as pool:
        for n in range(2):
            in_a_child(lambda n=n: pool.send(letter(n)))
        assert pool.send(letter(2)).complete
        assert [m.content for m in server.messages] == [letter(n) for n in range(3)]


@TLS
def test_forked_beside_a_lease(tls: TLSMode | None) -> None:
    """Another thread is in the middle of a message and waits for a place: the child has a free lock and no message."""
    with ScriptedServer(tls=tls) as server, pool_of(server, max_connections=1) as pool, pool.lease() as client:
        client.noop()
        in_a_child(lambda: (pool.send(letter(2)), pool.close()))
        assert client.send(letter(1)).complete
        assert server.connections[0].messages == 1


def test_forked_while_the_lock_is_held(server: ScriptedServer) -> None:
    """The thread that holds it is not there in the child."""
    pools = Pools()
    pool = pools.get(server_of(server))
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with pool._desk.lock, pools._lock, processes._lock:
            held.set()
            done.wait(PATIENCE)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(PATIENCE)
    in_a_child(lambda: (pools.get(server_of(server)).send(letter(1)), Pool(server_of(server)), pools.close()))
    done.set()
    thread.join()
    assert len(server.messages) == 1


def test_what_was_learned_is_known_in_the_child(server: ScriptedServer) -> None:
    """A server that wants the envelope first wants it there too; its TLS sessions are the parent's."""
    with pool_of(server) as pool:
        before, pool._acquaintance.rcpt_first = pool._acquaintance, True

        def look() -> None:
            assert pool._acquaintance.rcpt_first
            assert pool._acquaintance.resumption is not before.resumption

        in_a_child(look)


def test_a_child_that_does_nothing(server: ScriptedServer) -> None:
    """Its end closes descriptors and says no word on the parent's connection."""
    with pool_of(server) as pool:
        pool.send(letter(1))
        in_a_child(gc.collect)
        assert pool.send(letter(2)).reused
        assert b"QUIT" not in server.lines


def test_a_pool_that_nobody_keeps_is_let_go() -> None:
    """What looks after pools for forks keeps none alive."""
    seen = weakref.ref(Pool(Server("mail.example.com")))
    gc.collect()
    assert seen() is None


def run(script: str, server: ScriptedServer, *, first: str = "") -> str:
    """Run a program against a server, with its own interpreter; give what it says."""
    program = f"{first}from mailbridge import *\nserver = Server.from_url({server.url!r})\n"
    done = subprocess.run(
        [sys.executable, "-c", program + textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=PATIENCE * 4,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


MAIL = "b'From: a@x\\r\\nTo: b@y\\r\\n\\r\\nhello\\r\\n'"


def test_the_end_of_a_program_with_a_warm_pool(server: ScriptedServer) -> None:
    """Nobody closed it: it says goodbye all the same, on each connection."""
    run(
        f"""
        pool, pools = Pool(server), Pools()
        pool.send({MAIL})
        pools.get(server, max_messages=7).send({MAIL})
        """,
        server,
    )
    assert server.lines.count(b"QUIT") == 2


def test_the_end_of_a_program_where_nobody_answers(server: ScriptedServer) -> None:
    """All goodbyes together take two seconds at most."""
    server.answer("QUIT", b"", then=Then.SILENCE)
    said = run(
        f"""
        import atexit, time
        atexit.register(lambda: print(time.monotonic() - ended < 3))
        pools = [Pool(server) for _ in range(4)]
        for pool in pools:
            pool.send({MAIL})
        import mailbridge.sync.processes as processes
        atexit.unregister(processes._at_exit)
        atexit.register(processes._at_exit)
        ended = time.monotonic()
        """,
        server,
    )
    assert said == "True\n"
    assert server.lines.count(b"QUIT") == 4


def test_mail_at_the_very_end(server: ScriptedServer) -> None:
    """What a program sends after the pools said goodbye goes out all the same."""
    run(
        f"""
        import atexit, mailbridge.sync.processes as processes
        atexit.unregister(processes._at_exit)
        pool = Pool(server)
        atexit.register(lambda: pool.send({MAIL}))
        atexit.register(processes._at_exit)
        """,
        server,
    )
    assert len(server.messages) == 1
    server.wait_for(lambda: all(c.ended for c in server.connections))


def test_a_daemon_thread_at_the_end(server: ScriptedServer) -> None:
    """A program that ends in the middle of a lease does not wait for it."""
    run(
        """
        import threading
        pool, ready = Pool(server), threading.Event()

        def work():
            with pool.lease() as client:
                ready.set()
                threading.Event().wait()

        threading.Thread(target=work, daemon=True).start()
        ready.wait()
        """,
        server,
    )


def send_from_here(server: Server) -> None:
    """What a spawned worker does."""
    with Pool(server) as pool:
        pool.send(letter(1))


def test_spawned(server: ScriptedServer) -> None:
    """A worker makes a pool of its own from the server's description; one that is handed over is refused."""
    spawn = multiprocessing.get_context("spawn")
    worker = spawn.Process(target=send_from_here, args=(server_of(server),))
    worker.start()
    worker.join(PATIENCE * 4)
    assert (worker.exitcode, len(server.messages)) == (0, 1)
    with pytest.raises(TypeError, match="a Pool is never pickled"):
        spawn.Process(target=pool_of(server).send, args=(letter(1),)).start()


def test_greenlets(server: ScriptedServer) -> None:
    """Under gevent's patched sockets and threads a hundred greenlets share two connections."""
    pytest.importorskip("gevent", reason="gevent is not installed")
    said = run(
        f"""
        import gevent
        pool = Pool(server, max_messages=1000)
        jobs = [gevent.spawn(pool.send, {MAIL}) for _ in range(100)]
        gevent.joinall(jobs, timeout=10, raise_error=True)
        print(pool.stats().opened)
        """,
        server,
        first="from gevent import monkey; monkey.patch_all()\n",
    )
    assert (said, len(server.messages)) == ("2\n", 100)


def test_a_greenlet_that_is_given_up(server: ScriptedServer) -> None:
    """gevent.Timeout is no Exception: it passes, the place is free, the next message has a connection of its own."""
    pytest.importorskip("gevent", reason="gevent is not installed")
    server.answer("MAIL", b"", times=1)
    run(
        f"""
        import gevent
        pool = Pool(server, max_connections=1)
        try:
            with gevent.Timeout(0.2):
                pool.send({MAIL})
        except gevent.Timeout as error:
            assert len(error.receipt.not_sent) == 1
        assert pool.stats().open == 0
        pool.send({MAIL})
        """,
        server,
        first="from gevent import monkey; monkey.patch_all()\nimport logging; logging.disable()\n",
    )
    assert [m.connection for m in server.messages] == [2]
