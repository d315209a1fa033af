"""What several ask: how long the tools that a context waits for still take."""

from __future__ import annotations

from collections.abc import Iterable

from agentrt.kvcache.contexts import ToolRun
from agentrt.kvcache.estimators import Durations


def tools_left(tools: Iterable[ToolRun], durations: Durations) -> float | None:
    """Seconds until the last of these running tools is expected to end; ``None`` if none runs."""
    of = durations.of
    return max((of(tool.name, tool.word).residual(tool.elapsed) for tool in tools), default=None)
