"""Where the boxes of a drawing go: rows by level, crossings few, what holds others as a box around them.

Each holder is laid out by itself, innermost first, and is one large box in the layout around it. In one layout: rows
are the levels of the nodes; edges that pass rows get a bend in each; each row is ordered by where its neighbours
stand; boxes then move towards their neighbours as far as there is room.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from agentrt.graph.analysis import levels

GAP_X = 28.0
GAP_Y = 46.0
PADDING = 16.0
HEADER = 26.0
BEND = 8.0
SWEEPS = 6


@dataclass(slots=True)
class Box:
    """A node, or a bend of an edge, with its size and the place of its upper left corner; lengths are in pixels."""

    id: str
    width: float
    height: float
    x: float = 0.0
    y: float = 0.0
    level: int = 0
    bend: bool = False

    @property
    def middle(self) -> float:
        """Its centre, from the left."""
        return self.x + self.width / 2


@dataclass(slots=True)
class Route:
    """An edge, through its bends. Coordinates are those of its layout."""

    source: str
    target: str
    index: int
    bends: list[Box] = field(default_factory=list)


@dataclass(slots=True)
class Layout:
    """One finished layout, its upper left corner at 0, 0. ``back`` are edges that go up; they have no bends."""

    boxes: dict[str, Box]
    routes: list[Route]
    back: list[Route]
    width: float
    height: float


def lay_out(
    sizes: Mapping[str, tuple[float, float]],
    forward: Iterable[tuple[str, str, int]],
    back: Iterable[tuple[str, str, int]],
) -> Layout:
    """Place boxes of these sizes, in an order in which sources stand first.

    Edges are (source, target, number of the edge in the drawing); ``forward`` ones go down, ``back`` ones up.
    """
    boxes = {name: Box(name, *size) for name, size in sizes.items()}
    routes = [Route(*edge) for edge in forward]
    before: dict[str, list[str]] = {name: [] for name in boxes}
    for route in routes:
        before[route.target].append(route.source)
    for name, level in levels(before).items():
        boxes[name].level = level
    rows = _rows(boxes, routes)
    neighbours = _neighbours(boxes, routes)
    _order(rows, neighbours)
    _place(rows, neighbours)
    ups = [Route(*edge) for edge in back]
    width = max((box.x + box.width for row in rows for box in row), default=0.0) + 22.0 * bool(ups)
    height = max((box.y + box.height for row in rows for box in row), default=0.0)
    return Layout(boxes, routes, ups, width, height)


def _rows(boxes: Mapping[str, Box], routes: list[Route]) -> list[list[Box]]:
    rows: list[list[Box]] = [[] for _ in range(max((box.level for box in boxes.values()), default=-1) + 1)]
    for box in boxes.values():
        rows[box.level].append(box)
    for route in routes:
        for level in range(boxes[route.source].level + 1, boxes[route.target].level):
            bend = Box(f"{route.index}@{level}", BEND, 0.0, level=level, bend=True)
            route.bends.append(bend)
            rows[level].append(bend)
    return rows


def _neighbours(boxes: Mapping[str, Box], routes: list[Route]) -> dict[int, tuple[list[Box], list[Box]]]:
    """For each box, by identity, those above and below it that an edge joins to it."""
    found: dict[int, tuple[list[Box], list[Box]]] = {}
    for route in routes:
        chain = [boxes[route.source], *route.bends, boxes[route.target]]
        for upper, lower in pairwise(chain):
            found.setdefault(id(lower), ([], []))[0].append(upper)
            found.setdefault(id(upper), ([], []))[1].append(lower)
    return found


def _order(rows: list[list[Box]], neighbours: Mapping[int, tuple[list[Box], list[Box]]]) -> None:
    for sweep in range(SWEEPS):
        side = sweep % 2
        position = {id(box): index / max(len(row), 1) for row in rows for index, box in enumerate(row)}
        for row in rows if side == 0 else reversed(rows):
            keys = {}
            for box in row:
                others = neighbours.get(id(box), ([], []))[side]
                mine = position[id(box)]
                keys[id(box)] = sum(position[id(one)] for one in others) / len(others) if others else mine
            row.sort(key=lambda box: keys[id(box)])
            position.update({id(box): index / len(row) for index, box in enumerate(row)})


def _place(rows: list[list[Box]], neighbours: Mapping[int, tuple[list[Box], list[Box]]]) -> None:
    top = 0.0
    for row in rows:
        height = max(box.height for box in row)
        left = 0.0
        for box in row:
            if box.bend:
                box.height = height  # the edge goes straight past the boxes beside it
            box.x, box.y = left, top + (height - box.height) / 2
            left += box.width + GAP_X
        top += height + GAP_Y
    for sweep in range(SWEEPS * 2):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            _pull(row, neighbours, sweep % 2)
    left = min((box.x for row in rows for box in row), default=0.0)
    for row in rows:
        for box in row:
            box.x -= left


def _pull(row: list[Box], neighbours: Mapping[int, tuple[list[Box], list[Box]]], side: int) -> None:
    """Move each box to the mean of its neighbours on one side; boxes that would overlap move as one block."""
    blocks: list[tuple[float, float, list[Box]]] = []  # wished left edge, width, boxes
    for box in row:
        others = neighbours.get(id(box), ([], []))[side] or neighbours.get(id(box), ([], []))[1 - side]
        wish = sum(one.middle for one in others) / len(others) - box.width / 2 if others else box.x
        blocks.append((wish, box.width, [box]))
        while len(blocks) > 1 and blocks[-2][0] + blocks[-2][1] + GAP_X > blocks[-1][0]:
            second, first = blocks.pop(), blocks.pop()
            blocks.append(_join(first, second))
    for left, _, boxes in blocks:
        for box in boxes:
            box.x = left
            left += box.width + GAP_X


def _join(
    first: tuple[float, float, list[Box]], second: tuple[float, float, list[Box]]
) -> tuple[float, float, list[Box]]:
    """Two blocks side by side, where both together are least displaced."""
    shift = first[1] + GAP_X
    many, few = len(first[2]), len(second[2])
    left = (first[0] * many + (second[0] - shift) * few) / (many + few)
    return left, shift + second[1], first[2] + second[2]
