"""A step graph as a Mermaid flowchart, for Markdown that renders it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agentrt.graph.render.model import Drawing, DrawnEdge, DrawnNode, clean

_SHAPES: Final = {
    "start": ("([", "])"),
    "end": ("([", "])"),
    "branch": ("{", "}"),
    "loop": ("{{", "}}"),
    "join": ("((", "))"),
    "tool": ("[/", "/]"),
    "question": (">", "]"),
}
_PLAIN: Final = frozenset({"data", "then", "else", "case", "body", "exit", "except"})


def to_mermaid(drawing: Drawing) -> str:
    """The graph as Mermaid text. Agents and sub-programs are subgraphs, back edges are dotted."""
    names = {node.id: f"n{index}" for index, node in enumerate(drawing.nodes)}
    lines = ["---", f"title: {_quoted(drawing.title)}", "---", "flowchart TD"]
    lines += _nodes(drawing, names, None, "  ")
    lines += [_edge(edge, names) for edge in drawing.edges if edge.source in names and edge.target in names]
    return "\n".join(lines) + "\n"


def _nodes(drawing: Drawing, names: dict[str, str], parent: str | None, indent: str) -> Iterator[str]:
    holders = {node.parent for node in drawing.nodes}
    for node in drawing.nodes:
        if node.parent != parent:
            continue
        if node.id not in holders:
            yield indent + _node(node, names[node.id])
            continue
        yield f"{indent}subgraph s{names[node.id]} [{_quoted(node.title)}]"
        yield indent + "  " + _node(node, names[node.id])
        yield from _nodes(drawing, names, node.id, indent + "  ")
        yield f"{indent}end"


def _node(node: DrawnNode, name: str) -> str:
    left, right = _SHAPES.get(node.kind, ("[", "]"))
    text = f"{node.title}\n{node.detail}" if node.detail else node.title
    return f"{name}{left}{_quoted(text)}{right}"


def _edge(edge: DrawnEdge, names: dict[str, str]) -> str:
    if edge.kind == "back":
        return f"  {names[edge.source]} -.->|again| {names[edge.target]}"
    arrow = "-->" if edge.kind in _PLAIN else "-.->"
    label = edge.label or (edge.kind if edge.kind not in ("data", "control", "body") else "")
    return f"  {names[edge.source]} {arrow}{f'|{_quoted(label)}|' if label else ''} {names[edge.target]}"


def _quoted(text: str) -> str:
    """The text in quotes, everything that Mermaid or HTML could read as more than text as a numbered entity."""
    lines = (clean(line) for line in text.split("\n"))
    return '"' + "<br/>".join("".join(map(_escaped, line)) for line in lines) + '"'


def _escaped(one: str) -> str:
    return one if one.isalnum() or one in " .,:_-?/()=+…·" else f"#{ord(one)};"
