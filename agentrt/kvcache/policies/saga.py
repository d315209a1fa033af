"""SAGA: workflow-aware LRU with a time to live for tools (arXiv 2605.00528)."""

from __future__ import annotations

from dataclasses import dataclass

from agentrt.kvcache.contexts import Advice, Context, World

_GRAIN = 20
"""Steps that recency is told in, so that the passing of a second is no news."""


@dataclass(frozen=True, slots=True)
class Saga:
    """Evict by ``0.3 * recency + 0.5 * (1 - P_reuse) + 0.2 * size``, the largest first.

    P_reuse is 1 for what the graph sees a next use of, else the share of the agent's past sessions with this many turns
    that had another. While a tool runs the context is kept for the tool's 95th percentile ``* (1 - 0.5 * m)``, at most
    300 s; m rises from 0 to 1 as memory pressure goes from 0.7 to 0.9. The paper's terms lie between 0 and 1; here
    recency is the seconds since the last use over 300, and size the tokens over the pool.
    """

    name: str = "saga"
    longest: float = 300.0

    def advise(self, context: Context, world: World) -> Advice | None:
        """Keep for the time to live, ranked by the score."""
        keep = self.time_to_live(context, world) - context.held if context.phase == "acting" else 60.0
        if keep <= 0:
            return None
        return Advice(keep=keep, priority=1 - self.evictability(context, world))

    def evictability(self, context: Context, world: World) -> float:
        """P_evict, from 0 to 1."""
        used = context.phase == "queued"
        recency = 0.0 if used else round(min(context.held / self.longest, 1.0) * _GRAIN) / _GRAIN
        certain = used or context.steps is not None
        reuse = 1.0 if certain else world.estimators.turns.again(context.agent, context.turns)
        size = min(context.tokens / world.pool, 1.0) if world.pool else 0.0
        return 0.3 * recency + 0.5 * (1 - reuse) + 0.2 * size

    def time_to_live(self, context: Context, world: World) -> float:
        """Seconds from the tool call; of several tools the slowest counts."""
        squeeze = min(max((world.pressure - 0.7) / 0.2, 0.0), 1.0)
        slowest = max(
            (world.estimators.durations.of(tool.name, tool.word).quantile(0.95) for tool in context.tools),
            default=self.longest,
        )
        return min(slowest * (1 - 0.5 * squeeze), self.longest)
