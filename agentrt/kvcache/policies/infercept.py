"""InferCept: preserve, swap or discard by least waste of memory (arXiv 2402.01869)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from agentrt.kvcache.contexts import Advice, Context, World


@dataclass(frozen=True, slots=True)
class InferCept:
    """While a tool runs, choose what wastes the fewest token-seconds of the pool.

    Preserve holds the context's tokens for as long as the tool takes. Discard computes them again, and all that is in
    the pool stands still meanwhile. Swap copies them out and back, and all stands still too; it needs a host tier. A
    duration is not known, so it is taken to be what has passed: a context is preserved at first and given up later.

    Preserve is a hint above those of swapped ones, swap a hint that goes first, discard no hint at all. What returns
    is fetched. ``swap_rate`` is in tokens a second: the public code's setting.
    """

    name: str = "infercept"
    keep: float = 60.0
    swap_rate: float = 25_000.0

    def advise(self, context: Context, world: World) -> Advice | None:
        """The choice as a hint; nothing for fixed prompts, and for contexts that wait for no tool."""
        if context.subject.kind != "session":
            return None
        if context.phase == "queued":
            return Advice(keep=self.keep, priority=2.0, prefetch=True)
        choice = self.choice(context, world) if context.phase == "acting" else "discard"
        if choice == "discard":
            return None
        return Advice(keep=self.keep, priority=1.0 if choice == "preserve" else 0.0, remaining=context.held)

    def choice(self, context: Context, world: World) -> Literal["preserve", "swap", "discard"]:
        """The way that wastes least."""
        others = max(min(world.pressure, 1.0) * world.pool - context.tokens, 0.0)
        anew = world.estimators.prefill.seconds(context.tokens).value
        preserve = context.held * context.tokens
        discard = anew * (context.tokens + others)
        swap = 2 * context.tokens / self.swap_rate * others if world.host else math.inf
        if preserve <= min(discard, swap):
            return "preserve"
        return "swap" if swap <= discard else "discard"
