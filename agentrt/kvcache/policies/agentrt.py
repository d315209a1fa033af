"""agentrt's own policy: what the graph and the clocks say of the next use, in seconds, for every context alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agentrt.kvcache.contexts import Advice, Context, World
from agentrt.kvcache.policies.waits import tools_left

NOW: Final = 1.0
"""The priority of turns that are called: the engine needs them before anything else."""


@dataclass(frozen=True, slots=True)
class Agentrt:
    """Evict what has ended, then what nobody is seen to need, then what is needed last.

    That is Bélády's rule (IBM Systems Journal 1966) on expectations, with one measure for sessions and fixed prompts,
    in loops and in graphs: seconds to the next use. For a running tool it is the expected rest of its duration given
    how long it has taken already, else the graph's steps to execution in seconds. Estimates err, but all in one unit,
    and only their order counts.

    Parallel branches: a shared prefix takes the soonest of its waiting descendants and loses its rank when all have
    ended, which is the engine's rule for a shared node, and the runtime's for a fixed prompt. A context whose turn is
    called goes last, where recency would throw it away first. One whose next use is not in sight, or whose program is
    held back, gets no hint and goes by recency before all others.
    """

    name: str = "agentrt"
    keep: float = 60.0

    def advise(self, context: Context, world: World) -> Advice | None:
        """The expected wait as ``remaining``, never ``steps``: an engine that compares those first would mix units."""
        if context.phase == "queued":
            return Advice(keep=self.keep, priority=NOW, remaining=0.0, prefetch=True)
        wait = self.wait(context, world)
        return None if wait is None else Advice(keep=self.keep, remaining=wait, prefetch=_imminent(context))

    def wait(self, context: Context, world: World) -> float | None:
        """Expected seconds to the next use; ``None`` if none is foreseen, as nobody knows when a held turn goes."""
        if context.phase == "held":
            return None
        left = tools_left(context.tools, world.estimators.durations) if context.phase == "acting" else None
        if left is not None:
            return left
        if context.wait is not None:
            return max(context.wait, 0.0)
        if context.steps is None:
            return None
        return context.steps * world.estimators.durations.of("turn:").mean


def _imminent(context: Context) -> bool:
    """Whether the step before runs or is done, by the graph and not by the clock, and no tool is in between."""
    return context.phase == "waiting" and context.steps in (0, 1) and not context.tools
