"""The same servers for coroutines. Each has threads of its own, so a loop never serves and never waits for one."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

PATIENCE = 5.0  # seconds: for a condition to become true, and for a thread to end


class Awaited:
    """What a coroutine needs in place of `with` and `wait_for`; everything else never blocks for long."""

    if TYPE_CHECKING:
        # What the servers have.
        def __enter__(self) -> Self: ...

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
        ) -> None: ...

        def wait_for(self, condition: Callable[[], object], timeout: float = PATIENCE) -> None: ...  # noqa: D102  # said there

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, traceback)

    async def until(self, condition: Callable[[], object], timeout: float = PATIENCE) -> None:  # noqa: ASYNC109  # as `wait_for` has it
        """Wait until `condition()` is true, as `wait_for` does, while the loop goes on.

        Args:
            condition: Asked in another thread, under the server's lock.
            timeout: Seconds.

        Raises:
            TimeoutError: it did not become true in time.
        """
        await asyncio.to_thread(self.wait_for, condition, timeout)
