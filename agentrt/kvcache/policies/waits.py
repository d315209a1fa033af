"""What several policies ask: how long the tools that a context waits for still take."""

from __future__ import annotations

from agentrt.kvcache.contexts import Context, World


def tools_left(context: Context, world: World) -> float | None:
    """Seconds until the last of its running tools is expected to end; ``None`` if none runs."""
    of = world.estimators.durations.of
    return max((of(tool.name, tool.word).residual(tool.elapsed) for tool in context.tools), default=None)
