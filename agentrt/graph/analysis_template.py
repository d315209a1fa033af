"""Steps to execution on a template: looking past what a run has made so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush
from typing import TypeAlias

from agentrt.errors import GraphError
from agentrt.graph.analysis import ViewNode, steps_to_execution
from agentrt.graph.template import Template, TemplateEdge, TemplateId, TemplateNode

Laps: TypeAlias = tuple[int, ...]
"""How often a way goes back, by the depth of the loops, outermost first; before all of them, how many errors it
takes."""


def template_steps(
    template: Template, running: Iterable[TemplateId], waiting: Iterable[TemplateId] | None = None
) -> dict[TemplateId, int]:
    """Steps to execution of every node of the template, when exactly these nodes run.

    ``waiting`` are those that have been called and wait for their inputs; when it is not given, all that take the value
    of a running one might. A node that is missing in the answer never runs again, as far as the source tells. Raises
    ``GraphError`` for an id that is not in the template.
    """
    found = steps_to_execution(template_view(template, running, waiting))
    return {TemplateId(one): steps for one, steps in found.items()}


def template_view(
    template: Template, running: Iterable[TemplateId], waiting: Iterable[TemplateId] | None = None
) -> dict[str, ViewNode]:
    """The template as a view: what the running nodes lead to is open, all else is finished.

    A node in a loop can be reached in this round, in the next one, or in a round of a loop further out. Its inputs
    count as they stand in the round in which it is reached first: those that are reached later are done by then.
    """
    start = _running(template, running)
    called = None if waiting is None else set(waiting)
    laps = _laps(template, start, called)
    holders = {node.parent for node in template.nodes if node.parent is not None}
    into: dict[TemplateId, list[TemplateEdge]] = {}
    for edge in template.edges:
        if edge.source in laps:
            into.setdefault(edge.target, []).append(edge)
    return {
        str(node.id): _view_node(node, into.get(node.id, []), laps, node.id in start, node.id in holders)
        for node in template.nodes
        if node.id in laps
    }


def _view_node(
    node: TemplateNode, into: Iterable[TemplateEdge], laps: Mapping[TemplateId, Laps], running: bool, holder: bool
) -> ViewNode:
    mine, any_of = laps[node.id], node.join == "any"
    ways = [(edge, _further(laps[edge.source], edge)) for edge in into]
    ways = [(edge, reached) for edge, reached in ways if mine[0] or not reached[0]]
    return ViewNode(
        before=tuple(edge.source for edge, reached in ways if not edge.depth and (any_of or reached == mine)),
        back=tuple(edge.source for edge, _ in ways if edge.depth),
        any_of=any_of,
        weight=int(node.is_step and not holder),
        state="running" if running else "open",
    )


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


def _further(laps: Laps, edge: TemplateEdge) -> Laps:
    """The laps behind the edge."""
    place = 0 if edge.kind == "except" else edge.depth
    return (*laps[:place], laps[place] + 1, *laps[place + 1 :]) if place or edge.kind == "except" else laps


def _laps(template: Template, start: set[TemplateId], called: set[TemplateId] | None) -> dict[TemplateId, Laps]:
    """For each node that can be reached the fewest laps it takes, outer loops counting more than inner ones.

    A step that has not been called is not reached by a value alone: the program has to come by.
    """
    passed = set() if called is None else {edge.target for edge in template.edges if edge.kind != "data"}
    passed -= {node.id for node in template.nodes if node.kind == "join"}
    out: dict[TemplateId, list[TemplateEdge]] = {}
    for edge in template.edges:
        if edge.kind != "data" or edge.target not in passed:
            out.setdefault(edge.source, []).append(edge)
    none = (0,) * (1 + max((edge.depth for edge in template.edges), default=0))
    found: dict[TemplateId, Laps] = {}
    waiting = [(none, one) for one in start | (called or set())]
    heapify(waiting)
    while waiting:
        laps, node = heappop(waiting)
        if node not in found:
            found[node] = laps
            for edge in out.get(node, ()):
                if edge.target not in found:
                    heappush(waiting, (_further(laps, edge), edge.target))
    return found
