"""The lines of the Gantt: a step's bar, a crowd's heights, the axis above, the words below."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.style import Style
from rich.text import Text

from agentrt.ui.drawing.bars import EIGHTHS, HEIGHTS, Cell, Window, bar, peak, ticks
from agentrt.ui.drawing.glyphs import STAGE_FILL, STAGE_LOOK, Look, status_look, status_sign
from agentrt.ui.drawing.pieces import cut_cells
from agentrt.ui.folds.timeline import Row, Stage, Timeline, told, worded
from agentrt.ui.model import GroupView
from agentrt.ui.words import counted, duration, one_line, share

LEGEND: Final[tuple[Stage, ...]] = ("waiting", "queued", "prefill", "decode", "tool", "code", "asking", "pause")
CRITICAL: Final = "»"
_CHOSEN: Final = "▸"
_INFO: Final = 11  # columns of the numbers at the right edge
_NARROW: Final = 64  # columns below which they are left out
_WIDEST_LABEL: Final = 36


class Drawing:
    """Draws one moment, ``now``, of a timeline, in lines of ``width`` columns.

    ``window`` is the time that is shown, beside labels of ``label`` columns; ``look`` gives a look in the theme of now.
    """

    def __init__(
        self, line: Timeline, look: Callable[[Look], Style], window: Window, now: float, label: int, width: int
    ) -> None:
        self._line = line
        self._look = look
        self._window = window
        self._now = now
        self._label = label
        self._numbers = numbers_width(width)

    def row(self, row: Row, *, chosen: bool, critical: bool) -> Text:
        """One step, or all steps of a name."""
        text = self._named(row, chosen=chosen, critical=critical)
        if row.group is not None:
            return self._crowd(text, row.group)
        cells = bar(self._line.stretches(row.step), self._window, self._now)
        _fill(text, cells, EIGHTHS, self._look)
        seconds = row.step.seconds(self._now)
        return self._number(text, "" if seconds is None else duration(seconds))

    def axis(self, rows: Iterable[Row]) -> Text:
        """When the columns are, and what the numbers at the right say."""
        title = f" {counted(self._line.view.total, 'step')}"
        text = Text(set_cell_size(title, self._label), self._look("quiet"))
        width = self._window.width
        marks = [" "] * width
        for column, label in ticks(self._window):
            if column + len(label) + 1 <= width:
                marks[column : column + len(label) + 1] = f"╷{label}"
        text.append("".join(marks))
        many = any(row.group is not None for row in rows)
        return self._number(text, "at once" if many else "time")

    def words(self, row: Row) -> Text:
        """Where the time of a row went."""
        if row.group is not None:
            return Text(f" {row.label}, in sum: {worded(self._line.crowd(row.group).seconds(self._now))}")
        return Text(f" {one_line(row.step.id)}: {told(self._line, row.step, self._now)}")

    def legend(self, *, critical: bool) -> Text:
        """What the fills mean, of those that there are."""
        text = Text(" ")
        for stage in LEGEND:
            if stage in self._line.total.levels:
                text.append(STAGE_FILL[stage], self._look(STAGE_LOOK[stage])).append(f"{stage} ", self._look("quiet"))
        if critical:
            text.append(CRITICAL, self._look("critical")).append("critical path", self._look("quiet"))
        return text

    def _named(self, row: Row, *, chosen: bool, critical: bool) -> Text:
        """The row's sign and name; a cursor and the critical path have signs of their own."""
        status = row.step.status if row.group is None else row.group.status
        style = self._look("critical") if critical else ""
        text = Text().append(_CHOSEN if chosen else CRITICAL if critical else " ", style or None)
        text.append("  " * row.depth)
        text.append(status_sign(status, row.step.kind), self._look(status_look(status, row.step.kind)))
        room = max(0, self._label - cell_len(text.plain) - 2)
        text.append(f" {set_cell_size(cut_cells(row.label, room), room)} ", style or None)
        if chosen:
            text.stylize(self._look("cursor"))
        return text

    def _crowd(self, text: Text, group: GroupView) -> Text:
        """How many are at once, what most of them do where that is, and what took most of their time."""
        crowd = self._line.crowd(group)
        cells, most = peak(crowd, self._window, self._now)
        _fill(text, cells, HEIGHTS, self._look)
        spent = crowd.seconds(self._now)
        seconds, stage = max(((seconds, stage) for stage, seconds in spent.items()), default=(0.0, "waiting"))
        part = share(seconds, sum(spent.values()))
        return self._number(text, f"{max(1, round(most)) if most else 0:,} {STAGE_FILL[stage]}{part:>4}")

    def _number(self, text: Text, said: str) -> Text:
        return text.append(said.rjust(self._numbers), self._look("quiet")) if self._numbers else text


def numbers_width(width: int) -> int:
    """How many columns the numbers take at the right edge of a pane of this width."""
    return _INFO if width >= _NARROW else 0


def label_width(rows: Iterable[Row], width: int) -> int:
    """How many columns signs and names take: what they need, and at most two fifths."""
    longest = max((cell_len(row.label) + 2 * row.depth for row in rows), default=0)
    return max(8, min(longest + 5, width * 2 // 5, _WIDEST_LABEL))


def _fill(text: Text, cells: Sequence[Cell | None], parts: str, look: Callable[[Look], Style]) -> None:
    """Append the cells; ``parts`` are the signs of those that can be filled in part."""
    for cell, same in groupby(cells):
        many = sum(1 for _ in same)
        if cell is None:
            text.append(" " * many)
        else:
            fill = parts[cell.eighths - 1] if parts is HEIGHTS or cell.stage == "decode" else STAGE_FILL[cell.stage]
            text.append(fill * many, look(STAGE_LOOK[cell.stage]))
