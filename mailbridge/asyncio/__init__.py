"""The driver for asyncio: the same verbs as those of `mailbridge.Client` and `mailbridge.Pool`, awaited.

It runs on every loop that can watch a socket: asyncio's own on POSIX, and uvloop. Names are resolved, certificates
read and plain token providers called beside the loop; a message that is a file is read in it, a piece at a time.
"""

from .client import Client
from .pool import Pool

__all__ = ["Client", "Pool"]
