"""Continuum as its public repository does it: two seconds for every tool (github.com/Hanchenli/vllm-continuum)."""

from __future__ import annotations

from dataclasses import dataclass

from agentrt.kvcache.contexts import Advice, Context, World
from agentrt.kvcache.policies.continuum import by_arrival


@dataclass(frozen=True, slots=True)
class Continuum2s:
    """Keep a context for ``seconds`` after a turn that calls a tool, whatever the tool; then by arrival."""

    name: str = "continuum-2s"
    seconds: float = 2.0

    def advise(self, context: Context, world: World) -> Advice | None:
        """Keep until two seconds after the call; nothing for fixed prompts."""
        if context.phase == "acting":
            return by_arrival(context, self.seconds - context.held)
        return by_arrival(context, 60.0) if context.phase == "queued" else None
