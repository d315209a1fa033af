"""Say nothing: the engine does what it does by itself."""

from __future__ import annotations

from dataclasses import dataclass

from agentrt.kvcache.contexts import Advice, Context, World


@dataclass(frozen=True, slots=True)
class Nothing:
    """No hints at all: what others are measured against."""

    name: str = "none"

    def advise(self, context: Context, world: World) -> Advice | None:
        """Nothing."""
        return None
