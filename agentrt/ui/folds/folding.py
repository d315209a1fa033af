"""Which nodes stand for a run in a drawing: every step while they fit, else many steps as one, by name.

A run is folded at one of several *rungs*, from the names of the outermost steps to every step there is. Left alone, it
takes the finest rung that needs at most ``MOST`` nodes; a person may choose another, open one group, or close one
step that holds others. Steps of one name in one place are a family; a family is one node, or one node for each of its
members, of which no more than ``WINDOW`` are shown at a time.

All is kept up to date from what changed (``Changes``): a refresh costs the new and the unfinished steps, not all of
them. Only another folding goes over all steps again.
"""

from __future__ import annotations

from typing import Final

from agentrt.types import StepId
from agentrt.ui.folds.changes import Changes
from agentrt.ui.folds.folded import WINDOW, Choices, Folded, FoldEdge, FoldNode, Rung
from agentrt.ui.model import RunView

MOST: Final = 60
"""How many nodes a drawing has by itself."""

LIMIT: Final = 240
"""How many nodes there may be when a person asks for more."""

_ANY: Final = 1 << 30

RUNGS: Final = (
    Rung(1, 1, "a node for each name of the outermost steps", MOST),
    Rung(1, 2, "a node for each name, two levels deep"),
    Rung(1, _ANY, "a node for each name"),
    Rung(8, _ANY, "a node for each step, or for more than eight of a name"),
    Rung(_ANY, 1, "the outermost steps"),
    Rung(_ANY, 2, "the steps of two levels"),
    Rung(_ANY, _ANY, "every step"),
)
"""From coarse to fine."""

OUTERMOST: Final = 4
"""The rung of the outermost steps."""

SEVERAL: Final = 3
"""How many outermost steps say enough without what they hold."""


class Folding:
    """The nodes and edges that stand for a run. ``auto``: nobody has chosen the rung.

    ``nodes`` come in the order of their first steps; both ends of an edge have the same holder.
    """

    def __init__(self, view: RunView, most: int = MOST) -> None:
        self.auto = True
        self._view = view
        self._most = most
        self._changes = Changes(view)
        self._rung = len(RUNGS) - 1
        self._opened: frozenset[str] = frozenset()
        self._shut: frozenset[str] = frozenset()
        self._crossed: frozenset[str] = frozenset()
        self._windows: dict[str, int] = {}
        self._made = 0
        self._graph = Folded(view, Choices(self.rung))

    @property
    def rung(self) -> Rung:
        """How much is folded."""
        return RUNGS[self._rung]

    @property
    def nodes(self) -> dict[str, FoldNode]:
        """The nodes, by id: that of a step for a node that is one."""
        return self._graph.nodes

    @property
    def edges(self) -> dict[tuple[str, str], FoldEdge]:
        """The edges, by the ids of their ends."""
        return self._graph.edges

    @property
    def version(self) -> tuple[int, int]:
        """Another one whenever a node or an edge has come or gone."""
        return self._made, self._graph.changes

    def node_of(self, step: StepId) -> FoldNode | None:
        """The node that shows a step, or holds it hidden; ``None`` for a join and for what is not there."""
        return self._graph.node_of(step)

    def update(self) -> None:
        """Take over what has changed in the run."""
        change = self._changes.take()
        graph = self._graph
        if not change.afresh:
            for step in change.added:
                graph.add(step)
            for step, before in change.moved:
                graph.move(step, before)
            for step, inputs in change.rewired:
                graph.rewire(step, inputs)
        self._crossed |= graph.crossed
        if change.afresh or graph.stale or graph.crossed or len(graph.nodes) > self._room:
            self._fold()

    def zoom(self, by: int) -> bool:
        """The next rung with more nodes (1) or fewer (-1) that can be drawn; whether there was one."""
        self.update()
        before, chosen = len(self.nodes), (self._rung, self._opened, self._shut, self._crossed)
        self._opened = self._shut = frozenset()
        for rung in range(self._rung + by, len(RUNGS) if by > 0 else -1, by):
            number = self._tried(rung, LIMIT)
            if number is not None and (number - before) * by > 0:
                self.auto = False
                self._make()
                return True
        self._rung, self._opened, self._shut, self._crossed = chosen
        return False

    def fit(self) -> None:
        """The finest rung that fits, as at first."""
        self.update()
        self.auto, self._rung = True, len(RUNGS) - 1
        self._opened = self._shut = self._crossed = frozenset()
        self._fold()

    def close(self) -> bool:
        """Show the outermost steps alone, if nobody has chosen anything and there are several; whether it did."""
        tops = sum(not node.holder for node in self.nodes.values())
        chosen = not self.auto or self._opened or self._shut
        if chosen or self._rung <= OUTERMOST or not SEVERAL <= tops < len(self.nodes):
            return False
        return self._build(OUTERMOST, self._most)

    def toggle(self, node: str) -> bool:
        """Open a group or a closed step, close an open step, move a window on; whether there was anything to do."""
        self.update()
        found = self.nodes.get(node)
        if found is None or found.part == "rest" or (found.step is not None and not found.step.children):
            return False
        if found.part:
            onwards = WINDOW if found.part == "after" else -WINDOW
            self._windows[found.family] = max(0, self._windows.get(found.family, 0) + onwards)
        elif found.step is None or found.closed:
            self._opened, self._shut = self._opened | {node}, self._shut - {node}
        else:
            self._opened, self._shut = self._opened - {node}, self._shut | {node}
        return self._build(self._rung, _ANY)

    def fold(self, node: str) -> str | None:
        """Make one node of a node's family, or close what holds it; the node that shows it then, if any other."""
        self.update()
        found = self.nodes.get(node)
        if found is None:
            return None
        family = self._graph.families[found.family]
        if family.members > 1 and not family.folded and not family.rest:
            self._opened, self._crossed = self._opened - {family.id}, self._crossed | {family.id}
        elif found.holder:
            self._opened, self._shut = self._opened - {found.holder}, self._shut | {found.holder}
        else:
            return None
        self._build(self._rung, _ANY)
        shown = self.node_of(found.first.id)
        return shown.id if shown else None

    def reveal(self, step: StepId) -> bool:
        """Move the window on the step's family so that the step is in it; whether that moved anything."""
        self.update()
        node = self.node_of(step)
        if node is None or node.part not in ("before", "after"):
            return False
        parent = self._view.steps[step].parent
        family = self._view.steps[parent].children if parent else self._view.roots
        number = [one.id for one in family if one.name == node.name].index(step)
        self._windows[node.family] = max(0, number - WINDOW // 2)
        return self._build(self._rung, _ANY)

    @property
    def _room(self) -> int:
        return self._most if self.auto and not self._opened else LIMIT

    def _fold(self) -> None:
        """The present rung if there is room, else the finest one below it that fits."""
        if self._build(self._rung, self._room):
            return
        self.auto, self._opened = True, frozenset()
        rung = self._rung
        while not self._build(rung, self._most):
            rung -= 1

    def _build(self, rung: int, most: int) -> bool:
        """Fold all steps anew, if that takes so many nodes at most; whether it does. The coarsest rung always does."""
        if self._tried(rung, most) is None:
            return False
        self._make()
        return True

    def _tried(self, rung: int, most: int) -> int | None:
        """How many nodes that rung takes; ``None`` for more than ``most``. It becomes the present one."""
        if rung != self._rung:
            self._rung, self._crossed = rung, frozenset()
        most = most if rung else _ANY
        while True:  # once for each depth in which families turn out to be too large
            graph = self._filled(full=False, most=4 * most)
            if graph is None:
                return None
            if not graph.crossed:
                return len(graph.nodes) if len(graph.nodes) <= most else None
            self._crossed |= graph.crossed

    def _make(self) -> None:
        graph = self._filled(full=True, most=_ANY * 4)
        assert graph is not None, "there was no limit"
        self._graph, self._made = graph, self._made + 1

    def _filled(self, *, full: bool, most: int) -> Folded | None:
        """The run folded as is chosen now; ``None`` as soon as that takes more than so many nodes."""
        choices = Choices(self.rung, self._opened, self._shut, self._crossed, self._windows)
        graph = Folded(self._view, choices, full=full)
        for step in self._view.steps.values():
            graph.add(step)
            if len(graph.nodes) > most:
                return None
        return graph
