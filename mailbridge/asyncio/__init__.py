"""The driver for asyncio: the same verbs as `mailbridge.Client`, awaited.

It runs on every loop that can watch a socket: asyncio's own on POSIX, and uvloop.
"""

from .client import Client
from .pool import Pool

__all__ = ["Client", "Pool"]
