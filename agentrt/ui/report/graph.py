"""The graph of a run as a drawing: every step while they are few, else folded by name, as on the screens. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import Final

from agentrt.graph.render.model import Drawing, DrawnEdge, DrawnNode
from agentrt.graph.template import EdgeKind
from agentrt.types import StepStatus
from agentrt.ui.folds.folded import FoldNode
from agentrt.ui.folds.folding import MOST, Folding
from agentrt.ui.model import RunView, StepView
from agentrt.ui.words import called, cut, duration

_TOLD: Final[tuple[StepStatus, ...]] = ("running", "failed", "cancelled", "skipped", "pending")
_LONGEST: Final = 120
"""Letters of the title."""

Edge = tuple[str, str, EdgeKind]


def drawing_of(view: RunView, now: float) -> Drawing:
    """The run's graph."""
    few = view.total <= MOST
    nodes, edges = _steps(view, now) if few else _folded(view, now)
    title = cut(called(view.program, view.inputs), _LONGEST, "…")
    subtitle = "" if few else f"{view.total:,} steps"
    ordered, edges = acyclic(nodes, edges)
    return Drawing(title, subtitle, tuple(ordered), tuple(DrawnEdge(*edge) for edge in edges), {})


# -- steps -----------------------------------------------------------------------------------------------------------


def _steps(view: RunView, now: float) -> tuple[list[DrawnNode], list[Edge]]:
    nodes = [_join(view, step) if step.kind == "join" else _node(step, now) for step in view.steps.values()]
    return nodes, [edge for step in view.steps.values() for edge in _edges(view, step)]


def _node(step: StepView, now: float) -> DrawnNode:
    seconds = step.seconds(now)
    told = f"{step.kind} · {step.status}" + ("" if seconds is None else f" · {duration(seconds)}")
    return DrawnNode(step.id, step.kind, step.label, told, step.parent, status=step.status, seconds=seconds)


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
    """A number for each name, larger than those before it; where there is a way round, the first that is left begins.

    Names keep their order where edges allow it.
    """
    names = list(before)
    missing = {name: set(sources) - {name} for name, sources in before.items()}
    after: dict[str, set[str]] = {}
    for name, sources in missing.items():
        for source in sources:
            after.setdefault(source, set()).add(name)
    place = {name: number for number, name in enumerate(names)}
    ready = [place[name] for name in names if not missing[name]]
    waiting = iter(names)
    order: dict[str, int] = {}
    while len(order) < len(names):
        name = names[heappop(ready)] if ready else next(one for one in waiting if one not in order)
        if name in order:
            continue
        order[name] = len(order)
        for one in after.get(name, ()):
            missing[one].discard(name)
            if not missing[one]:
                heappush(ready, place[one])
    return order
