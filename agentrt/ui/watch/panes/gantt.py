"""The steps of a run on one time axis: where each of them waited, queued and worked."""

from __future__ import annotations

from typing import ClassVar, Final, TypeAlias

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.strip import Strip

from agentrt.types import StepId
from agentrt.ui.drawing.axis import Axis
from agentrt.ui.folds.critical import critical_path
from agentrt.ui.folds.timeline import Order, Row, Timeline
from agentrt.ui.watch.messages import StepChosen, StepOpened
from agentrt.ui.watch.panes.base import Pane, strip_of
from agentrt.ui.watch.panes.gantt_rows import Drawing, label_width, numbers_width
from agentrt.ui.watch.watched import Watched

_HEAD: Final = 1  # the axis
_FOOT: Final = 2  # the selected step in words, and the legend
_FAR: Final = 1_000_000

_Key: TypeAlias = StepId | tuple[str, ...]


class GanttPane(Pane):
    """A row for each step while they are few, above that for all steps of a name: as high as they are many at once.

    It shows the whole run, until it is zoomed; then it follows what is going on now, until it is moved.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "choose(1)", "next row", show=False),
        Binding("k,up", "choose(-1)", "row before", show=False),
        Binding("pagedown", "choose(10)", "ten rows on", show=False),
        Binding("pageup", "choose(-10)", "ten rows back", show=False),
        Binding("home", f"choose({-_FAR})", "first row", show=False),
        Binding("end", f"choose({_FAR})", "last row", show=False),
        Binding("h,left", "pan(-1)", "earlier", show=False),
        Binding("l,right", "pan(1)", "later", show=False),
        Binding("plus,equals_sign", "zoom(2)", "zoom"),
        Binding("minus", "zoom(0.5)", "zoom out", show=False),
        Binding("0", "whole", "whole run"),
        Binding("full_stop", "now", "follow"),
        Binding("p", "critical", "critical path"),
        Binding("o", "order", "order"),
        Binding("enter", "open", "open"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.timeline: Timeline | None = None
        self._watched: Watched | None = None
        self._axis = Axis()
        self._rows: list[Row] = []
        self._order: Order = "start"
        self._opened: set[tuple[str, ...]] = set()
        self._cursor: _Key | None = None
        self._at: int | None = None  # the number of its row
        self._chosen: StepId | None = None  # what all panes have marked, when this one looked last
        self._critical = False
        self._path: frozenset[_Key] = frozenset()  # the rows of the critical path, where it is marked
        self._drawing: Drawing | None = None

    # -- what is shown ---------------------------------------------------------------------------------------

    def show(self, watched: Watched) -> None:
        """Take over what has changed."""
        if self.timeline is None or self.timeline.view is not watched.view:
            self.timeline = Timeline(watched.view)
        self._watched = watched
        self.timeline.update()
        if watched.selected != self._chosen:
            self._chosen = self._cursor = watched.selected
        self._lay_out()

    def on_resize(self) -> None:
        """There is another width for the time."""
        self._lay_out()

    def _lay_out(self) -> None:
        if self._watched is None or self.timeline is None:
            return
        self._rows = self.timeline.rows(self._order, self._opened)
        self._at = self._found(self._cursor)
        self._path = self._on_path(self._watched) if self._critical else frozenset()
        width, now = self.room.width, self._watched.now
        label = label_width(self._rows, width)
        window = self._axis.look(now, max(1, width - label - numbers_width(width)), live=self._watched.live)
        self._drawing = Drawing(self.timeline, self.look, window, now, label, width)
        self.resize_to(width, len(self._rows) + _HEAD + _FOOT)

    def _on_path(self, watched: Watched) -> frozenset[_Key]:
        path = critical_path(watched.view)
        return frozenset([*path, *(watched.view.steps[step].path for step in path)])

    # -- the time --------------------------------------------------------------------------------------------

    def action_zoom(self, factor: float) -> None:
        """Show less of the time, larger; or more of it."""
        self._axis.zoom(factor)
        self._lay_out()

    def action_pan(self, way: int) -> None:
        """Show what was earlier, or later."""
        self._axis.pan(way)
        self._lay_out()

    def action_whole(self) -> None:
        """Show the whole run."""
        self._axis.whole()
        self._lay_out()

    def action_now(self) -> None:
        """Keep the present at the right edge."""
        self._axis.follow()
        self._lay_out()

    # -- the rows --------------------------------------------------------------------------------------------

    def action_critical(self) -> None:
        """Mark the steps that determined when the run ended, or do not."""
        self._critical = not self._critical
        self._lay_out()

    def action_order(self) -> None:
        """Rows by their start, or each below the step that called it."""
        self._order = "tree" if self._order == "start" else "start"
        self._lay_out()
        self._reveal(self._at)

    def action_choose(self, way: int) -> None:
        """Select another row."""
        if self._rows:
            at = self._at
            self._choose(way - 1 if at is None and way > 0 else (at or 0) + way)

    def action_open(self) -> None:
        """Open the selected step, or show the steps of the selected name."""
        if self._at is None:
            return
        row = self._rows[self._at]
        if row.group is None:
            self.post_message(StepOpened(row.step.id))
            return
        self._opened ^= {row.group.path}
        self._lay_out()

    def on_click(self, event: events.Click) -> None:
        """Select the row under the pointer; open it with the second click."""
        number = event.y + self.scroll_offset.y - _HEAD
        if _HEAD <= event.y < self.room.height - _FOOT and 0 <= number < len(self._rows):
            self._choose(number)
            if event.chain == 2:
                self.action_open()

    def _choose(self, number: int) -> None:
        at = self._at = min(max(0, number), len(self._rows) - 1)
        row = self._rows[at]
        self._cursor = _key(row)
        self._chosen = row.step.id
        self.post_message(StepChosen(row.step.id))
        self._reveal(at)
        self.redraw()

    def _reveal(self, at: int | None) -> None:
        room = max(1, self.room.height - _HEAD - _FOOT)
        top = self.scroll_offset.y
        if at is not None and not top <= at < top + room:
            self.scroll_to(y=at if at < top else at - room + 1, animate=False)

    def _found(self, key: _Key | None) -> int | None:
        """The number of a row; a step without a row of its own is in that of its name."""
        for number, row in enumerate(self._rows):
            if _key(row) == key:
                return number
        if isinstance(key, str) and self._watched is not None and key in self._watched.view.steps:
            return self._found(self._watched.view.steps[key].path)
        return None

    # -- drawing ---------------------------------------------------------------------------------------------

    def strip(self, y: int, base: Style) -> Strip:
        """One visible line: the axis stays at the top and the legend at the bottom, rows scroll between them."""
        return strip_of(self._text(y), self.app.console, base).crop_extend(0, self.room.width, base)

    def _text(self, y: int) -> Text:
        drawing, below = self._drawing, self.room.height - y
        if drawing is None:
            return Text()
        if y < _HEAD:
            return drawing.axis(self._rows)
        if below == 1:
            return drawing.legend(critical=self._critical)
        if below == _FOOT:
            return self._hint() if self._at is None else drawing.words(self._rows[self._at])
        return self.line(y - _HEAD + self.scroll_offset.y)

    def line(self, number: int) -> Text:
        """The row of that number."""
        if not self._rows:
            return Text("  no step has been called yet" if number == 0 else "", self.look("quiet"))
        if self._drawing is None or not 0 <= number < len(self._rows):
            return Text()
        row = self._rows[number]
        return self._drawing.row(row, chosen=number == self._at, critical=_key(row) in self._path)

    def _hint(self) -> Text:
        order = "by start" if self._order == "start" else "by caller"
        return Text(f" {order}; j k select, + - zoom, h l earlier and later, o order", self.look("quiet"))


def _key(row: Row) -> _Key:
    return row.step.id if row.group is None else row.group.path
