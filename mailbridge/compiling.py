"""A word to mypyc, which makes machine code of some modules (see pyproject.toml). Nobody else hears it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # mypyc knows it by its full name.
    from mypy_extensions import mypyc_attr
else:

    def mypyc_attr(**_):
        """Say something about a class to mypyc; without it that means nothing."""
        return lambda kind: kind


__all__ = ["mypyc_attr"]
