"""How long a turn waits in the engine's queue before its prefill begins."""

from __future__ import annotations

from typing import Any, Final

from agentrt.kvcache.estimators.base import Distribution, Estimate, sureness
from agentrt.kvcache.estimators.observed import Observed
from agentrt.kvcache.estimators.reservoir import Reservoir

_SMOOTHING: Final = 0.1
"""The weight of the newest delay in the moving average, once ten have been seen."""

_UNKNOWN: Final = Observed([(0.1, 1.0)], tail=0.5)


class Queueing:
    """Queueing delays in seconds: a moving average that follows the load, and a recent window for how they spread."""

    def __init__(self) -> None:
        self._mean = 0.0
        self._window = Reservoir()

    def observe(self, seconds: float) -> None:
        """Learn one delay. Nonsense (negative, not finite) is dropped."""
        if not 0 <= seconds < float("inf"):
            return
        self._window.add(seconds)
        self._mean += max(_SMOOTHING, 1 / self._window.count) * (seconds - self._mean)

    def seconds(self) -> Estimate:
        """The mean delay now: a plain mean at first, then a moving average over about ten delays. 0 before any."""
        return Estimate(self._mean, self._window.count, sureness(self._window.count))

    @property
    def recent(self) -> Distribution:
        """The delays of late as a distribution."""
        return self._window.distribution if self._window.count else _UNKNOWN

    def dump(self) -> list[Any]:
        """All that is kept as plain JSON."""
        return [float(f"{one:.4g}") for one in self._window.values]

    def fill(self, dumped: object) -> None:
        """Take in what ``dump`` gave. Raises ``ValueError`` or ``TypeError`` if it is something else."""
        for one in list(dumped):  # type: ignore[call-overload]
            self.observe(float(one))
