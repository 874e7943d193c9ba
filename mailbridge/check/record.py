"""The steps of a check as they happen. A step ends when the next one begins, or when it failed."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..errors import SMTPException
from ..facts import Phase
from .diagnosis import Fact, Step

Facts = dict[str, Fact]


class Record:
    """The steps so far, and the present one.

    Attributes:
        steps: Those that are over.
    """

    def __init__(self, learned: Callable[[Phase], tuple[Facts, str]]) -> None:
        """Begin with nothing.

        Args:
            learned: What a step that went well has shown: facts, and a finding where it may not go on so.
        """
        self.steps: list[Step] = []
        self._learned = learned
        self._phase: Phase | None = None
        self._facts: Facts = {}
        self._begun = 0.0

    def enter(self, phase: Phase) -> None:
        """A step begins, unless it is the present one that goes on."""
        if phase is not self._phase:
            self.leave()
            self._phase, self._facts, self._begun = phase, {}, time.monotonic()

    def note(self, facts: Facts) -> None:
        """What the present step is about."""
        self._facts |= facts

    def leave(self) -> None:
        """The present step, if there is one, ended well."""
        if self._phase:
            facts, finding = self._learned(self._phase)
            self._end(True, facts, finding)

    def warn(self, finding: str) -> None:
        """The present step ended in a way that is worth a word."""
        self._end(True, {}, finding)

    def fail(self, error: SMTPException, finding: str) -> None:
        """The check ends with this error."""
        if self._phase and error.phase in {self._phase, None}:
            self._end(False, {}, finding)
            return
        self.leave()
        # Where no address answered, each has said so for itself.
        if all(step.ok for step in self.steps):
            self.steps.append(Step(error.phase or Phase.COMMAND, 0.0, False, {}, finding))

    def _end(self, ok: bool, facts: Facts, finding: str) -> None:
        assert self._phase is not None  # noqa: S101 - who ends a step has begun one
        self.steps.append(Step(self._phase, time.monotonic() - self._begun, ok, self._facts | facts, finding))
        self._phase = None
