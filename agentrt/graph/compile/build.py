"""Builds a template's nodes and edges, and knows which node surely comes before which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from agentrt.graph.template import EdgeKind, JoinMode, TemplateEdge, TemplateId, TemplateKind, TemplateNode
from agentrt.types import Place


class Link(NamedTuple):
    """The way into a node that is about to be made."""

    source: TemplateId
    kind: EdgeKind
    label: str = ""


Front: TypeAlias = Mapping[TemplateId, tuple[EdgeKind, str]]
"""Where the program stands: every node that a step made now comes after, with the kind and label of that edge."""


def links(front: Front) -> list[Link]:
    """The front as links."""
    return [Link(source, kind, label) for source, (kind, label) in front.items()]


class Builder:
    """Grows a template. A node's forward edges are given when it is made, so older nodes never come after newer ones.

    ``_before`` holds for each node a bit set of the nodes that come before it whichever way is taken.
    """

    def __init__(self) -> None:
        self.nodes: dict[TemplateId, TemplateNode] = {}
        self.edges: dict[tuple[TemplateId, TemplateId], TemplateEdge] = {}
        self._counts: dict[tuple[TemplateId | None, str], int] = {}
        self._bits: dict[TemplateId, int] = {}
        self._before: dict[TemplateId, int] = {}

    def add(
        self,
        kind: TemplateKind,
        name: str,
        place: Place,
        before: Iterable[Link] = (),
        *,
        label: str = "",
        join: JoinMode = "all",
        parent: TemplateId | None = None,
        block: tuple[TemplateId, str] | None = None,
    ) -> TemplateId:
        """Make a node behind the given links; a control edge that another link implies is left out."""
        chosen = list(before)
        around, way = block or (None, "")
        node = TemplateNode(self._new_id(parent, name), kind, name, place, label, join, parent, around, way)
        if join == "all":
            chosen = [link for link in chosen if not self._implied(link, chosen)]
        self.nodes[node.id] = node
        self._bits[node.id] = 1 << len(self._bits)
        self._before[node.id] = self._surely_before(chosen, join)
        for link in chosen:
            self._link(TemplateEdge(link.source, node.id, link.kind, link.label))
        return node.id

    def back(self, source: TemplateId, target: TemplateId, depth: int) -> None:
        """Close a loop."""
        if source != target:
            self._link(TemplateEdge(source, target, "back", "", depth))

    def comes_after(self, later: TemplateId, earlier: TemplateId) -> bool:
        """Whether ``later`` is ``earlier`` or never runs before it, whichever way is taken."""
        return later == earlier or bool(self._before[later] & self._bits[earlier])

    def single(self, front: Front, place: Place, parent: TemplateId | None) -> Link:
        """One link that stands for the whole front: its own when it is narrow, a join's when it is wide."""
        found = links(front)
        if len(found) == 1:
            return found[0]
        return Link(self.add("join", "all", place, found, parent=parent), "control")

    def merge(self, fronts: Iterable[Front], place: Place, parent: TemplateId | None) -> Front:
        """Where the program stands when it came by any one of the fronts."""
        ways = list(fronts)
        if all(way == ways[0] for way in ways):
            return ways[0]
        if all(way.keys() == ways[0].keys() for way in ways):
            return dict.fromkeys(ways[0], ("control", ""))
        join = self.add(
            "join", "any", place, [self.single(way, place, parent) for way in ways], join="any", parent=parent
        )
        return {join: ("control", "")}

    def mark(self) -> tuple[int, int]:
        """A point to which ``rollback`` returns."""
        return len(self.nodes), len(self.edges)

    def since(self, mark: tuple[int, int]) -> list[TemplateNode]:
        """The nodes made since the mark."""
        return list(self.nodes.values())[mark[0] :]

    def idle(self, mark: tuple[int, int], front: Front) -> bool:
        """Whether what was made since the mark, from that front on, has no step and no wait in one of several ways."""
        if any(one.is_step for one in self.since(mark)):
            return False
        return not any(
            edge.source not in front and self._bits[edge.source] < 1 << mark[0] and edge.kind != "data"
            for edge in list(self.edges.values())[mark[1] :]
        )

    def rollback(self, mark: tuple[int, int]) -> None:
        """Forget every node and edge made since the mark."""
        for key in list(self.edges)[mark[1] :]:
            del self.edges[key]
        for node in self.since(mark):
            del self.nodes[node.id], self._bits[node.id], self._before[node.id]
            self._counts[node.parent, node.name] -= 1

    def finish(self) -> tuple[tuple[TemplateNode, ...], tuple[TemplateEdge, ...]]:
        """The template's nodes and edges, without joins that lead nowhere or join nothing."""
        for node in reversed(list(self.nodes.values())):
            if node.kind == "join":
                self._simplify(node)
        order = {node: index for index, node in enumerate(self.nodes)}
        edges = sorted(self.edges.values(), key=lambda edge: (order[edge.target], order[edge.source]))
        return tuple(self.nodes.values()), tuple(edges)

    def _new_id(self, parent: TemplateId | None, name: str) -> TemplateId:
        prefix = f"{parent}/" if parent else ""
        while True:
            count = self._counts[parent, name] = self._counts.get((parent, name), 0) + 1
            if (found := TemplateId(f"{prefix}{name}#{count}")) not in self.nodes:
                return found

    def _implied(self, link: Link, among: list[Link]) -> bool:
        if link.kind == "data":
            return False
        others = (other.source for other in among if other.source != link.source)
        return any(self.comes_after(other, link.source) for other in others)

    def _surely_before(self, chosen: list[Link], join: JoinMode) -> int:
        masks = [self._before[link.source] | self._bits[link.source] for link in chosen]
        found = masks[0] if masks else 0
        for mask in masks[1:]:
            found = found | mask if join == "all" else found & mask
        return found

    def _link(self, edge: TemplateEdge) -> None:
        old = self.edges.get((edge.source, edge.target))
        if old is None or (edge.kind == "data" and old.kind == "control"):
            self.edges[edge.source, edge.target] = edge

    def _simplify(self, node: TemplateNode) -> None:
        into = [edge for edge in self.edges.values() if edge.target == node.id]
        out = [edge for edge in self.edges.values() if edge.source == node.id]
        if out and len(into) != 1:
            return
        for edge in into + out:
            del self.edges[edge.source, edge.target]
        del self.nodes[node.id]
        for edge in out:
            self._link(_through(into[0], edge))


def _through(first: TemplateEdge, second: TemplateEdge) -> TemplateEdge:
    """The edge that two in a row become when the join between them goes."""
    if second.kind in ("data", "control"):
        kind = first.kind if second.kind == "control" or first.kind != "data" else "data"
        return replace(first, target=second.target, kind=kind)
    return replace(second, source=first.source)
