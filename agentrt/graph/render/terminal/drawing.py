"""A step graph on a grid of cells, as terminals have it: pure, and cheap enough to be done again with each change.

From left to right, as pipelines are drawn everywhere: names are wide and one line high, so twenty parallel steps take
twenty lines; time goes the same way in the Gantt beside it; and what comes next is added at the right, where it moves
nothing. What a step holds stands in a frame that its own line is the top of.

A drawing is made once for each change of the structure. Labels and states are drawn by the caller into the places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from agentrt.graph.render.terminal.channels import Channel, Net, channel
from agentrt.graph.render.terminal.columns import Item, columns, forward, order, place_rows, telling
from agentrt.graph.render.terminal.strokes import DOWN, UP, Canvas, CellRun, Point, Role, merged, trace

TRACK: Final = 2
"""The columns from one track to the next."""

GAP: Final = 3
"""The columns beside the tracks between two columns of nodes: one before, an arrow's tip and a blank after."""

FRAME_X: Final = 2
FRAME_Y: Final = 1


class CellNode(NamedTuple):
    """A node to draw: how many columns and lines its label takes, and which node holds it (empty: none).

    A node that holds others gets a frame around them, with its label in the frame's first line. With ``boxed`` a node
    gets a frame around its label; edges come and go at the label's first line.
    """

    id: str
    width: int
    height: int = 1
    holder: str = ""
    boxed: bool = False


class CellEdge(NamedTuple):
    """An edge between two nodes of the same holder; ``control``: an order only, no value.

    An order that other edges imply is not drawn.
    """

    source: str
    target: str
    control: bool = False


class CellPlace(NamedTuple):
    """Where a node's label stands. ``leaves`` says what starts right behind it: edges, orders only, nothing.

    ``frame`` is what is around it and all it holds, as column, line, width and height; the label itself without one.
    """

    x: int
    y: int
    width: int
    height: int
    leaves: Literal["edge", "control", ""]
    frame: tuple[int, int, int, int]

    def holds(self, x: int, y: int) -> bool:
        """Whether a cell is within the label, or its box."""
        return self.x <= x < self.x + self.width and self.y <= y < self.y + self.height


@dataclass(slots=True)
class _Scope:
    """The layout of what one node holds. ``xs`` are the left edges of the columns, relative to it."""

    items: dict[str, Item]
    columns: list[list[Item]]
    channels: list[Channel]
    xs: list[int]
    width: int
    height: int
    at: Point = (0, 0)
    control: frozenset[tuple[str, str]] = frozenset()
    owners: dict[Point, Net] = field(default_factory=dict)


class CellPicture:
    """A finished drawing, ``width`` columns by ``height`` lines, with the place of every node.

    ``back`` are the edges that close a cycle; they are not drawn.
    """

    def __init__(
        self, places: dict[str, CellPlace], scopes: Mapping[str, _Scope], back: frozenset[tuple[str, str]]
    ) -> None:
        self.places = places
        self.back = back
        top = scopes[""]
        self.width, self.height = top.width, top.height
        self.rows = {item.id: item.row for scope in scopes.values() for column in scope.columns for item in column}
        self._scope_of = {name: scope for scope in scopes.values() for name in scope.items}
        self._canvas = Canvas(top.height)
        for place in places.values():
            if place.frame != place[:4]:
                self._canvas.frame(*place.frame)
        for scope in scopes.values():
            _paint(scope, self._canvas)

    def line(self, y: int, marked: Mapping[int, int] | None = None) -> list[CellRun]:
        """The edges and frames of a line, from left to right; ``marked`` is that line of what ``marks`` gives."""
        return self._canvas.line(y, marked)

    def marks(self, edges: Iterable[tuple[str, str]]) -> dict[int, dict[int, int]]:
        """The cells of these edges, by line and column, to be given to ``line``; what is not drawn is left out."""
        return merged(cell for source, target in edges for cell in self._path(source, target))

    def _path(self, source: str, target: str) -> Iterator[tuple[int, int, int]]:
        scope = self._scope_of.get(source)
        if scope is None or target not in scope.items:
            return
        left, goal = scope.items[source], scope.items[target]
        while left is not goal:
            right = next((one for one in left.rights if one is goal), None)
            right = right or next((one for one in left.rights if one.bend), None)
            if right is None:
                return
            net = next(one for one in scope.channels[left.level].nets if left in one.sources)
            yield from _visible(scope, net, left, right)
            left = right


def draw_cells(nodes: Sequence[CellNode], edges: Sequence[CellEdge], before: CellPicture | None = None) -> CellPicture:
    """Draw a graph. Nodes that were there ``before`` keep their order as far as that crosses no more edges."""
    layout = _Layout(nodes, edges, before.rows if before else {})
    layout.lay_out("")
    layout.place("", 0, 0)
    return CellPicture(layout.places, layout.scopes, frozenset(layout.back))


class _Layout:
    """Lays out what each node holds, innermost first, then gives everything its place."""

    def __init__(self, nodes: Sequence[CellNode], edges: Sequence[CellEdge], before: Mapping[str, int]) -> None:
        self.nodes = {node.id: node for node in nodes}
        self.inside: dict[str, list[CellNode]] = {}
        for node in nodes:
            self.inside.setdefault(node.holder if node.holder in self.nodes else "", []).append(node)
        self.edges: dict[str, list[CellEdge]] = {}
        for edge in edges:
            ends = self.nodes.get(edge.source), self.nodes.get(edge.target)
            if ends[0] and ends[1] and ends[0].holder == ends[1].holder:
                self.edges.setdefault(ends[0].holder, []).append(edge)
        self.before = before
        self.scopes: dict[str, _Scope] = {}
        self.places: dict[str, CellPlace] = {}
        self.back: set[tuple[str, str]] = set()

    def lay_out(self, holder: str) -> _Scope:
        """The layout of what a node holds; of everything for the empty name."""
        inside = {node.id: node for node in self.inside.get(holder, ())}
        edges = self.edges.get(holder, [])
        ids, pairs = forward(list(inside), [(edge.source, edge.target) for edge in edges])
        self.back.update({(edge.source, edge.target) for edge in edges}.difference(pairs))
        data = {(edge.source, edge.target) for edge in edges if not edge.control}
        control = frozenset(pair for pair in pairs if pair not in data)
        items = {name: self._item(inside[name]) for name in ids}
        found = columns(items, telling(pairs, control))
        order(found, self.before)
        height = place_rows(found)
        channels = [channel(column) for column in found[:-1]]
        height = max([height, *(net.row + 1 for one in channels for net in one.nets if net.row is not None)])
        xs, width = _widths(found, channels)
        scope = self.scopes[holder] = _Scope(items, found, channels, xs, width, height, control=control)
        return scope

    def _item(self, node: CellNode) -> Item:
        if node.id not in self.inside:
            around = 2 * node.boxed
            return Item(node.id, node.width + FRAME_X * around, node.height + FRAME_Y * around, FRAME_Y * node.boxed)
        inner = self.lay_out(node.id)
        width = max(inner.width, node.width) + 2 * FRAME_X
        return Item(node.id, width, inner.height + 2 * FRAME_Y, 0)

    def place(self, holder: str, x: int, y: int) -> None:
        """Give what a node holds its place, in a scope whose upper left cell is x, y."""
        scope = self.scopes[holder]
        scope.at = (x, y)
        for item in scope.items.values():
            left, top = x + scope.xs[item.level], y + item.row
            frame = left, top, item.width, item.height
            node = self.nodes[item.id]
            holds = item.id in self.inside
            if holds or node.boxed:
                left, top = left + FRAME_X, top if holds else top + FRAME_Y
            leaves: Literal["edge", "control", ""] = ""
            if item.rights and not (holds or node.boxed):
                leaves = "edge" if any(_carries(scope, item, one) for one in item.rights) else "control"
            self.places[item.id] = CellPlace(left, top, node.width, node.height, leaves, frame)
            if holds:
                self.place(item.id, left, top + FRAME_Y)


def _widths(found: Sequence[Sequence[Item]], channels: Sequence[Channel]) -> tuple[list[int], int]:
    """The left edge of every column, and the width of them all."""
    xs, x = [], 0
    for number, column in enumerate(found):
        xs.append(x)
        x += max((item.width for item in column), default=0)
        if number < len(channels):
            x += GAP + max(0, TRACK * channels[number].tracks - 1)
    return xs, x


def _paint(scope: _Scope, canvas: Canvas) -> None:
    """Draw all edges: the vertical parts own their cells, foreign edges pass beneath them."""
    hops = list(_hops(scope))
    for net, left, right in hops:
        for x, y, mask in trace(_corners(scope, net, left, right)):
            if mask & (UP | DOWN):
                scope.owners[x, y] = net
    for net, left, right in hops:
        _paint_hop(scope, canvas, net, left, right)


def _hops(scope: _Scope) -> Iterator[tuple[Net, Item, Item]]:
    """What each net's lines lead between: every source and the first target, the first source and every target."""
    for one in scope.channels:
        for net in one.nets:
            pairs = [(left, net.targets[0]) for left in net.sources] + [
                (net.sources[0], right) for right in net.targets
            ]
            yield from ((net, left, right) for left, right in dict.fromkeys(pairs))


def _paint_hop(scope: _Scope, canvas: Canvas, net: Net, left: Item, right: Item) -> None:
    role: Role = "edge" if _carries(scope, left, right) else "control"
    for x, y, mask in _visible(scope, net, left, right):
        canvas.add(x, y, mask, role)
    if not right.bend:
        x, y = _end(scope, right)
        canvas.add(x, y, 0, "tip")


def _carries(scope: _Scope, left: Item, right: Item) -> bool:
    """Whether a value goes this way."""
    if right.bend:
        return any(_carries(scope, right, one) for one in right.rights)
    return (left.id.partition("\n")[0], right.id) not in scope.control


def _visible(scope: _Scope, net: Net, left: Item, right: Item) -> Iterator[tuple[int, int, int]]:
    """The cells of a line from one column to the next, without those where it passes beneath another net's."""
    for x, y, mask in trace(_corners(scope, net, left, right)):
        if scope.owners.get((x, y), net) is net:
            yield x, y, mask


def _corners(scope: _Scope, net: Net, left: Item, right: Item) -> list[Point]:
    """Where the line from a node or bend to one in the next column begins, turns and ends."""
    x0, y0 = scope.at
    start = x0 + scope.xs[left.level] + left.width, y0 + left.line
    end = _end(scope, right)
    if net.row is None and start[1] == end[1]:
        return [start, end]
    column = scope.columns[left.level]
    first = x0 + scope.xs[left.level] + max(item.width for item in column) + 1
    track = first + TRACK * net.track
    if net.row is None:
        return [start, (track, start[1]), (track, end[1]), end]
    second = first + TRACK * net.second
    row = y0 + net.row
    return [start, (track, start[1]), (track, row), (second, row), (second, end[1]), end]


def _end(scope: _Scope, right: Item) -> Point:
    """The last cell of a line into a node: its arrow's tip; into a bend: the cell before it."""
    x = scope.at[0] + scope.xs[right.level]
    return x - (1 if right.bend else 2), scope.at[1] + right.line
