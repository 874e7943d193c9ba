"""Dovecot's submission service with the Postfix that it relays to, asked as one server."""

from collections.abc import Sequence
from typing import Any

from .dovecot import Dovecot
from .machine import LARGEST, PASSWORD, USER, Lab
from .postfix import Postfix


class Submission(Lab):
    """Takes mail from those who log in; what it takes arrives at Postfix, or was refused by it."""

    name = "submission"
    doors = ("starttls", "tls")
    unix_lines = True
    queues = True
    small = ("starttls", LARGEST)

    def __init__(self, dovecot: Dovecot, postfix: Postfix) -> None:
        self.dovecot, self.postfix = dovecot, postfix
        self.folder, self.foreign, self.ca = dovecot.folder, dovecot.foreign, dovecot.ca
        self.ports = {"starttls": dovecot.ports["submission"], "tls": dovecot.ports["submissions"]}

    def check(self) -> None:
        """Its two halves were checked."""

    def command(self) -> Sequence[str]:
        raise NotImplementedError("it runs when its halves do")

    def start(self) -> None:
        self.dovecot.start()

    def stop(self) -> None:
        self.dovecot.stop()

    def close(self) -> None:
        """Its halves are closed by whoever made them."""

    def output(self) -> str:
        return self.dovecot.output() + self.postfix.output()

    def settle(self) -> None:
        self.postfix.settle()

    def server(self, door: str = "", **changes: Any) -> Any:
        login = {"username": USER, "password": PASSWORD}
        if "token_provider" in changes:
            login.pop("password")
        return super().server(door, **{**login, **changes})

    def arrived(self, token: str, count: int = 1) -> list[bytes]:
        return self.postfix.arrived(token, count)
