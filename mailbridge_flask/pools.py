"""One pool of connections for each configuration, for the whole process and for all apps."""

from __future__ import annotations

from mailbridge import Pool, Pools

from .config import Settings

# Nothing is connected before the first message: a server that forks its workers may make the app first.
pools = Pools(max_pools=32)


def pool_for(settings: Settings) -> Pool:
    """The pool of a configuration.

    Raises:
        SMTPInputError: Keys that contradict each other, or credentials that would travel in clear.
    """
    # The one record of a message is written by `Connection`, with the app's name.
    return pools.get(settings.describe(), log_receipts=False, **settings.limits())
