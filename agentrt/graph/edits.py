"""Edits of a running graph: what may be changed, and why a change is refused.

An edit is a sequence of changes that are applied together or not at all. Only nodes that have not started can be
changed, so nothing that happened is ever undone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from agentrt.errors import EditRefused, GraphError
from agentrt.graph.analysis import topological
from agentrt.graph.node import Node
from agentrt.types import FINISHED, StepId


@dataclass(frozen=True, slots=True)
class Insert:
    """A new node. Its inputs may be nodes that the same edit inserts."""

    node: Node


@dataclass(frozen=True, slots=True)
class Drop:
    """The node is skipped, with nobody to blame. What takes it as an input is dropped or rewired by the same edit."""

    node: Node


@dataclass(frozen=True, slots=True)
class Rewire:
    """The node takes these inputs instead of those it has."""

    node: Node
    inputs: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """New nodes do the work of the node, which takes them, and ``keeps``, as its inputs and only puts them together.

    It does so in another ``lane`` if one is given.
    """

    node: Node
    parts: tuple[Node, ...]
    keeps: tuple[Node, ...] = ()
    lane: str | None = None


@dataclass(frozen=True, slots=True)
class Replace:
    """What the node works on changes, its edges do not: the machine knows no values, so this only asks if it may be."""

    node: Node


Change: TypeAlias = Insert | Drop | Rewire | Split | Replace


@dataclass(slots=True)
class Draft:
    """What an edit comes to: the nodes that leave, those that come, and the inputs of all that change theirs."""

    nodes: Mapping[StepId, Node]
    idle: Collection[Node] = ()
    dropped: dict[Node, None] = field(default_factory=dict)
    inserted: dict[Node, None] = field(default_factory=dict)
    inputs: dict[Node, tuple[Node, ...]] = field(default_factory=dict)
    replaced: dict[Node, None] = field(default_factory=dict)
    lanes: dict[Node, str] = field(default_factory=dict)

    def take(self, change: Change) -> None:
        """Note one more change; later ones of one node count."""
        match change:
            case Insert(node):
                self.inserted[node] = None
                self.rewire(node, node.inputs)
            case Drop(node):
                self.dropped[node] = None
            case Rewire(node, inputs):
                self.rewire(node, inputs)
            case Split(node, parts, keeps, lane):
                for part in parts:
                    self.take(Insert(part))
                self.rewire(node, (*parts, *keeps))
                if lane is not None:
                    self.lanes[node] = lane
            case Replace(node):
                self.replaced[node] = None

    def rewire(self, node: Node, inputs: Iterable[Node]) -> None:
        """The inputs that the node is to have."""
        self.inputs[node] = tuple(dict.fromkeys(inputs))

    def has(self, node: Node) -> bool:
        """Whether the node is in the graph, or comes into it."""
        return node in self.inserted or self.nodes.get(node.id) is node

    def can_change(self, node: Node) -> bool:
        """Whether the node has not started."""
        return node.unstarted or node in self.idle

    def before(self, node: Node) -> tuple[Node, ...]:
        """The inputs of a node after the edit."""
        return self.inputs.get(node, node.inputs)


def checked(nodes: Mapping[StepId, Node], changes: Sequence[Change], idle: Collection[Node] = ()) -> Draft:
    """What the changes come to in a graph of these nodes, of which the ``idle`` ones count as not started.

    Raises ``EditRefused`` with every reason against them.
    """
    draft = Draft(nodes, idle)
    for change in changes:
        draft.take(change)
    reasons = [*_against_inserting(draft), *_against_changing(draft), *_against_inputs(draft), *_dangling(draft)]
    reasons = list(dict.fromkeys(reasons or _cycles(draft)))
    if reasons:
        raise EditRefused(f"edit refused, nothing was changed: {'; '.join(reasons)}", reasons=reasons)
    return draft


def cannot_meet(node: Node, inputs: Sequence[Node]) -> str | None:
    """Why a node can never have as many of these inputs as it needs; ``None`` when it can."""
    if node.need is None:
        return None
    if len(set(inputs)) < len(inputs):
        return f"step {node.id!r} needs {node.need} of its inputs, and one stands among them twice"
    if not 1 <= node.need <= len(inputs):
        return f"step {node.id!r} needs {node.need} of {len(inputs)} inputs; expected 1 to {len(inputs)}"
    return None


def _against_inserting(draft: Draft) -> Iterator[str]:
    taken: set[StepId] = set()
    for node in draft.inserted:
        if node.id in draft.nodes or node.id in taken or node.history:
            yield f"step {node.id!r} is in a graph already; every step needs an id of its own"
        above = node.parent
        if above is not None and (above.status != "running" or above in draft.idle):
            yield f"step {node.id!r} would be a part of {above.id!r}, which does not run"
        taken.add(node.id)


def _against_changing(draft: Draft) -> Iterator[str]:
    for node in {**draft.dropped, **draft.replaced, **draft.inputs}:
        if not draft.has(node):
            yield f"step {node.id!r} is not in this graph"
        elif not draft.can_change(node):
            yield f"step {node.id!r} has started ({node.status}); only steps that have not can be changed"
        elif node in draft.dropped and (node in draft.inputs or node in draft.replaced):
            yield f"step {node.id!r} is dropped, and changed by the same edit"


def _against_inputs(draft: Draft) -> Iterator[str]:
    for node, inputs in draft.inputs.items():
        had = () if node in draft.inserted else node.inputs
        for before in inputs:
            if not draft.has(before) and not before.finished:  # else it was forgotten
                yield f"step {node.id!r} would wait for {before.id!r}, which is not in this graph"
            elif before.finished and before.status != "done" and before not in had:
                yield f"step {node.id!r} would wait for {before.id!r}, which gave no value ({before.status})"
        can = sum(not before.finished or before.status == "done" for before in inputs)
        if problem := cannot_meet(node, inputs):
            yield problem
        elif node.need is not None and can < node.need:
            yield f"step {node.id!r} needs {node.need} of its inputs, and only {can} can still have a value"


def _dangling(draft: Draft) -> Iterator[str]:
    for node in draft.dropped:
        for after in dict.fromkeys((*node.dependents, *draft.inputs)):
            if draft.can_change(after) and after not in draft.dropped and node in draft.before(after):
                yield f"step {after.id!r} needs {node.id!r}, which is dropped; rewire it, or drop it too"


def _cycles(draft: Draft) -> Iterator[str]:
    """Looks at what the changed nodes wait for, however far: the rest of the graph had no cycle, and has none now."""
    held = _held(draft)
    found: dict[StepId, list[StepId]] = {}
    queue = list(draft.inputs)
    for node in queue:
        if node.id not in found:
            before = draft.before(node) if draft.can_change(node) else ()
            left = [one for one in (*before, *held.get(node, ())) if not one.finished]
            found[node.id] = [one.id for one in left]
            queue.extend(left)
    try:
        topological(found)
    except GraphError as error:
        yield str(error)


def _held(draft: Draft) -> dict[Node, list[Node]]:
    """For each step that holds others those that have not ended: it cannot end before them."""
    held: dict[Node, list[Node]] = {}
    for node in (*draft.nodes.values(), *draft.inserted):
        if node.parent is not None and not node.finished:
            held.setdefault(node.parent, []).append(node)
    return held


def cut(changed: Iterable[Node]) -> None:
    """Nodes that ended before they could start no longer come behind nodes that were changed since.

    Such an edge means nothing any more, and what was called after the end of the one may now come before the other.
    """
    known = {node: None for node in changed if node.status not in FINISHED}
    queue = list(known)
    for node in queue:
        for after in node.dependents:
            if after.status in FINISHED:
                after.inputs = tuple(before for before in after.inputs if before is not node)
            elif after.unstarted and after not in known:
                known[after] = None
                queue.append(after)
