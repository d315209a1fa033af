"""How many turns an agent's session takes in all, and so how many are left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from agentrt.kvcache.estimators.base import Distribution, Estimate
from agentrt.kvcache.estimators.durations import Durations
from agentrt.kvcache.estimators.observed import Observed

_LONGEST: Final = 10**6
_UNKNOWN: Final = Observed([(one, 1.0) for one in (1.0, 2.0, 4.0, 8.0, 16.0)], tail=1 / 6)


class Turns:
    """Turns of whole sessions: per agent, and over all agents as long as an agent's own are few."""

    def __init__(self) -> None:
        self._totals = Durations(_UNKNOWN)
        self._memory: tuple[Distribution, float] = (_UNKNOWN, 0.0)

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

    def memory(self) -> float:
        """How much turns done tell of turns left: ``-Corr(k, N - k)`` over all sessions seen, from 0 to 1.

        1 if all sessions have one length; 0 if the chance to end is the same at every turn, or nothing is known.
        """
        totals = self._totals.of("", at_least=1)
        if self._memory[0] is not totals:
            self._memory = totals, _memory(totals.points) if totals.samples else 0.0
        return self._memory[1]

    def dump(self) -> list[Any]:
        """All that is kept as plain JSON."""
        return self._totals.dump()

    def fill(self, dumped: object) -> None:
        """Take in what ``dump`` gave. Raises ``ValueError``, ``TypeError`` or ``KeyError`` if it is something else."""
        self._totals.fill(dumped)


def _memory(totals: Sequence[float]) -> float:
    """``-Corr(k, N - k)`` over all k from 1 to N of each total N, never below 0."""
    count = sum_k = sum_r = sum_kk = sum_rr = sum_kr = 0.0
    for n in (min(round(total), _LONGEST) for total in totals):
        # Sums over k = 1..n of 1, k, n - k, k^2, (n - k)^2 and k (n - k), in closed form.
        count += n
        sum_k += n * (n + 1) / 2
        sum_r += n * (n - 1) / 2
        sum_kk += n * (n + 1) * (2 * n + 1) / 6
        sum_rr += n * (n - 1) * (2 * n - 1) / 6
        sum_kr += n * (n * n - 1) / 6
    spread = (count * sum_kk - sum_k**2) * (count * sum_rr - sum_r**2)
    if spread <= 0:
        return 0.0
    return min(max(-(count * sum_kr - sum_k * sum_r) / math.sqrt(spread), 0.0), 1.0)
