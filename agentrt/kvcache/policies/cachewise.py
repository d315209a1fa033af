"""CacheWise: evict what is expected back last (arXiv 2606.16824)."""

from __future__ import annotations

from dataclasses import dataclass

from agentrt.kvcache.contexts import Advice, Context, World
from agentrt.kvcache.policies.waits import tools_left


@dataclass(frozen=True, slots=True)
class CacheWise:
    """Evict what has ended, then the largest ``E[T - t | T > t]``: the expected rest of a tool call that has taken t.

    The expectation comes from the survival curve of the tool's cluster: here the tool and the first word of its
    command. A turn that is called has nothing left to wait for. The paper scores anew every three iterations;
    here the score is asked again when something happens, and the engine counts it down in between.
    """

    name: str = "cachewise"
    keep: float = 60.0

    def advise(self, context: Context, world: World) -> Advice | None:
        """The expected seconds to the next turn; nothing for fixed prompts and for sessions that wait for no tool."""
        if context.subject.kind != "session":
            return None
        left = 0.0 if context.phase == "queued" else tools_left(context.tools, world.estimators.durations)
        return None if left is None else Advice(keep=self.keep, remaining=left)
