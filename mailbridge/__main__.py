"""`python -m mailbridge check URL`: what works between here and a mail server, and what to change."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from .check import diagnose
from .errors import SMTPInputError
from .server import Server

WELL, FAILED, MISUSED = 0, 1, 2
URL = "MAILBRIDGE_URL"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # The standard message repeats the arguments, and one of them may be a URL with its password.
        del message
        self.print_usage(sys.stderr)
        self.exit(MISUSED, f"{self.prog}: these arguments are not understood; --help explains them\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m mailbridge", allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="check")
    check = commands.add_parser(
        "check",
        allow_abbrev=False,
        help="say what works between here and a mail server",
        description="Resolve, connect, greet, protect, log in, ask about MAIL and RCPT, and say what to change.",
        epilog=f"Exit status: {WELL} all well (perhaps with warnings), {FAILED} a step failed, {MISUSED} wrong usage.",
    )
    check.add_argument(
        "url",
        nargs="?",
        metavar="URL",
        help="such as smtp+starttls://user:secret@mail.example.com:587; "
        f"where it is left out, {URL} of the environment, so that no process list shows the password",
    )
    check.add_argument("--to", metavar="ADDRESS", help="send a small test message to this address")
    check.add_argument("--from", dest="sender", metavar="ADDRESS", help="the sender to ask about")
    check.add_argument("--json", action="store_true", help="for machines")
    return parser


def _url(given: str | None) -> str:
    url = given or os.environ.get(URL)
    if not url:
        raise SMTPInputError(f"no server: give its URL, or set {URL}")
    return url


def main(arguments: Sequence[str] | None = None) -> int:
    """Check a server; print what was found.

    Args:
        arguments: The command line behind `python -m mailbridge`.

    Returns:
        The exit status.
    """
    given = _parser().parse_args(arguments)
    try:
        server = Server.from_url(_url(given.url))
        diagnosis = diagnose(server, to=given.to, sender=given.sender)
    except SMTPInputError as error:
        sys.stderr.write(f"python -m mailbridge check: {error}\n")
        return MISUSED
    sys.stdout.write(json.dumps(diagnosis.as_dict(), indent=2) if given.json else "\n".join(diagnosis.lines()))
    sys.stdout.write("\n")
    return WELL if diagnosis.ok else FAILED


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        # A terminal or a log that knows only ASCII shows the rest escaped.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main())
