"""How much went on at once, over time, in a bounded amount of memory: one count for each phase that steps are in."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

BUCKETS: Final = 1024
"""Buckets that time is cut into at most: ten times the columns of a wide terminal, so that zooming in shows more."""

FINEST: Final = 1 / 64
"""Seconds that a bucket lasts at first. Each time a run outgrows them, two become one."""


class Level:
    """A number that goes up and down in time, such as how many steps of a name are in a phase.

    A change costs the same whenever it happens, and can be taken back. Times are seconds, 0 or later.
    """

    __slots__ = ("_bounds", "_changes", "_inside", "now", "width")

    def __init__(self) -> None:
        self.width = FINEST
        self.now = 0  # the value after the last change
        self._changes = array("q", [0])  # what the value changes by in a bucket
        self._inside = array("d", [0.0])  # and those changes times what is left of the bucket after them
        self._bounds: list[float] | None = None

    def change(self, at: float, by: int) -> None:
        """From ``at`` on the value is larger by ``by``."""
        bucket = int(at / self.width)
        while bucket >= BUCKETS:
            self._halve()
            bucket = int(at / self.width)
        missing = bucket + 1 - len(self._changes)
        if missing > 0:
            self._changes.extend([0] * missing)
            self._inside.extend([0.0] * missing)
        self._changes[bucket] += by
        self._inside[bucket] += by * ((bucket + 1) * self.width - at)
        self.now += by
        self._bounds = None

    def area(self, until: float) -> float:
        """The value summed over the time from 0 to ``until``: seconds in the phase, of all steps together."""
        bounds = self._integral()
        where = max(0.0, until) / self.width
        bucket = int(where)
        if bucket >= len(bounds) - 1:
            return bounds[-1] + self.now * (until - (len(bounds) - 1) * self.width)
        return bounds[bucket] + (where - bucket) * (bounds[bucket + 1] - bounds[bucket])

    def means(self, edges: Sequence[float]) -> list[float]:
        """The mean value between each two neighbours of ``edges``, which are times in rising order."""
        areas = [self.area(edge) for edge in edges]
        return [
            max(0.0, (after - before) / (until - since)) if until > since else 0.0
            for before, after, since, until in zip(areas, areas[1:], edges, edges[1:], strict=False)
        ]

    def _integral(self) -> list[float]:
        """The area until each bucket's beginning, and until the last one's end."""
        if self._bounds is None:
            before = accumulate(self._changes, initial=0)
            each = (inside + self.width * value for inside, value in zip(self._inside, before, strict=False))
            self._bounds = list(accumulate(each, initial=0.0))
        return self._bounds

    def _halve(self) -> None:
        """Two buckets become one; a change in the first of them lasts for the whole second one too."""
        if len(self._changes) % 2:
            self._changes.append(0)
            self._inside.append(0.0)
        firsts, seconds = self._inside[::2], self._inside[1::2]
        early = self._changes[::2]
        parts = zip(firsts, early, seconds, strict=True)
        self._inside = array("d", [first + self.width * change + second for first, change, second in parts])
        self._changes = array("q", [sum(pair) for pair in zip(early, self._changes[1::2], strict=True)])
        self.width *= 2
        self._bounds = None
