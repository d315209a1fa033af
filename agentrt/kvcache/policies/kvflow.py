"""KVFlow: fixed prompts by steps to execution (arXiv 2507.07400, sections on the Agent Step Graph and prefetching)."""

from __future__ import annotations

from dataclasses import dataclass

from agentrt.kvcache.contexts import Advice, Context, World


@dataclass(frozen=True, slots=True)
class KVFlow:
    """Keep an agent's fixed prompt the longer, the sooner a step of that agent runs; fetch it one step before.

    What follows the fixed prompt (a session's own turns) gets no hint, so it goes before any prompt does, as in the
    paper. A node that several prompts share takes the fewest steps of them: that is the engine's rule for all hints.
    A prompt at 1 step is fetched from the host, as its predecessor runs now; the engine does so if there is room.
    """

    name: str = "kvflow"
    keep: float = 60.0

    def advise(self, context: Context, world: World) -> Advice | None:
        """Steps to execution of a fixed prompt; nothing for sessions, nor for a prompt that is not seen to return."""
        if context.subject.kind != "agent" or context.steps is None:
            return None
        return Advice(keep=self.keep, steps=context.steps, prefetch=context.steps == 1)
