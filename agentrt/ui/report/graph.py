"""The graph of a run as a drawing: every step while they are few, else folded by name, as on the screens. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from agentrt.graph.render.model import Drawing, DrawnEdge, DrawnNode
from agentrt.graph.template import EdgeKind
from agentrt.types import StepStatus
from agentrt.ui.folding import Folding, FoldNode
from agentrt.ui.model import RunView, StepView
from agentrt.ui.words import called, duration

MOST_STEPS: Final = 60
"""Steps up to which each is a box of its own."""

_TOLD: Final[tuple[StepStatus, ...]] = ("running", "failed", "cancelled", "skipped", "pending")
Edge = tuple[str, str, EdgeKind]


def drawing_of(view: RunView, now: float) -> Drawing:
    """The run's graph."""
    few = view.total <= MOST_STEPS
    nodes, edges = _steps(view, now) if few else _folded(view, now)
    title = called(view.program, view.inputs)
    subtitle = "" if few else f"{view.total:,} steps, many of them as one"
    ordered, edges = acyclic(nodes, edges)
    return Drawing(title, subtitle, tuple(ordered), tuple(DrawnEdge(*edge) for edge in edges), {})


# -- steps -----------------------------------------------------------------------------------------------------------


def _steps(view: RunView, now: float) -> tuple[list[DrawnNode], list[Edge]]:
    nodes = [_join(view, step) if step.kind == "join" else _node(step, now) for step in view.steps.values()]
    return nodes, [edge for step in view.steps.values() for edge in _edges(view, step)]


def _node(step: StepView, now: float) -> DrawnNode:
    seconds = step.seconds(now)
    told = f"{step.kind} · {step.status}" + ("" if seconds is None else f" · {duration(seconds)}")
    title = step.id.rpartition("/")[2]
    return DrawnNode(step.id, step.kind, title, told, step.parent, status=step.status, seconds=seconds)


def _join(view: RunView, step: StepView) -> DrawnNode:
    """A gathering stands where the steps are called that it gathers."""
    first = next((view.steps[one] for one in step.inputs if one in view.steps), None)
    return DrawnNode(step.id, "join", "all", parent=first.parent if first else None)


def _edges(view: RunView, step: StepView) -> Iterator[Edge]:
    data: EdgeKind = "data"
    control: EdgeKind = "control"
    for kind, some in ((data, step.inputs), (control, [one for one in step.after if one not in step.inputs])):
        yield from ((one, step.id, kind) for one in some if one in view.steps)


# -- folded ----------------------------------------------------------------------------------------------------------


def _folded(view: RunView, now: float) -> tuple[list[DrawnNode], list[Edge]]:
    folding = Folding(view)
    folding.update()
    nodes = [_fold_node(node, now) for node in folding.nodes.values()]
    data: EdgeKind = "data"
    edges = [(source, target, data if edge.data else "control") for (source, target), edge in folding.edges.items()]
    return nodes, edges


def _fold_node(node: FoldNode, now: float) -> DrawnNode:
    title = node.name + (f" x{node.total:,}" if node.total > 1 else "") + (" ↻" if node.rounds else "")
    states = [f"{node.counts[status]:,} {status}" for status in _TOLD if node.counts.get(status)]
    held = sum(node.within.values())
    seconds = node.seconds(now)
    told = [node.kind, *(states or ["done"]), *([f"{held:,} inside"] if held else [])]
    told += [] if seconds is None else [duration(seconds)]
    return DrawnNode(
        node.id, node.kind, title, " · ".join(told), node.holder or None, status=node.status, seconds=seconds
    )


# -- order -----------------------------------------------------------------------------------------------------------


def acyclic(nodes: Sequence[DrawnNode], edges: Sequence[Edge]) -> tuple[list[DrawnNode], list[Edge]]:
    """The same graph with sources first, as a layout wants it, and ``back`` edges where there is a way round.

    Seen between boxes that hold others there may be one even where no step waits for itself: one box takes a result
    from inside another, and that one takes its own. Edges between the same two boxes go the same way.
    """
    parents = {node.id: node.parent for node in nodes}
    lifted = [_lifted(_holders(source, parents), _holders(target, parents)) for source, target, _ in edges]
    before: dict[str, list[str]] = {node.id: [] for node in nodes}
    for source, target in lifted:
        before[target].append(source)
    order = _order(before)
    turned: list[Edge] = [
        (source, target, kind if order[above] < order[below] else "back")
        for (source, target, kind), (above, below) in zip(edges, lifted, strict=True)
    ]
    return sorted(nodes, key=lambda node: order[node.id]), turned


def _holders(node: str, parents: Mapping[str, str | None]) -> list[str]:
    """What holds a node, the outermost first, and the node."""
    chain = [node]
    while (above := parents.get(chain[-1])) is not None and above in parents:
        chain.append(above)
    return chain[::-1]


def _lifted(sources: Sequence[str], targets: Sequence[str]) -> tuple[str, str]:
    """The boxes side by side between which an edge is drawn; of one between a box and what it holds, that box twice."""
    for source, target in zip(sources, targets, strict=False):
        if source != target:
            return source, target
    last = min(len(sources), len(targets)) - 1
    return sources[last], sources[last]


def _order(before: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """A number for each name, larger than those before it, but for ways round: an edge that closes one is passed over.

    Names keep their order where edges allow it.
    """
    order: dict[str, int] = {}
    entered: set[str] = set()
    for name in before:
        stack = [(name, False)]
        while stack:
            one, left = stack.pop()
            if left:
                order[one] = len(order)
            elif one not in entered:
                entered.add(one)
                stack.append((one, True))
                stack.extend((source, False) for source in reversed(before[one]) if source not in entered)
    return order
