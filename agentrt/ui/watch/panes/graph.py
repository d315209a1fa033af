"""The step graph as a pane: drawn from left to right, live, folded when it is large."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType

from agentrt.graph.render.terminal import CellPlace
from agentrt.types import StepId
from agentrt.ui.folds.folded import FoldNode
from agentrt.ui.watch.messages import Notice, StepChosen, StepOpened
from agentrt.ui.watch.panes.base import Pane
from agentrt.ui.watch.panes.graph_drawing import GraphDrawing, Room
from agentrt.ui.watch.panes.graph_moves import Direction, at, neighbour, scrolled
from agentrt.ui.watch.watched import Watched
from agentrt.ui.words import counted


class GraphPane(Pane):
    """Draws the graph of the run that is watched. A node is chosen by keys along the edges, or by the mouse.

    While it is ``following``, what runs is kept visible; moving the choice or scrolling ends that.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("h,left", "move('left')", "to what it came after", show=False),
        Binding("l,right", "move('right')", "to what comes after it", show=False),
        Binding("j,down", "move('down')", "down", show=False),
        Binding("k,up", "move('up')", "up", show=False),
        Binding("enter", "open", "open"),
        Binding("plus,equals_sign", "zoom(1)", "more detail", key_display="+"),
        Binding("minus", "zoom(-1)", "less detail", key_display="-"),
        Binding("0", "fit", "as much as fits", show=False),
        Binding("o", "unfold", "open or close what it holds", show=False),
        Binding("backspace", "fold", "fold the steps of its name", show=False),
        Binding("full_stop", "follow", "follow", key_display="."),
        Binding("p", "critical", "critical path"),
        Binding("home", "last(False)", "first step", show=False),
        Binding("end", "last(True)", "last step", show=False),
        Binding("shift+left", "scroll_left", "scroll left", show=False),
        Binding("shift+right", "scroll_right", "scroll right", show=False),
        Binding("shift+up", "scroll_up", "scroll up", show=False),
        Binding("shift+down", "scroll_down", "scroll down", show=False),
    ]

    drawing: GraphDrawing | None = None
    following = True
    _live = False
    _over = False
    _step: StepId | None = None

    def show(self, watched: Watched) -> None:
        """Take over what has changed in the run."""
        drawing = self.drawing
        if drawing is None or drawing.view is not watched.view:
            drawing = self.drawing = GraphDrawing(watched.view, drawing)
            self._step = None
        self._live = watched.live
        drawing.now = watched.now
        self._redraw()
        if watched.selected != self._step or (drawing.chosen is None and watched.selected):
            self._step = watched.selected
            drawing.choose(self._step)
            self._redraw()
            self._to_chosen()
        if self.following and watched.live:
            self._to_front(drawing)
        elif self.following and not self._over:
            self._to_failed(drawing)
        self._over = not watched.live

    @property
    def chosen(self) -> FoldNode | None:
        """The node that is chosen."""
        drawing = self.drawing
        return drawing.folding.nodes.get(drawing.chosen) if drawing and drawing.chosen else None

    def line(self, number: int) -> Text:
        """One line of the drawing."""
        if self.drawing is None or not self.drawing.picture.places:
            return Text(self._nothing, self.look("quiet"))
        return self.drawing.line(number, self.look)

    @property
    def _nothing(self) -> str:
        return "No step has been called yet." if self._live else "This run called no steps."

    def _redraw(self) -> None:
        """Take over what has changed in the drawing itself."""
        if self.drawing is None:
            return
        self.drawing.room = Room(*self.scrollable_content_region.size)
        self.drawing.update()
        self.resize_to(self.drawing.width or len(self._nothing), self.drawing.picture.height or 1)

    def on_resize(self) -> None:
        """What fits depends on the room."""
        if self.drawing is not None and self.drawing.folding.auto:
            self.drawing.folding.fit()
        self._redraw()

    # -- scrolling ---------------------------------------------------------------------------------------------------

    def _to_front(self, drawing: GraphDrawing) -> None:
        """Keep visible what runs: the step that started last."""
        running = [
            node for node in drawing.folding.nodes.values() if node.counts.get("running") and node.started is not None
        ]
        inner = {node.holder for node in running}
        front = max(
            (node for node in running if node.id not in inner), key=lambda node: node.started or 0.0, default=None
        )
        if front is not None and front.id in drawing.picture.places:
            self._to_place(drawing.picture.places[front.id])

    def _to_failed(self, drawing: GraphDrawing) -> None:
        """Of a run that is over, what one looks for is what failed first."""
        failed = [node for node in drawing.folding.nodes.values() if node.counts.get("failed")]
        first = min(failed, key=lambda node: node.started or 0.0, default=None)
        if first is not None and first.id in drawing.picture.places:
            self._to_place(drawing.picture.places[first.id])

    def _to_chosen(self) -> None:
        if self.drawing is not None and self.drawing.chosen in self.drawing.picture.places:
            self._to_place(self.drawing.picture.places[self.drawing.chosen])

    def _to_place(self, place: CellPlace) -> None:
        """Scroll as little as makes a label visible, with something around it."""
        x, y = scrolled(place, self.scrollable_content_region.size, self.scroll_offset)
        if (x, y) != self.scroll_offset:
            self.scroll_to(x, y, animate=False, force=True)

    # -- keys --------------------------------------------------------------------------------------------------------

    def action_move(self, direction: Direction) -> None:
        """Choose the next node that way; the first time, what runs, what failed, or the first step."""
        drawing = self.drawing
        if drawing is None or not drawing.picture.places:
            return
        if drawing.chosen is None:
            self._choose(self._start(drawing))
            return
        node = neighbour(drawing.picture.places, drawing.folding.edges, drawing.chosen, direction)
        if node is not None:
            self._choose(node)

    @staticmethod
    def _start(drawing: GraphDrawing) -> str:
        nodes = drawing.folding.nodes
        for status in ("running", "failed"):
            if found := [name for name, node in nodes.items() if node.status == status]:
                return found[0]
        return next(iter(nodes))

    def _choose(self, name: str) -> None:
        drawing = self.drawing
        if drawing is None:
            return
        self.following = False
        drawing.chosen, self._step = name, drawing.folding.nodes[name].first.id
        self._redraw()
        self._to_chosen()
        self.post_message(StepChosen(self._step))

    def action_open(self) -> None:
        """Open a group; show all about a step. Where nothing is chosen yet, as when one moves there first."""
        drawing = self.drawing
        if self.chosen is None and drawing is not None and drawing.picture.places:
            self._choose(self._start(drawing))
        node = self.chosen
        if node is None:
            return
        if node.step is None:
            self.action_unfold()
        else:
            self.post_message(StepOpened(node.step.id))

    def action_unfold(self) -> None:
        """Open a group or what a step holds, or close that."""
        node, drawing = self.chosen, self.drawing
        if node is None or drawing is None:
            return
        if drawing.folding.toggle(node.id):
            drawing.choose(node.first.id)
            self._redraw()
            self._to_chosen()
        else:
            self.post_message(Notice(f"{node.name} holds nothing that could be opened."))

    def action_fold(self) -> None:
        """Fold the chosen node's family, or close what holds it."""
        if self.drawing is None or self.chosen is None:
            return
        shown = self.drawing.folding.fold(self.chosen.id)
        if shown is not None:
            self._redraw()
            self._choose(shown)

    def action_zoom(self, by: int) -> None:
        """More or less detail."""
        drawing, chosen = self.drawing, self.chosen
        if drawing is not None and drawing.zoom(by):
            self._refolded(drawing, chosen)

    def action_fit(self) -> None:
        """As much detail as fits, as at first."""
        drawing, chosen = self.drawing, self.chosen
        if drawing is not None:
            drawing.fit()
            self._refolded(drawing, chosen)

    def _refolded(self, drawing: GraphDrawing, chosen: FoldNode | None) -> None:
        """The choice stays where it was, and how much is folded now is said."""
        if chosen is not None:
            drawing.choose(chosen.first.id)
        self._redraw()
        self._to_chosen()
        self._tell(drawing)

    def _tell(self, drawing: GraphDrawing) -> None:
        steps, nodes = counted(drawing.view.total, "step"), counted(len(drawing.folding.nodes), "node")
        self.post_message(Notice(f"{steps} as {nodes}: {drawing.folding.rung.told}"))

    def action_follow(self) -> None:
        """Keep what runs visible, or no longer."""
        self.following = not self.following
        if self.following and self.drawing is not None:
            self._to_front(self.drawing)
        self.post_message(Notice("Following what runs." if self.following else "No longer following what runs."))

    def action_critical(self) -> None:
        """Mark the critical path, or no longer."""
        if self.drawing is not None:
            self.drawing.critical = not self.drawing.critical
            self._redraw()

    def action_last(self, last: bool) -> None:
        """Choose the first or the last node."""
        if self.drawing is not None and self.drawing.folding.nodes:
            self._choose(list(self.drawing.folding.nodes)[-1 if last else 0])

    # -- the mouse ---------------------------------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        """Choose a node; twice, open it."""
        where = event.get_content_offset(self)
        if where is None or self.drawing is None:
            return
        x, y = where + self.scroll_offset
        node = at(self.drawing.picture.places, x, y)
        if node is None:
            return
        self._choose(node)
        if event.chain > 1:
            self.action_open()

    def on_mouse_scroll_down(self) -> None:
        """A person scrolls."""
        self.following = False

    def on_mouse_scroll_up(self) -> None:
        """A person scrolls."""
        self.following = False
