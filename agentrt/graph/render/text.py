"""A step graph as text, for terminals: a tree in the order of the source, with what each step waits for."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple
from unicodedata import east_asian_width

from agentrt.graph.render.model import Drawing, DrawnEdge, DrawnNode, clean

WIDTH = 80
_TREE = 40
_MOST = 8
_MARKS = {"branch": "◇", "loop": "↻", "end": "■", "start": "▷"}
_STATUS = {"done": "✓", "failed": "✗", "running": "▶", "ready": "…", "pending": "·", "skipped": "↷", "cancelled": "⊘"}


@dataclass(frozen=True, slots=True)
class _Row:
    """One line: the tree with a name, the kind or place, and what it comes after.

    ``rest`` is the tree beside a second line.
    """

    tree: str
    rest: str
    middle: str = ""
    after: str = ""


def to_text(drawing: Drawing) -> str:
    """The graph as lines of at most 80 columns. Joins are not shown: what comes after one names what it joins."""
    tree = _Tree(drawing)
    head = f"{clean(drawing.title)}  {clean(drawing.subtitle)}".strip()
    rows = list(tree.rows(None, None, "", ""))
    width = min(max((_width(row.tree) for row in rows), default=0), _TREE)
    middle = max((len(row.middle) for row in rows), default=0)
    lines = [line for row in rows for line in _lines(row, width, middle)]
    return "\n".join([_cut(head, WIDTH), *lines, *tree.legend()]) + "\n"


def _lines(row: _Row, width: int, middle: int) -> list[str]:
    """The row, on several lines where it comes after more than one line can hold."""
    room = max(WIDTH - width - middle - 4, 20)
    parts = textwrap.wrap(row.after, room, subsequent_indent="  ", break_long_words=False) or [""]
    first = _cut(f"{_padded(row.tree, width)}  {row.middle:<{middle}}  {parts[0]}".rstrip(), WIDTH)
    return [first, *(_cut(f"{_padded(row.rest, width)}  {'':<{middle}}  {part}", WIDTH) for part in parts[1:])]


def _padded(text: str, width: int) -> str:
    cut = _cut(text, width)
    return cut + " " * (width - _width(cut))


class _Behind(NamedTuple):
    """The steps that a node stands for, each with whether by its error only; ``either``: any one of them will do."""

    steps: tuple[tuple[str, bool], ...]
    either: bool = False


def _behind(drawing: Drawing) -> dict[str, _Behind]:
    """For each node the steps it stands for: a step for itself, all else for what it comes after."""
    found: dict[str, _Behind] = {}
    forward = drawing.forward
    for node in drawing.nodes:  # inputs first
        if node.is_step:
            found[node.id] = _Behind(((node.id, False),))
            continue
        into = [edge for edge in forward[node.id] if edge.source in found]
        if node.kind == "join":  # a loop without a round, or a way without a step, says nothing beside others
            into = [edge for edge in into if edge.kind in ("data", "control", "except")] or into
        steps = dict.fromkeys(
            (one, error or edge.kind == "except") for edge in into for one, error in found[edge.source].steps
        )
        either = (node.kind == "join" and node.title == "any") or any(found[edge.source].either for edge in into)
        found[node.id] = _Behind(tuple(steps)[: _MOST + 1], either)
    return found


class _Tree:
    """The nodes by what holds them."""

    def __init__(self, drawing: Drawing) -> None:
        self.nodes = {node.id: node for node in drawing.nodes}
        self.forward = drawing.forward
        self.behind = _behind(drawing)
        self.back = [edge for edge in drawing.edges if edge.kind == "back"]
        self.below: dict[tuple[str | None, str | None], list[DrawnNode]] = {}
        for node in drawing.nodes:
            if node.kind not in ("join", "start"):
                self.below.setdefault((node.parent, node.block), []).append(node)

    def rows(self, parent: str | None, block: str | None, way: str, indent: str) -> Iterator[_Row]:
        """The lines of what stands in that parent, block and way."""
        inside = [node for node in self.below.get((parent, block), []) if node.way == way]
        for index, node in enumerate(inside):
            last = index + 1 == len(inside)
            deeper = indent + ("   " if last else "│  ")
            yield self._row(node, indent + ("└─ " if last else "├─ "), deeper)
            yield from self._inside(node, deeper)

    def _inside(self, node: DrawnNode, indent: str) -> Iterator[_Row]:
        ways = list(dict.fromkeys(one.way for one in self.below.get((node.parent, node.id), [])))
        if node.kind == "loop":
            yield from self.rows(node.parent, node.id, "body", indent)
        else:
            for way in ways:
                last = way == ways[-1]
                deeper = indent + ("   " if last else "│  ")
                yield _Row(f"{indent}{'└' if last else '├'}─ {clean(way)}:", deeper)
                yield from self.rows(node.parent, node.id, way, deeper)
        yield from self.rows(node.id, None, "", indent)

    def _row(self, node: DrawnNode, indent: str, deeper: str) -> _Row:
        mark = _STATUS[node.status] if node.status else "●" if node.known else _MARKS.get(node.kind, "○")
        place = f":{node.line}" if node.line is not None else ""
        middle = node.detail if node.status else f"{node.kind if node.is_step else '':<7} {place}".rstrip()
        return _Row(f"{indent}{mark} {clean(node.title)}", deeper, middle, self._after(node))

    def _after(self, node: DrawnNode) -> str:
        told = list(dict.fromkeys(name for edge in self.forward[node.id] for name in self._told(edge, node)))
        again = [self.nodes[edge.source].title for edge in self.back if edge.target == node.id]
        parts = [f"← {', '.join(told)}"] if told else []
        if again and node.kind != "loop":
            parts.append(f"↺ {', '.join(dict.fromkeys(map(clean, again)))}")
        return "  ".join(parts)

    def _told(self, edge: DrawnEdge, target: DrawnNode) -> list[str]:
        """The names behind an edge. What takes no time stands for what it comes after, unless the tree shows it."""
        source = self.nodes[edge.source]
        if not source.is_step and source.id in self._around(target):
            return []
        behind = self.behind[source.id]
        errors = edge.kind == "except"
        names = [self._lifted(self.nodes[one], target, error or errors) for one, error in behind.steps]
        told = list(dict.fromkeys(name for name in names if name))
        told = [*told[:_MOST], "…"] if len(told) > _MOST else told
        return [" or ".join(told)] if behind.either and len(told) > 1 else told

    def _around(self, node: DrawnNode) -> set[str]:
        """The branches and loops that the node stands in."""
        found = set()
        while node.block is not None:
            found.add(node.block)
            node = self.nodes[node.block]
        return found

    def _lifted(self, source: DrawnNode, target: DrawnNode, error: bool) -> str:
        """The source's title, or that of the agent or program around it which stands beside the target."""
        above = {target.parent}
        while (parent := target.parent) is not None and parent in self.nodes:
            target = self.nodes[parent]
            above.add(target.parent)
        while source.parent not in above and source.parent in self.nodes:
            source = self.nodes[source.parent]
        title = "" if source.id in above else clean(source.title)
        return f"error in {title}" if title and error else title

    def legend(self) -> list[str]:
        """What the marks mean, as far as they are used."""
        if any(node.status for node in self.nodes.values()):
            return []
        known = any(node.known for node in self.nodes.values())
        parts = ["● known before the program first waits"] if known else []
        return ["", "  ".join([*parts, "← comes after"])] if self.nodes else []


def _width(text: str) -> int:
    return sum(2 if east_asian_width(one) in "WF" else 1 for one in text)


def _cut(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    while _width(text) > width - 1:
        text = text[:-1]
    return text + "…"
