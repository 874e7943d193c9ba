"""aiosmtplib: one connection, `sendmail` with finished octets."""

from __future__ import annotations

import aiosmtplib

from ..workloads import SENDER, Mail
from .base import AsyncDriver


class Aiosmtplib(AsyncDriver):
    """`aiosmtplib.SMTP.sendmail` on asyncio's own loop."""

    def open(self) -> None:
        self.client = aiosmtplib.SMTP(hostname="127.0.0.1", port=self.target.port, start_tls=False)
        self.wait(self.client.connect())

    def close(self) -> None:
        self.wait(self.client.quit())

    async def asend(self, mail: Mail) -> None:
        await self.client.sendmail(SENDER, mail.recipients, mail.raw)


class AiosmtplibUvloop(Aiosmtplib):
    """The same on uvloop."""

    uvloop = True
