"""How many turns an agent's session takes in all, and so how many are left."""

from __future__ import annotations

from typing import Any, Final

from agentrt.kvcache.estimators.base import Distribution, Estimate
from agentrt.kvcache.estimators.durations import Durations
from agentrt.kvcache.estimators.observed import Observed

_UNKNOWN: Final = Observed([(one, 1.0) for one in (1.0, 2.0, 4.0, 8.0, 16.0)], tail=1 / 6)


class Turns:
    """Turns of whole sessions: per agent, and over all agents as long as an agent's own are few."""

    def __init__(self) -> None:
        self._totals = Durations(_UNKNOWN)

    def observe(self, agent: str, total: int) -> None:
        """Learn that a session of ``agent`` ended after ``total`` turns."""
        self._totals.observe(agent, "", float(total))

    def of(self, agent: str) -> Distribution:
        """Turns of one session, from first to last."""
        return self._totals.of(agent)

    def left(self, agent: str, done: int) -> Estimate:
        """E[N - done | N >= done]: turns to come after ``done`` of them, when it is not known whether one comes."""
        totals = self.of(agent)
        value = max(totals.residual(done - 0.5) - 0.5, 0.0)
        return Estimate(value, totals.samples, totals.confidence)

    def again(self, agent: str, done: int) -> float:
        """P(N > done | N >= done): how likely there is another turn after ``done``."""
        totals = self.of(agent)
        return totals.survival(float(done)) / totals.survival(done - 0.5)

    def dump(self) -> list[Any]:
        """All that is kept as plain JSON."""
        return self._totals.dump()

    def fill(self, dumped: object) -> None:
        """Take in what ``dump`` gave. Raises ``ValueError``, ``TypeError`` or ``KeyError`` if it is something else."""
        self._totals.fill(dumped)
