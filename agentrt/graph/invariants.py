"""What holds in a machine at rest, checked without trusting any of its counters; for tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from agentrt.graph.analysis import topological
from agentrt.graph.node import InvalidTransition, Node
from agentrt.types import StepId

if TYPE_CHECKING:
    from agentrt.graph.transitions import Lane


def check(nodes: Mapping[StepId, Node], lanes: Mapping[str, Lane], unfinished: int) -> None:
    """Raise ``InvalidTransition`` for the first thing that is wrong, and ``GraphError`` for a cycle."""
    for node in nodes.values():
        for problem in (*_counts(node), *_edges(node)):
            raise InvalidTransition(f"{problem}: {node.story}")
    for name, lane in lanes.items():
        _check_lane(name, lane, [node for node in nodes.values() if node.lane == name])
    if unfinished != sum(not node.finished for node in nodes.values()):
        raise InvalidTransition(f"{unfinished} nodes counted as unfinished")
    topological({step: [before.id for before in node.inputs] for step, node in nodes.items()})


def _counts(node: Node) -> Iterator[str]:
    """What a node waits for, by its status."""
    waiting, lost = node.open_inputs, node.lost_inputs
    done = len(node.inputs) - waiting - lost
    if node.status in {"ready", "running", "done"}:
        if waiting and node.need is None:
            yield f"{waiting} inputs are open"
        if node.need is not None and (done < node.need or (node.started is not None and len(node.inputs) != node.need)):
            yield f"has {done} of {len(node.inputs)} inputs, needs {node.need}"
    if node.status != "pending" or node.started is not None:
        return
    needs = waiting if node.need is None else node.need - done
    if node.waiting != needs:
        yield f"waits for {node.waiting} inputs, {needs} are open"
    if needs <= 0:
        yield "waits for nothing"
    if node.need is not None and node.spare != waiting - needs:
        yield f"can spare {node.spare} inputs, {waiting - needs} in truth"


def _edges(node: Node) -> Iterator[str]:
    """Edges of nodes that wait: known at both ends, and none that should have skipped them."""
    if node.status != "pending" or node.started is not None:
        return
    if node.need is None and any(before.culprit for before in node.inputs):
        yield "an input fell"
    known = Counter(node.inputs)
    for before, times in known.items():
        if not before.finished and before.dependents.count(node) != times:
            yield f"{before.id} knows of it {before.dependents.count(node)} times, of {times}"


def _check_lane(name: str, lane: Lane, nodes: list[Node]) -> None:
    held = sum(node.holds for node in nodes)
    if held != lane.busy or (lane.limit is not None and lane.busy > lane.limit):
        raise InvalidTransition(f"lane {name!r}: {held} hold a place, {lane.busy} of {lane.limit} counted")
    queued = Counter(node for _, _, node in lane.queue if node.status == "ready")
    if queued != Counter(node for node in nodes if node.status == "ready"):
        raise InvalidTransition(f"lane {name!r}: {sorted(node.id for node in queued)} queue for a place")
    if lane.free and queued:
        raise InvalidTransition(f"lane {name!r}: places are free while {len(queued)} nodes queue")
