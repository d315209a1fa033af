"""A run's graph, folded, laid out and labelled: what the graph pane shows. Nothing of Textual."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from agentrt.graph.render.terminal import CellEdge, CellNode, CellPicture, CellPlace, CellRun, draw_cells
from agentrt.types import StepId
from agentrt.ui.drawing.glyphs import Look
from agentrt.ui.drawing.pieces import Piece, fitted
from agentrt.ui.folds.critical import critical_path
from agentrt.ui.folds.folded import FoldNode
from agentrt.ui.folds.folding import Folding
from agentrt.ui.model import RunView
from agentrt.ui.watch.panes.graph_labels import detail, label, name_of, slot

NAMES: Final = (12, 24, 40)
"""How many columns a name may take, at each size.

At the smallest, times are left out; at the largest, nodes are boxes with a second line.
"""

SMALL: Final = 0
NORMAL: Final = 1
BOXES: Final = 2
BOX_WIDTH: Final = 32
"""The columns of a box's lines, at least."""

_EDGES: Final[dict[str, Look]] = {"edge": "quiet", "control": "gone", "frame": "gone", "tip": "quiet"}


class Room(NamedTuple):
    """Columns and lines."""

    width: int
    height: int


Stretch = tuple[int, str, Style | None]
"""Text of one style, from a column on."""


class GraphDrawing:
    """The drawing of one run. ``chosen`` is the id of the node that a person has chosen; its edges are drawn heavy.

    With ``critical``, it is the critical path whose edges are. ``wanted`` is the size that somebody asked for, ``room``
    what can be seen at once, ``now`` the moment that is shown, in seconds since the run began. What was
    asked of the drawing ``like`` is asked of this one.
    """

    def __init__(self, view: RunView, like: GraphDrawing | None = None) -> None:
        self.view = view
        self.folding = Folding(view)
        self.picture: CellPicture = draw_cells((), ())
        self.chosen: str | None = None
        self.critical: bool = like is not None and like.critical
        self.wanted: int | None = None if like is None else like.wanted
        self.room = Room(0, 0)
        self.now = 0.0
        self._fitting = NORMAL
        self._drawn: object = None
        self._widths: dict[tuple[str, int], int] = {}
        self._on_line: dict[int, list[str]] = {}
        self._again: frozenset[str] = frozenset()
        self._path: frozenset[str] = frozenset()
        self._leaving: frozenset[str] = frozenset()
        self._marks: dict[int, dict[int, int]] = {}

    @property
    def size(self) -> int:
        """Which of ``NAMES`` holds: the wanted one; by itself the normal one, unless only the small one fits."""
        return self._fitting if self.wanted is None else self.wanted

    def update(self) -> None:
        """Take over what has changed in the run."""
        self.folding.update()
        if self.chosen not in self.folding.nodes:
            self.chosen = None
        if self._drawn != self._to_draw():
            self._lay_out()
            self._drawn = self._to_draw()
        self.mark()

    def choose(self, step: StepId | None) -> None:
        """Choose the node that shows a step, unless that is chosen already."""
        if step:
            self.folding.reveal(step)
        node = self.folding.node_of(step) if step else None
        self.chosen = node.id if node else None

    def _to_draw(self) -> object:
        """What a drawing depends on."""
        return self.folding.version, list(self._cells(NORMAL)), self.wanted, self.room

    def zoom(self, by: int) -> bool:
        """More detail (1) or less (-1): names come to their usual length before steps are folded or unfolded."""
        if (self.size - NORMAL) * by >= 0 and self.folding.zoom(by):
            return True
        size = min(max(self.size + by, SMALL), BOXES)
        changed, self.wanted = size != self.size, size
        return changed

    def fit(self) -> None:
        """As much detail as fits, as at first."""
        self.wanted = None
        self.folding.fit()

    def _lay_out(self) -> None:
        """Draw anew; where nobody said how large, so that it fits into the room, if it can.

        Steps that hold others are closed when the drawing is too high; what is too wide is drawn small.
        """
        self._fitting = NORMAL
        self._widths = {key: width for key, width in self._widths.items() if key[0] in self.folding.nodes}
        picture = self._at(self.size)
        again = frozenset(target for _, target in picture.back)
        if again != self._again:  # their labels say so
            self._again = again
            picture = self._at(self.size)
        if self.wanted is None and 0 < self.room.height < picture.height and self.folding.close():
            picture = self._at(self.size)
        if self.wanted is None and _width(picture) > self.room.width:
            small = self._at(SMALL)
            if _width(small) <= self.room.width:
                self._fitting, picture = SMALL, small
        self.picture = picture
        self._on_line = {}
        for name, place in picture.places.items():
            for row in range(place.y, place.y + place.height):
                self._on_line.setdefault(row, []).append(name)

    @property
    def width(self) -> int:
        """The columns that the drawing takes."""
        return _width(self.picture)

    def _at(self, size: int) -> CellPicture:
        edges = [CellEdge(*ends, control=not count.data) for ends, count in self.folding.edges.items()]
        return draw_cells(list(self._cells(size)), edges, self.picture)

    def _cells(self, size: int) -> Iterator[CellNode]:
        """The nodes with the room they take; it only grows, so that a refresh moves little."""
        nodes = self.folding.nodes
        holders = {node.holder for node in nodes.values()}
        for node in nodes.values():
            boxed = size == BOXES and node.id not in holders
            told = self._told(node, size)
            key = node.id, size
            needed = slot(told, counted=node.step is None, timed=size != SMALL)
            width = self._widths[key] = max(needed, self._widths.get(key, 0), BOX_WIDTH if boxed else 0)
            yield CellNode(node.id, width, 2 if boxed else 1, node.holder, boxed)

    def mark(self) -> None:
        """Find the edges that are drawn heavy."""
        self._path = frozenset()
        if self.critical:
            path = critical_path(self.view)
            shown = [node for node in map(self.folding.node_of, path) if node is not None]
            self._path = frozenset(name for node in shown for name in node.chain)
            edges = {ends for ends in map(_ends, shown, shown[1:]) if ends is not None}
        else:
            edges = {ends for ends in self.folding.edges if self.chosen in ends}
        self._leaving = frozenset(source for source, _ in edges)
        self._marks = self.picture.marks(edges)

    # -- lines -------------------------------------------------------------------------------------------------------

    def line(self, number: int, look: Callable[[Look], Style]) -> Text:
        """One line of the drawing, from 0: edges and frames, with the labels over them."""
        text, end = Text(no_wrap=True, end=""), 0
        for x, piece, style in self._stretches(number, look):
            text.append(" " * (x - end))
            text.append(piece, style)
            end = x + cell_len(piece)
        return text

    def _stretches(self, number: int, look: Callable[[Look], Style]) -> Iterator[Stretch]:
        """What stands in a line, from left to right."""
        runs = self.picture.line(number, self._marks.get(number))
        names = sorted(self._on_line.get(number, ()), key=lambda name: self.picture.places[name].x)
        for name in names:
            place = self.picture.places[name]
            before, runs = _split(runs, place.x)
            yield from self._edges(before, look)
            for x, text, style in self._label(name, place, number, look):
                yield x, text, style
                end = x + cell_len(text)
            _, runs = _split(runs, end)
        yield from self._edges(runs, look)

    def _edges(self, runs: list[CellRun], look: Callable[[Look], Style]) -> Iterator[Stretch]:
        marked: Look = "critical" if self.critical else "accent"
        for x, text, role in runs:
            yield x, text, look(marked if role == "marked" else _EDGES[role])

    def _label(self, name: str, place: CellPlace, number: int, look: Callable[[Look], Style]) -> Iterator[Stretch]:
        """A node's label in this line, and its edges' beginning, up to the end of the node's room."""
        node = self.folding.nodes[name]
        first = number == place.y
        pieces = self._told(node, self.size) if first else detail(node)
        x = place.x
        for piece in fitted(pieces, place.width - first, tail=not first and node.status == "running"):
            yield x, piece.text, self._style(piece, node, look)
            x += cell_len(piece.text)
        if not first:
            return
        yield x, " ", None
        if place.leaves and x + 1 < place.x + place.width:
            heavy = name in self._leaving
            line = ("━" if heavy else "╌" if place.leaves == "control" else "─") * (place.x + place.width - x - 1)
            yield x + 1, line, look("quiet" if not heavy else "critical" if self.critical else "accent")

    def _told(self, node: FoldNode, size: int) -> list[Piece]:
        name = name_of(node, self.folding.nodes.get(node.holder), NAMES[size])
        return label(node, name, self.now if size != SMALL else None, back=node.id in self._again)

    def _style(self, piece: Piece, node: FoldNode, look: Callable[[Look], Style]) -> Style | None:
        if node.id == self.chosen:
            return look("strong") + look("cursor")
        style = look(piece.look) if piece.look else None
        if node.id in self._path and piece.look in (None, "strong"):
            style = look("critical")
        return style


def _split(runs: list[CellRun], x: int) -> tuple[list[CellRun], list[CellRun]]:
    """The runs before a column, and those from it on; one that lies across is cut."""
    before = [CellRun(run.x, run.text[: x - run.x], run.role) for run in runs if run.x < x]
    after = [
        run if run.x >= x else CellRun(x, run.text[x - run.x :], run.role) for run in runs if run.x + len(run.text) > x
    ]
    return before, after


def _width(picture: CellPicture) -> int:
    """The columns of a drawing, without the blank one behind a label."""
    places = picture.places.values()
    return max((one.frame[0] + one.frame[2] - (one.frame == one[:4]) for one in places), default=0)


def _ends(left: FoldNode, right: FoldNode) -> tuple[str, str] | None:
    """The edge between two nodes, or between what holds them where that is drawn."""
    return next(((a, b) for a, b in zip(left.chain, right.chain, strict=False) if a != b), None)
