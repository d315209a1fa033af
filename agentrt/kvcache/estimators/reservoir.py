"""A bounded memory of observations in which the recent ones weigh more."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from agentrt.kvcache.estimators.base import Distribution, sureness
from agentrt.kvcache.estimators.observed import Observed

SIZE: Final = 128
"""Observations kept."""

HALF_LIFE: Final = 64
"""Observations after which one weighs half as much as the newest."""

_STALE: Final = 1 / 16
"""The share of new observations that makes a distribution be built again."""


class Reservoir:
    """The last observations of one thing; older ones weigh less."""

    __slots__ = ("_fresh", "_known", "_values", "count", "epoch")

    def __init__(self, values: Iterable[float] = (), count: int = 0) -> None:
        self._values = deque(values, maxlen=SIZE)
        self._fresh = 0
        self._known: Distribution | None = None
        self.count = max(count, len(self._values))
        """All observations ever, forgotten ones too."""
        self.epoch = 0
        """Grows whenever ``distribution`` changes."""

    def add(self, value: float) -> None:
        """Take in one observation."""
        self._values.append(value)
        self.count += 1
        self._fresh += 1
        if self._fresh >= _STALE * len(self._values):
            self._fresh = 0
            self._known = None
            self.epoch += 1

    @property
    def values(self) -> list[float]:
        """What is kept, oldest first."""
        return list(self._values)

    @property
    def distribution(self) -> Distribution:
        """What is kept; at most a sixteenth of it is not counted yet. Needs one observation at least."""
        if self._known is None:
            last = len(self._values) - 1
            weighted = ((value, 0.5 ** ((last - at) / HALF_LIFE)) for at, value in enumerate(self._values))
            chance = 1 / (last + 2)
            self._known = Observed(weighted, tail=chance, samples=self.count, confidence=sureness(self.count))
        return self._known
