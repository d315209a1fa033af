"""Lines made of cells: what directions leave each cell, and the character that shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple, TypeAlias

UP, RIGHT, DOWN, LEFT = 1, 2, 4, 8
"""The directions in which a line leaves a cell; a cell's mask is their sum."""

Role: TypeAlias = Literal["edge", "control", "frame", "tip", "marked"]
"""edge: a value is handed on; control: one comes after the other; frame: around what a step holds; tip: an arrow's
end; marked: part of a marked edge, drawn heavy."""

Point: TypeAlias = tuple[int, int]
"""A cell: its column and its row, from 0."""

TIP: Final = "▸"
"""Small, so that it is not taken for the sign of a running step."""

_GLYPHS: Final = " ╴╸╷┐┑╻┒┓╶─╾┌┬┭┎┰┱╺╼━┍┮┯┏┲┳╵┘┙│┤┥╽┧┪└┴┵├┼┽┟╁╅┕┶┷┝┾┿┢╆╈╹┚┛╿┦┩┃┨┫┖┸┹┞╀╃┠╂╉┗┺┻┡╄╇┣╊╋"
"""By weight (0 none, 1 light, 2 heavy) of up, right, down and left: the digits of a number to the base of three."""

_WEIGHTS: Final = ((UP, 27), (RIGHT, 9), (DOWN, 3), (LEFT, 1))
_CONTROL: Final[Mapping[str, str]] = {"─": "╌", "│": "╎"}
_FRAME: Final[Mapping[str, str]] = {"┌": "╭", "┐": "╮", "└": "╰", "┘": "╯"}


class CellRun(NamedTuple):
    """Characters side by side of one role, from column ``x`` on."""

    x: int
    text: str
    role: Role


class Cell(NamedTuple):
    """What is in one cell of a canvas."""

    mask: int
    role: Role


def glyph(cell: Cell, heavy: int = 0) -> str:
    """The character of a cell, heavy in the directions of the mask ``heavy``."""
    if cell.role == "tip":
        return TIP
    mask = cell.mask | heavy
    one = _GLYPHS[sum(weight * (2 if heavy & bit else 1 if mask & bit else 0) for bit, weight in _WEIGHTS)]
    if cell.role == "control":
        return _CONTROL.get(one, one)
    return _FRAME.get(one, one) if cell.role == "frame" else one


def trace(points: Sequence[Point]) -> Iterator[tuple[int, int, int]]:
    """The cells of a line along these corners, as column, row, mask; it enters the first and leaves the last cell
    horizontally, from left to right."""
    masks: dict[Point, int] = {points[0]: LEFT}
    for (x, y), (x1, y1) in pairwise(points):
        across, along = (RIGHT if x1 > x else LEFT), (DOWN if y1 > y else UP)
        forth, back = (across, RIGHT + LEFT - across) if y == y1 else (along, UP + DOWN - along)
        for cell in _between(x, y, x1, y1):
            masks[cell] = masks.get(cell, 0) | forth
            after = (cell[0] + (x1 > x) - (x1 < x), cell[1] + (y1 > y) - (y1 < y))
            masks[after] = masks.get(after, 0) | back
    masks[points[-1]] |= RIGHT
    for (x, y), mask in masks.items():
        yield x, y, mask


def _between(x: int, y: int, x1: int, y1: int) -> Iterator[Point]:
    """The cells from the first to the second, without the second; both in one row or one column."""
    if y == y1:
        step = 1 if x1 > x else -1
        for one in range(x, x1, step):
            yield one, y
    else:
        step = 1 if y1 > y else -1
        for one in range(y, y1, step):
            yield x, one


class Canvas:
    """Cells that merge what is drawn into them; where a value and an order run together, the value is shown."""

    def __init__(self, height: int) -> None:
        self.rows: list[dict[int, Cell]] = [{} for _ in range(height)]

    def add(self, x: int, y: int, mask: int, role: Role) -> None:
        """Draw a line through a cell."""
        old = self.rows[y].get(x)
        if old is not None:
            mask |= old.mask
            role = "edge" if "edge" in (old.role, role) and "tip" not in (old.role, role) else role
        self.rows[y][x] = Cell(mask, role)

    def frame(self, x: int, y: int, width: int, height: int) -> None:
        """Draw a rectangle."""
        right, bottom = x + width - 1, y + height - 1
        for column in range(x + 1, right):
            self.rows[y][column] = self.rows[bottom][column] = Cell(LEFT | RIGHT, "frame")
        for row in range(y + 1, bottom):
            self.rows[row][x] = self.rows[row][right] = Cell(UP | DOWN, "frame")
        self.rows[y][x], self.rows[y][right] = Cell(RIGHT | DOWN, "frame"), Cell(LEFT | DOWN, "frame")
        self.rows[bottom][x], self.rows[bottom][right] = Cell(RIGHT | UP, "frame"), Cell(LEFT | UP, "frame")

    def line(self, y: int, marked: Mapping[int, int] | None = None) -> list[CellRun]:
        """The row as runs; ``marked`` are the masks of marked edges in it, by column."""
        return list(_runs(self.rows[y], marked or {}))


def _runs(row: Mapping[int, Cell], marked: Mapping[int, int]) -> Iterator[CellRun]:
    start, text, role = 0, "", None
    for x in sorted(row):
        cell = row[x]
        heavy = marked.get(x, 0)
        mine: Role = "marked" if heavy else cell.role
        if text and (mine != role or x != start + len(text)):
            yield CellRun(start, text, role)  # type: ignore[arg-type]
            text = ""
        if not text:
            start, role = x, mine
        text += glyph(cell, heavy)
    if text:
        yield CellRun(start, text, role)  # type: ignore[arg-type]


def merged(cells: Iterable[tuple[int, int, int]]) -> dict[int, dict[int, int]]:
    """Cells (column, row, mask) as masks by column, by row."""
    rows: dict[int, dict[int, int]] = {}
    for x, y, mask in cells:
        row = rows.setdefault(y, {})
        row[x] = row.get(x, 0) | mask
    return rows
