"""How long a run had to take at least."""

from __future__ import annotations

from collections.abc import Iterable

from agentrt.graph.machine import Node


def critical_path_seconds(nodes: Iterable[Node]) -> float:
    """The longest chain of steps, each after what it depended on, in seconds of running.

    A step that called others counts as a whole. Nodes come in the order in which they were added, inputs first.
    """
    reached: dict[Node, float] = {}
    for node in nodes:
        before = max((reached.get(other, 0.0) for other in (*node.inputs, *node.after)), default=0.0)
        ran = node.started is not None and node.ended is not None
        reached[node] = before + (node.ended - node.started if ran else 0.0)  # type: ignore[operator]
    return max(reached.values(), default=0.0)
