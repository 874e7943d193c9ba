"""The standard library: one connection, `sendmail` with finished octets."""

from __future__ import annotations

import smtplib

from ..workloads import SENDER, Mail
from .base import Driver


class Smtplib(Driver):
    """`smtplib.SMTP.sendmail`."""

    def open(self) -> None:
        self.client = smtplib.SMTP("127.0.0.1", self.target.port, timeout=60)

    def close(self) -> None:
        self.client.quit()

    def send(self, mail: Mail) -> None:
        self.client.sendmail(SENDER, mail.recipients, mail.raw)
