"""`python -m mailbridge.smtplib`: send a message typed at the terminal by the server on this machine."""

import sys

from . import SMTP


def _asked(question: str) -> str:
    sys.stdout.write(question + ": ")
    sys.stdout.flush()
    return sys.stdin.readline().strip()


def main() -> None:
    """Ask for envelope and message, and send."""
    sender = _asked("From")
    recipients = _asked("To").split(",")
    sys.stdout.write("Enter message, end with ^D:\n")
    message = sys.stdin.read()
    sys.stdout.write(f"Message length is {len(message)}\n")
    with SMTP("localhost") as server:
        server.set_debuglevel(1)
        server.sendmail(sender, recipients, message)


if __name__ == "__main__":
    main()
