"""What the servers share: folders, ports, processes, and how what arrived is read."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import trustme

from mailbridge import Security, Server, Timeouts

LIMIT = 1_048_576  # octets, at the door "small"
LARGEST = 16 * LIMIT
RECIPIENTS = 20
USER, PASSWORD = "ann@lab.test", "correct horse"  # of loopback only
IDN, IDN_A_LABEL = "bücher.test", "xn--bcher-kva.test"
# What protects a door; nothing does where it is not named here.
DOORS = {
    "tls": Security.IMPLICIT,
    "starttls": Security.STARTTLS,
    "submission": Security.STARTTLS,
    "submissions": Security.IMPLICIT,
}
# Header fields that servers put in front of a message.
ADDED = (b"return-path:", b"received:", b"delivered-to:", b"x-original-to:", b"x-peer:", b"x-mailfrom:", b"x-rcptto:")

# One authority for all servers, and one that nobody trusts.
AUTHORITY, STRANGER = trustme.CA(), trustme.CA()


class MissingError(Exception):
    """What this machine lacks to run a server."""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def eventually(what: str, condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Ask a process of somebody else's until it is true: there is no event to wait for."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"in vain for {seconds} s: {what}"
        time.sleep(0.02)
    return found


def listens(port: int) -> bool:
    """Somebody accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _signal(group: int, number: int) -> bool:
    """Send a signal to a group of processes; say whether it was there."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


class Lab:
    """One server: `start` and `stop` it, ask for its `server`, read what `arrived`.

    Attributes:
        doors: Names of its ports: "smtp" or "lmtp", "starttls", "tls", "small", "idle" and its own.
        longest: The longest line that it takes.
        unix_lines: It stores lines that end in LF, and one file for each recipient.
        queues: It delivers behind its reply, and once more where it was killed in between.
        once: It keeps one file for a message, whatever the number of its recipients.
        small: The door whose SIZE is limited, and to how many octets.
    """

    name: ClassVar[str]
    doors: ClassVar[tuple[str, ...]]
    lmtp: ClassVar[bool] = False
    longest: ClassVar[int] = 5000
    unix_lines: ClassVar[bool] = False
    queues: ClassVar[bool] = False
    once: ClassVar[bool] = False
    small: ClassVar[tuple[str, int]] = ("small", LIMIT)

    def __init__(self) -> None:
        self.check()
        # Not pytest's folder: that is closed to the users that the servers run as.
        self.folder = Path(tempfile.mkdtemp(prefix=f"mailbridge-{self.name}-"))
        self.folder.chmod(0o755)
        self.ports = dict(zip(self.doors, free_ports(len(self.doors)), strict=True))
        self.mail = self.folder / "mail"
        self.mail.mkdir()
        self.ca = self.write("ca.pem", AUTHORITY.cert_pem.bytes())
        leaf = AUTHORITY.issue_cert("localhost")
        self.cert = self.write("cert.pem", b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        self.key = self.write("key.pem", leaf.private_key_pem.bytes())
        self.foreign = self.write("foreign.pem", STRANGER.cert_pem.bytes())
        self.process: subprocess.Popen[bytes] | None = None
        self.configure()

    def check(self) -> None:
        """Say what this machine lacks.

        Raises:
            MissingError: It cannot run here.
        """
        raise NotImplementedError

    def configure(self) -> None:
        """Write the configuration."""

    def command(self) -> Sequence[str]:
        """What to run; it must stay in the foreground."""
        raise NotImplementedError

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file of the configuration."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def start(self) -> None:
        """Run it until it listens everywhere."""
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(self.command(), stdout=output, stderr=output, start_new_session=True)
        for door, port in self.ports.items():
            eventually(f"{self.name} listens at {door}: {self.output()}", lambda port=port: self._up(port))

    def _up(self, port: int) -> bool:
        assert self.process
        assert self.process.poll() is None, f"{self.name} ended: {self.output()}"
        return listens(port)

    def stop(self) -> None:
        """End it and its children, by process group."""
        if self.process:
            group, self.process = self.process, None
            _signal(group.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                group.wait(10)
            _signal(group.pid, signal.SIGKILL)
            group.wait(10)
            eventually(f"the children of {self.name} end", lambda: not _signal(group.pid, 0))

    def close(self) -> None:
        """Stop it for good."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def output(self) -> str:
        """What it said."""
        return "".join(path.read_text(errors="replace") for path in self.folder.glob("output*"))[-2000:]

    def server(self, door: str = "", **changes: Any) -> Server:
        """Where and how to connect: trusted, and by default through the first door."""
        door = door or self.doors[0]
        security = DOORS.get(door, Security.NONE)
        values: dict[str, Any] = {
            "host": "127.0.0.1" if security is Security.NONE else "localhost",
            "port": self.ports[door],
            "security": security,
            "lmtp": self.lmtp,
            "ca_file": str(self.ca) if security is not Security.NONE else None,
            "timeouts": Timeouts(reply=20, content=30, send=60),
        }
        return Server(**{**values, **changes})

    def stored(self) -> list[Path]:
        """The files of the messages that it has."""
        return [path for path in self.mail.rglob("*") if path.is_file() and "tmp" not in path.parts[-2:]]

    def settle(self) -> None:
        """Wait until all that it took responsibility for has arrived. Most servers say so by their reply."""

    def arrived(self, token: str, count: int = 1) -> list[bytes]:
        """The messages that hold a token, as they were stored, with lines that end in CRLF."""

        def found() -> list[bytes]:
            texts = [path.read_bytes() for path in self.stored() if "dovecot" not in path.name]
            mine = [text for text in texts if token.encode() in text]
            return mine if len(mine) >= count else []

        texts = eventually(f"{count} messages with {token} at {self.name}: {self.output()}", found)
        return [text.replace(b"\n", b"\r\n") for text in texts] if self.unix_lines else texts


def added(stored: bytes, sent: bytes) -> bytes:
    """What a server put in front of a message; the rest must be what was sent, octet for octet."""
    assert stored.endswith(sent), f"sent {sent[-300:]!r}, arrived {stored[-300:]!r}"
    front = stored.removesuffix(sent)
    for line in front.splitlines():
        assert line.lower().startswith((*ADDED, b"\t", b" ")), f"who added {line!r}?"
    return front
