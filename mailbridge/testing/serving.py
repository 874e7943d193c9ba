"""One client's connection on a real socket, and the thread that serves it."""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress

from mailbridge.testing.actions import Action, End, Then, Write
from mailbridge.testing.wire import CHUNK, Wire

# Seconds that last words wait for what is being said: a client that reads nothing holds them up no longer.
PATIENCE = 5.0
_RST_ON_CLOSE = struct.pack("ii", 1, 0)


class Served(threading.Thread):
    """Reads, lets the wire decide under the server's lock, and acts outside it.

    Args:
        client: The accepted socket; it is closed when the thread ends.
        wire: What decides.
        implicit: Whether TLS comes before the greeting.
        changed: The server's lock; whoever waits for something to happen waits on it.
        stopping: Set when the server closes; it cuts the pauses of a drip short.
        failed: Takes what should not have happened in this thread.
    """

    def __init__(
        self,
        client: socket.socket,
        wire: Wire,
        *,
        implicit: bool,
        changed: threading.Condition,
        stopping: threading.Event,
        failed: Callable[[BaseException], None],
    ) -> None:
        super().__init__(name=f"scripted-{wire.session.connection.number}", daemon=True)
        self._client = client
        self._wire = wire
        self._implicit = implicit
        self._changed = changed
        self._stopping = stopping
        self._failed = failed
        # What was decided first is performed first: a 421 of another thread's stands behind the replies before it.
        self._turn = threading.Lock()

    def run(self) -> None:
        """Serve until the client is gone."""
        try:
            with self._client:
                self._gone(self._serve())
        except BaseException as error:  # noqa: BLE001  # raised in the test by ScriptedServer.__exit__
            self._failed(error)

    def _serve(self) -> str:
        try:
            self._act(lambda: self._wire.open(implicit=self._implicit))
            while data := self._receive():
                self._act(lambda: self._wire.receive(data))
        except OSError:
            return "client reset"
        return "client closed"

    def _receive(self) -> bytes:
        while True:
            patience = self._wire.session.patience
            if patience != self._client.gettimeout():
                self._client.settimeout(patience)
            try:
                return self._client.recv(CHUNK)
            except TimeoutError:
                self._act(self._wire.impatient)

    def interrupt(self, data: bytes, then: Then) -> None:
        """From another thread: say `data` behind what is being said now, and end the connection; or cut it at once."""
        in_order = bool(data) or then is Then.CLOSE
        waits = in_order and self._turn.acquire(timeout=PATIENCE)
        try:
            with suppress(OSError):
                self._perform(self._decide(lambda: self._wire.say(data, then)))
        finally:
            if waits:
                self._turn.release()

    def stop(self) -> None:
        """From another thread: wake this one for its end."""
        with suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)

    def _act(self, step: Callable[[], list[Action]]) -> None:
        with self._turn:
            self._perform(self._decide(step))

    def _decide(self, step: Callable[[], list[Action]]) -> list[Action]:
        with self._changed:
            actions = step()
            self._changed.notify_all()
            return actions

    def _gone(self, how: str) -> None:
        with self._changed:
            self._wire.session.gone(how)
            self._changed.notify_all()

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Write(data, pause):
                    if pause and self._stopping.wait(pause):
                        return
                    self._client.sendall(data)
                case End(then):
                    self._end(then)

    def _end(self, then: Then) -> None:
        # The socket itself is closed by the loop in _serve, which reads on until the end of
        # the stream: another thread's close would not wake it.
        if then is Then.CLOSE:
            self._client.shutdown(socket.SHUT_WR)
        elif then is Then.DROP:
            self._client.shutdown(socket.SHUT_RDWR)
        elif then is Then.RESET:
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
            self._client.shutdown(socket.SHUT_RD)
