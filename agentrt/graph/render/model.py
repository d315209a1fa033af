"""What a drawing shows: templates and live graphs, brought into one shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentrt.graph.analysis import LiveNode
from agentrt.graph.template import STEP_KINDS, EdgeKind, Template, TemplateNode
from agentrt.types import StepStatus


@dataclass(frozen=True, slots=True)
class DrawnNode:
    """One node of a drawing.

    ``title`` is what stands in its box, ``detail`` a second line. ``parent`` holds it, ``block`` is the branch or
    loop around it and ``way`` which of its ways. ``line`` is its place in the source; ``known``: every run makes it
    before its first wait. ``status`` and ``seconds`` are those of a live step.
    """

    id: str
    kind: str
    title: str
    detail: str = ""
    parent: str | None = None
    block: str | None = None
    way: str = ""
    line: int | None = None
    known: bool = False
    status: StepStatus | None = None
    seconds: float | None = None

    @property
    def is_step(self) -> bool:
        """Whether it stands for work."""
        return self.kind in STEP_KINDS


@dataclass(frozen=True, slots=True)
class DrawnEdge:
    """One edge of a drawing."""

    source: str
    target: str
    kind: EdgeKind
    label: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A graph to draw; inputs stand before what takes them. ``data`` is what its JSON says."""

    title: str
    subtitle: str
    nodes: tuple[DrawnNode, ...]
    edges: tuple[DrawnEdge, ...]
    data: Mapping[str, Any]

    @property
    def forward(self) -> dict[str, list[DrawnEdge]]:
        """For each node the edges into it, without those that close a loop."""
        found: dict[str, list[DrawnEdge]] = {node.id: [] for node in self.nodes}
        for edge in self.edges:
            if edge.kind != "back" and edge.source in found and edge.target in found:
                found[edge.target].append(edge)
        return found


def of_template(template: Template) -> Drawing:
    """The drawing of a template."""
    known = {step.id for step in template.known}
    return Drawing(
        template.program,
        str(template.place),
        tuple(_template_node(node, str(node.id) in known) for node in template.nodes),
        tuple(DrawnEdge(edge.source, edge.target, edge.kind, edge.label) for edge in template.edges),
        template.to_json(),
    )


def _template_node(node: TemplateNode, known: bool) -> DrawnNode:
    title = {"branch": f"{node.label}?", "loop": node.label, "join": node.join}.get(node.kind, node.name)
    line = None if node.kind in ("start", "end", "join") else node.place.line
    return DrawnNode(
        node.id,
        node.kind,
        title,
        node.kind if node.is_step else "",
        node.parent,
        node.block,
        node.way,
        line,
        known,
    )


def of_run(nodes: Iterable[LiveNode], title: str = "run", subtitle: str = "") -> Drawing:
    """The drawing of a run's steps. Nodes come in the order in which they were added."""
    found = list(nodes)
    edges = [DrawnEdge(before.id, node.id, kind) for node in found for kind, some in _edges(node) for before in some]
    drawn = tuple(_live_node(node) for node in found)
    data = {
        "title": title,
        "nodes": [_node_json(node) for node in found],
        "edges": [_edge_json(edge) for edge in edges],
    }
    return Drawing(title, subtitle, drawn, tuple(edges), data)


def _edges(node: LiveNode) -> list[tuple[EdgeKind, Sequence[LiveNode]]]:
    return [("data", node.inputs), ("control", [one for one in node.after if one not in node.inputs])]


def _live_node(node: LiveNode) -> DrawnNode:
    seconds = _seconds(node)
    told = f"{node.kind} · {node.status}" + (f" · {duration(seconds)}" if seconds is not None else "")
    return DrawnNode(
        node.id,
        node.kind,
        node.id.rpartition("/")[2] if node.kind != "join" else "all",
        told,
        node.parent.id if node.parent else None,
        status=node.status,
        seconds=seconds,
    )


def _seconds(node: LiveNode) -> float | None:
    return None if node.started is None or node.ended is None else node.ended - node.started


def _node_json(node: LiveNode) -> dict[str, Any]:
    return {
        "id": node.id,
        "name": node.name,
        "kind": node.kind,
        "status": node.status,
        "parent": node.parent.id if node.parent else None,
        "started": node.started,
        "ended": node.ended,
    }


def _edge_json(edge: DrawnEdge) -> dict[str, str]:
    return {"source": edge.source, "target": edge.target, "kind": edge.kind}


def duration(seconds: float) -> str:
    """Seconds as a reader wants them: ``340 ms``, ``2.10 s``."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def clean(text: str) -> str:
    """The text on one line, without characters that would steer a terminal or break a document."""
    return "".join(one if one.isprintable() else " " if one.isspace() else "\N{REPLACEMENT CHARACTER}" for one in text)
