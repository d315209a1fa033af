"""agentrt's own policy: what the graph and the clocks say of the next use, in seconds, for every context alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agentrt.kvcache.contexts import Advice, Context, World
from agentrt.kvcache.policies.waits import tools_left

NOW: Final = 1.0
"""The priority of turns that are called or run: the engine needs them before anything else."""


LATER: Final = -1.0
"""The priority of turns that are held back: before what nobody is seen to need, after all that may go."""


@dataclass(frozen=True, slots=True)
class Agentrt:
    """Evict what is needed last (Belady's rule on expectations), what has ended first, a called turn's context never.

    One measure for sessions and fixed prompts, in loops and in graphs: expected seconds to the next use. For a running
    tool it is the rest of its duration given how long it has taken, else the graph's steps in seconds. A prefix that
    branches share takes the soonest of its waiting descendants, and is free when all have ended: the engine's rule for
    a shared node. A context that nobody is seen to need gets no hint and so goes by recency before all others.
    """

    name: str = "agentrt"
    keep: float = 60.0

    def advise(self, context: Context, world: World) -> Advice | None:
        """The expected wait as ``remaining``; fetched from the host only when its next turn is certain to come now."""
        if context.phase == "ended":
            return Advice(ended=True)
        if context.phase in ("queued", "running"):
            return Advice(keep=self.keep, priority=NOW, remaining=0.0, prefetch=context.phase == "queued")
        wait = self.wait(context, world)
        if context.phase == "held":
            return Advice(keep=self.keep, priority=LATER, remaining=wait)
        if wait is None:
            return None
        return Advice(keep=self.keep, remaining=wait, prefetch=context.phase == "waiting" and context.steps in (0, 1))

    def wait(self, context: Context, world: World) -> float | None:
        """Expected seconds to the next use; ``None`` if none is foreseen."""
        left = tools_left(context, world) if context.phase == "acting" else None
        if left is not None:
            return left
        if context.wait is not None:
            return max(context.wait, 0.0)
        if context.steps is None:
            return None
        return context.steps * world.estimators.durations.of("turn:").mean
