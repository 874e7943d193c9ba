"""Signals, such as Ctrl-C: their handlers run where Python's interpreter enters a function.

Never machine code: see the list in pyproject.toml.
"""

from __future__ import annotations


def hear() -> None:
    """Run the handlers of what came. Machine code says so before it waits, or a wait begins that nobody can end."""
