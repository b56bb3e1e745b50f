"""Drills of the counter begin as its tests do."""

from tests.counter.conftest import counter, new_clerk, other, own

__all__ = ["counter", "new_clerk", "other", "own"]
