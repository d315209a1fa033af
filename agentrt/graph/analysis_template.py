"""Steps to execution on a template: looking past what a run has made so far."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from agentrt.errors import GraphError
from agentrt.graph.analysis import ViewNode, steps_to_execution
from agentrt.graph.template import Template, TemplateEdge, TemplateId

FAR = 1_000_000
"""The rank of a way that only an exception takes: further out than any loop."""


def template_steps(template: Template, running: Iterable[TemplateId]) -> dict[TemplateId, int]:
    """Steps to execution of every node of the template, when exactly these nodes run.

    A node that is missing in the answer never runs again, as far as the source tells. Raises ``GraphError`` for an id
    that is not in the template.
    """
    found = steps_to_execution(template_view(template, running))
    return {TemplateId(one): steps for one, steps in found.items()}


def template_view(template: Template, running: Iterable[TemplateId]) -> dict[str, ViewNode]:
    """The template as a view: what the running nodes lead to is open, all else is finished.

    A node in a loop can be reached in this round, in the next one, or in a round of a loop further out. Its inputs
    count as they stand in the round in which it is reached first: those that are reached later are done by then.
    """
    start = _running(template, running)
    ranks = _ranks(template, start)
    holders = {node.parent for node in template.nodes if node.parent is not None}
    into: dict[TemplateId, list[TemplateEdge]] = {}
    for edge in template.edges:
        into.setdefault(edge.target, []).append(edge)
    view = {}
    for node in template.nodes:
        if node.id not in ranks:
            continue
        mine = ranks[node.id]
        some = [edge for edge in into.get(node.id, ()) if edge.source in ranks and not _odd(edge, ranks, mine)]
        any_of = node.join == "any"
        view[str(node.id)] = ViewNode(
            before=tuple(edge.source for edge in some if not edge.depth and (any_of or _rank(edge, ranks) == mine)),
            back=tuple(edge.source for edge in some if edge.depth),
            any_of=any_of,
            weight=int(node.is_step and node.id not in holders),
            state="running" if node.id in start else "open",
        )
    return view


def _running(template: Template, running: Iterable[TemplateId]) -> set[TemplateId]:
    """The running nodes without those that only hold another running one."""
    found = set(running)
    parents = {node.id: node.parent for node in template.nodes}
    for one in found - parents.keys():
        raise GraphError(f"{one!r} is not in the template of {template.program!r}; Template.find gives ids")
    holding = set()
    for one in found:
        above = parents[one]
        while above is not None:
            holding.add(above)
            above = parents[above]
    return found - holding


def _odd(edge: TemplateEdge, ranks: Mapping[TemplateId, int], mine: int) -> bool:
    """Whether the edge is taken after an exception only, into a node that is reached without one."""
    return mine < FAR <= _rank(edge, ranks)


def _rank(edge: TemplateEdge, ranks: Mapping[TemplateId, int]) -> int:
    return FAR if edge.kind == "except" else ranks[edge.source]


def _ranks(template: Template, start: Iterable[TemplateId]) -> dict[TemplateId, int]:
    """For each node that can be reached: how far out the loop lies whose next round it takes to get there.

    0 without any; the least over all ways, each as far out as its outermost loop.
    """
    deepest = max((edge.depth for edge in template.edges), default=0)
    out: dict[TemplateId, list[tuple[TemplateId, int]]] = {}
    for edge in template.edges:
        rank = FAR if edge.kind == "except" else deepest + 1 - edge.depth if edge.depth else 0
        out.setdefault(edge.source, []).append((edge.target, rank))
    found: dict[TemplateId, int] = {}
    waiting: dict[int, deque[TemplateId]] = {0: deque(start)}
    while waiting:
        rank = min(waiting)
        queue = waiting.pop(rank)
        while queue:
            node = queue.popleft()
            if node in found:
                continue
            found[node] = rank
            for target, further in out.get(node, ()):
                if target not in found:
                    (queue if further <= rank else waiting.setdefault(further, deque())).append(target)
    return found
