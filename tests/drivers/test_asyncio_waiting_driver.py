"""Waiting for a socket, on each loop: what ends behind octets that are still to be read is seen."""

import asyncio
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import uvloop

from mailbridge.asyncio.waiting import Watch

LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
Loop = Callable[[], asyncio.AbstractEventLoop]


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a TCP connection; ours does not block."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as ours:
        ours.connect(listener.getsockname())
        ours.setblocking(False)
        theirs, _ = listener.accept()
        with theirs:
            yield ours, theirs


def reset(theirs: socket.socket, last_words: bytes) -> None:
    """Say something, and reset the connection in the same breath."""
    theirs.sendall(last_words)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()


@LOOPS
@pytest.mark.parametrize("heeded", [True, False], ids=["each-octet-ends-a-wait", "one-wait"])
def test_a_reset_behind_octets(loop: Loop, heeded: bool) -> None:
    """Octet by octet is read, and then the reset is there, long before the deadline."""
    read = bytearray()

    async def listen(ours: socket.socket, theirs: socket.socket) -> None:
        def take() -> bool:
            read.extend(ours.recv(1))
            return heeded

        watch = Watch(ours)
        reset(theirs, b"250")
        try:
            while True:
                await watch.wait(time.monotonic() + 5, take=take)
        finally:
            watch.close()

    with pair() as (ours, theirs), asyncio.Runner(loop_factory=loop) as runner, pytest.raises(ConnectionResetError):
        runner.run(listen(ours, theirs))
    assert read == b"250"


@LOOPS
def test_writing_to_what_was_reset(loop: Loop) -> None:
    """Who waits to write behind a reset that was reported is told that something can be done."""

    async def write(ours: socket.socket, theirs: socket.socket) -> None:
        watch = Watch(ours)
        reset(theirs, b"250")
        try:
            await watch.wait(time.monotonic() + 5, take=lambda: bool(ours.recv(1)))
            assert await watch.wait(time.monotonic() + 5, write=True) is False
        finally:
            watch.close()

    with pair() as (ours, theirs), asyncio.Runner(loop_factory=loop) as runner:
        runner.run(write(ours, theirs))
