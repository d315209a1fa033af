"""The steps of a run on one time axis: where each of them waited, queued and worked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import ClassVar, Final, TypeAlias

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.strip import Strip

from agentrt.types import StepId
from agentrt.ui.bars import EIGHTHS, HEIGHTS, Cell, Window, bar, fitting, peak, ticks
from agentrt.ui.timeline import Order, Row, Stage, Timeline, told, worded
from agentrt.ui.watch.glyphs import PHASE_FILL, PHASE_LOOK, Look, status_look, status_sign
from agentrt.ui.watch.messages import StepChosen, StepOpened
from agentrt.ui.watch.panes.base import Pane
from agentrt.ui.watch.watched import Watched
from agentrt.ui.words import counted, duration, one_line, share

FILLS: Final[dict[str, str]] = {**PHASE_FILL, "pause": "↻", "holding": "─"}
LOOKS: Final[dict[str, Look]] = {**PHASE_LOOK, "pause": "warning", "holding": "quiet"}
_LEGEND: Final[tuple[Stage, ...]] = ("waiting", "queued", "prefill", "decode", "tool", "code", "asking", "pause")
_HEAD: Final = 1  # the axis
_FOOT: Final = 2  # the selected step in words, and the legend
_INFO: Final = 11
_NARROW: Final = 64
"""Columns below which the numbers at the right edge are left out."""
_CLOSEST: Final = 0.0001
"""Seconds in a column, at the largest magnification."""

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
        Binding("home", "choose(-1000000)", "first row", show=False),
        Binding("end", "choose(1000000)", "last row", show=False),
        Binding("h,left", "pan(-1)", "earlier", show=False),
        Binding("l,right", "pan(1)", "later", show=False),
        Binding("plus,equals_sign", "zoom(2)", "zoom in on the time"),
        Binding("minus", "zoom(0.5)", "zoom out"),
        Binding("0", "whole", "the whole run"),
        Binding("full_stop", "now", "follow what goes on now"),
        Binding("o", "order", "order by start or by caller"),
        Binding("enter", "open", "open the step, or the steps of a name"),
    ]

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(name=name, id=id, classes=classes)
        self._watched: Watched | None = None
        self._line: Timeline | None = None
        self._rows: list[Row] = []
        self._order: Order = "start"
        self._opened: set[tuple[str, ...]] = set()
        self._cursor: _Key | None = None
        self._at: int | None = None  # the number of its row
        self._chosen: StepId | None = None  # what all panes have marked, when this one looked last
        self._scale: float | None = None  # seconds in a column; None: as many as the run needs
        self._start = 0.0
        self._following = True
        self._label_width = 0
        self._window = Window(0.0, 1.0, 1)

    @property
    def timeline(self) -> Timeline | None:
        """The times behind it, ``None`` before it was first shown."""
        return self._line

    # -- what is shown ---------------------------------------------------------------------------------------

    def show(self, watched: Watched) -> None:
        """Take over what has changed."""
        if self._line is None or self._line.view is not watched.view:
            self._line = Timeline(watched.view)
        self._watched = watched
        self._line.update()
        if watched.selected != self._chosen:
            self._chosen = self._cursor = watched.selected
        self._lay_out()

    def on_resize(self) -> None:
        """There is another width for the time."""
        self._lay_out()

    def _lay_out(self) -> None:
        if self._watched is None or self._line is None:
            return
        self._rows = self._line.rows(self._order, self._opened)
        self._at = self._found(self._cursor)
        width = self.size.width
        longest = max((cell_len(row.label) + 2 * row.depth for row in self._rows), default=0) + 5
        self._label_width = max(8, min(longest, width * 2 // 5, 36))
        self._window = self._windowed(max(1, width - self._label_width - self._info_width))
        self.resize_to(width, len(self._rows) + _HEAD + _FOOT)

    @property
    def _info_width(self) -> int:
        return _INFO if self.size.width >= _NARROW else 0

    @property
    def _now(self) -> float:
        return self._watched.now if self._watched is not None else 0.0

    @property
    def _live(self) -> bool:
        return self._watched is not None and self._watched.live

    def _windowed(self, width: int) -> Window:
        now = self._now
        if self._scale is None:
            return Window(0.0, fitting(now, width) if self._live else max(now, 0.001) / width, width)
        span = self._scale * width
        if self._following:
            self._start = max(0.0, now - span)
        return Window(self._start, self._scale, width)

    # -- keys ------------------------------------------------------------------------------------------------

    def action_zoom(self, factor: float) -> None:
        """Show less of the time, larger; or more of it."""
        window = self._window
        scale = max(_CLOSEST, window.scale / factor)
        if scale * window.width >= max(self._now, 0.001) * 1.001:
            self.action_whole()
            return
        middle = window.start + window.scale * window.width / 2
        self._scale = scale
        if self._following and self._live:
            self._lay_out()
        else:
            self._move(middle - scale * window.width / 2)

    def action_pan(self, way: int) -> None:
        """Show what was earlier, or later, by a quarter of what is seen."""
        if self._scale is not None:
            self._move(self._window.start + way * self._window.width * self._scale / 4)

    def action_whole(self) -> None:
        """Show the whole run."""
        self._scale, self._following = None, True
        self._lay_out()

    def action_now(self) -> None:
        """Keep the present at the right edge."""
        self._following = True
        self._lay_out()

    def _move(self, start: float) -> None:
        assert self._scale is not None, "only a part of the time can be moved"
        latest = max(0.0, self._now - self._scale * self._window.width)
        self._start = min(max(0.0, start), latest)
        self._following = self._live and start >= latest
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
        at = self._at
        if at is None:
            return
        row = self._rows[at]
        if row.group is None:
            self.post_message(StepOpened(row.step.id))
            return
        self._opened ^= {row.group.path}
        self._lay_out()

    def on_click(self, event: events.Click) -> None:
        """Select the row under the pointer; open it with the second click."""
        number = event.y + self.scroll_offset.y - _HEAD
        if _HEAD <= event.y < self.size.height - _FOOT and 0 <= number < len(self._rows):
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
        self.refresh()

    def _reveal(self, at: int | None) -> None:
        room = max(1, self.size.height - _HEAD - _FOOT)
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

    def render_line(self, y: int) -> Strip:
        """One visible line: the axis stays at the top and the legend at the bottom, rows scroll between them."""
        height = self.size.height
        if y < _HEAD:
            text = self._axis()
        elif y >= height - _FOOT:
            text = self._legend() if y == height - 1 else self._words()
        else:
            text = self.line(y - _HEAD + self.scroll_offset.y)
        base = self.rich_style
        segments = Segment.apply_style(text.render(self.app.console), base)
        return Strip(segments).crop_extend(0, self.size.width, base)

    def line(self, number: int) -> Text:
        """The row of that number."""
        if not self._rows:
            return Text("  no step has been called yet" if number == 0 else "", self.look("quiet"))
        if not 0 <= number < len(self._rows):
            return Text()
        row = self._rows[number]
        chosen = number == self._at
        assert self._line is not None, "there are rows"
        text = self._label(row, chosen)
        if row.group is None:
            self._draw(text, bar(self._line.stretches(row.step), self._window, self._now), EIGHTHS)
            self._info(text, duration(row.step.seconds(self._now) or 0.0) if row.step.started is not None else "")
            return text
        return self._crowd(text, row, self._line)

    def _crowd(self, text: Text, row: Row, line: Timeline) -> Text:
        assert row.group is not None, "it is a row of many"
        crowd = line.crowd(row.group)
        cells, most = peak(crowd, self._window, self._now)
        self._draw(text, cells, HEIGHTS)
        spent = crowd.seconds(self._now)
        seconds, stage = max(((seconds, stage) for stage, seconds in spent.items()), default=(0.0, "waiting"))
        part = share(round(seconds * 1000), round(sum(spent.values()) * 1000))
        self._info(text, f"{max(1, round(most)) if most else 0:,} {FILLS[stage]}{part:>4}")
        return text

    def _label(self, row: Row, chosen: bool) -> Text:
        status = row.step.status if row.group is None else row.group.status
        text = Text("▸" if chosen else " ")
        text.append("  " * row.depth)
        text.append(status_sign(status, row.step.kind), self.look(status_look(status, row.step.kind)))
        room = max(0, self._label_width - cell_len(text.plain) - 2)
        label = row.label if cell_len(row.label) <= room else set_cell_size(row.label, max(0, room - 1)) + "…"
        text.append(" " + set_cell_size(label, room) + " ")
        if chosen:
            text.stylize(self.look("cursor"))
        return text

    def _draw(self, text: Text, cells: Sequence[Cell | None], parts: str) -> None:
        """Append the cells; ``parts`` are the signs of those that can be filled in part."""
        for cell, same in groupby(cells):
            many = sum(1 for _ in same)
            if cell is None:
                text.append(" " * many)
            else:
                fill = parts[cell.eighths - 1] if parts is HEIGHTS or cell.stage == "decode" else FILLS[cell.stage]
                text.append(fill * many, self.look(LOOKS[cell.stage]))

    def _info(self, text: Text, told: str) -> None:
        if self._info_width:
            text.append(told.rjust(_INFO), self.look("quiet"))

    def _axis(self) -> Text:
        """When the columns are, and what the numbers at the right say."""
        total = self._watched.view.total if self._watched is not None else 0
        text = Text(set_cell_size(" " + counted(total, "step"), self._label_width), self.look("quiet"))
        width = self._window.width
        marks = [" "] * width
        for column, label in ticks(self._window):
            if column + len(label) + 1 <= width:
                marks[column : column + len(label) + 1] = f"╷{label}"
        text.append("".join(marks))
        many = any(row.group is not None for row in self._rows)
        self._info(text, "at once" if many else "time")
        return text

    def _words(self) -> Text:
        """The selected step's time, in words."""
        at = self._at
        if at is None or self._line is None:
            order = "by start" if self._order == "start" else "by caller"
            return Text(f" {order}; j k select, + - zoom, h l earlier and later, o order", self.look("quiet"))
        row = self._rows[at]
        if row.group is not None:
            return Text(f" {row.label}, in sum: {worded(self._line.crowd(row.group).seconds(self._now))}")
        return Text(f" {one_line(row.step.id)}: {told(self._line, row.step, self._now)}")

    def _legend(self) -> Text:
        """What the fills mean, of those that there are."""
        text = Text(" ")
        for stage in _LEGEND:
            if self._line is not None and stage in self._line.total.levels:
                text.append(FILLS[stage], self.look(LOOKS[stage]))
                text.append(f"{stage} ", self.look("quiet"))
        return text


def _key(row: Row) -> _Key:
    return row.step.id if row.group is None else row.group.path
