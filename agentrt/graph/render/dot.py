"""A step graph in Graphviz' language."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agentrt.graph.render.model import Drawing, DrawnEdge, DrawnNode, clean

_SHAPES: Final = {
    "branch": "diamond",
    "loop": "hexagon",
    "join": "circle",
    "start": "oval",
    "end": "oval",
    "question": "note",
}
_STYLES: Final = {"control": "dashed", "back": "dotted", "except": "dashed"}


def to_dot(drawing: Drawing) -> str:
    """The graph as DOT text. Agents and sub-programs are clusters; back edges do not pull their ends apart."""
    names = {node.id: f"n{index}" for index, node in enumerate(drawing.nodes)}
    lines = [
        f"digraph {_quoted(drawing.title)} {{",
        '  graph [rankdir=TB, fontname="sans-serif"];',
        '  node [shape=box, style=rounded, fontname="sans-serif"];',
        '  edge [fontname="sans-serif", fontsize=10];',
        *_nodes(drawing, names, None, "  "),
        *(_edge(edge, names) for edge in drawing.edges if edge.source in names and edge.target in names),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _nodes(drawing: Drawing, names: dict[str, str], parent: str | None, indent: str) -> Iterator[str]:
    holders = {node.parent for node in drawing.nodes}
    for node in drawing.nodes:
        if node.parent != parent:
            continue
        if node.id not in holders:
            yield indent + _node(node, names[node.id])
            continue
        yield f"{indent}subgraph cluster_{names[node.id]} {{"
        yield f"{indent}  style=rounded; label={_quoted(node.title)};"
        yield indent + "  " + _node(node, names[node.id])
        yield from _nodes(drawing, names, node.id, indent + "  ")
        yield f"{indent}}}"


def _node(node: DrawnNode, name: str) -> str:
    text = f"{node.title}\n{node.detail}" if node.detail else node.title
    shape = f", shape={_SHAPES[node.kind]}" if node.kind in _SHAPES else ""
    return f"{name} [label={_quoted(text)}{shape}];"


def _edge(edge: DrawnEdge, names: dict[str, str]) -> str:
    label = edge.label or (edge.kind if edge.kind not in ("data", "control", "body", "back") else "")
    facts = [f"label={_quoted(label)}"] if label else []
    if edge.kind in _STYLES:
        facts.append(f"style={_STYLES[edge.kind]}")
    if edge.kind == "back":
        facts.append("constraint=false")
    told = f" [{', '.join(facts)}]" if facts else ""
    return f"  {names[edge.source]} -> {names[edge.target]}{told};"


def _quoted(text: str) -> str:
    """The text in quotes; line breaks stay, backslashes and quotes do not act."""
    lines = (clean(line).replace("\\", "\\\\").replace('"', '\\"') for line in text.split("\n"))
    return '"' + "\\n".join(lines) + '"'
