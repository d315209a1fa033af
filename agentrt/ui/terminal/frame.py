"""One picture of a run on a terminal: a title, how far it is, and a line for each step."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from agentrt.types import StepKind, StepStatus
from agentrt.ui.drawing.pieces import cut_cells, tail_cells
from agentrt.ui.model import RunView
from agentrt.ui.terminal.activity import Activity
from agentrt.ui.terminal.rows import Row, rows
from agentrt.ui.words import called, counted, duration, share

_SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_GLYPHS: Final[dict[StepStatus, str]] = {
    "done": "✓",
    "failed": "✗",
    "cancelled": "⊘",
    "skipped": "-",
    "pending": "·",
    "ready": "·",
}
_ASCII_SPINNER: Final = "|/-\\"
_ASCII: Final = str.maketrans({"✓": "+", "✗": "x", "⊘": "x", "·": ".", "━": "=", "─": "-", "…": "~"})
_STATUS_STYLE: Final[dict[StepStatus, str]] = {
    "done": "green",
    "failed": "bold red",
    "cancelled": "yellow",
    "skipped": "yellow",
    "running": "cyan",
    "pending": "dim",
    "ready": "dim",
}
_KIND_STYLE: Final[dict[StepKind, str]] = {"agent": "bold", "program": "bold"}
_TONE_STYLE: Final = {"quiet": "dim", "text": "dim italic", "ask": "yellow", "bad": "red"}
_FRAMES_A_SECOND: Final = 10
_COUNTS: Final = ("prompt", "cached", "new")
_COUNT_WIDTH: Final = 8
_TIME_WIDTH: Final = 9
_WIDEST: Final = 120
"""Columns used at most: the eye has to find a step's time on the step's line."""
_NARROW: Final = 72
"""Columns below which the token counts are left out."""


class Frame:
    """Draws one moment, ``now`` seconds into the run, for the size that the console has at that moment."""

    def __init__(self, console: Console, now: float) -> None:
        self.width, self.height = min(console.width - 1, _WIDEST), console.height
        self.now = now
        self.plain = not console.encoding.lower().startswith("utf")
        spinner = _ASCII_SPINNER if self.plain else _SPINNER
        self.spin = spinner[int(now * _FRAMES_A_SECOND) % len(spinner)]

    def draw(self, view: RunView, activity: Activity) -> Text:
        """The whole picture; empty before the run has started."""
        head = self._head(view) if view.id else []
        starting = bool(activity.title) and not view.ended
        if starting:
            head.append(self._activity(activity))
        lines = rows(view, view.last if view.ended else self.now, max(1, self.height - len(head) - 3))
        if starting:
            lines = [_patient(line) for line in lines]
        picture = [*head, *self._table(lines)][: self.height - 1]
        for line in picture:
            line.truncate(self.width, overflow="crop")
        text = Text("\n", no_wrap=True, overflow="crop").join([*picture, Text()])  # a ^C is echoed on the last line
        if self.plain:
            text.plain = text.plain.translate(_ASCII)
        return text

    # -- the title -------------------------------------------------------------------------------------------

    def _head(self, view: RunView) -> list[Text]:
        took = duration(view.last if view.ended else self.now)
        title = self._ends(called(view.program, view.inputs), took, "bold")
        if view.ended:
            return [title]
        return [title, self._far(view)]

    def _far(self, view: RunView) -> Text:
        """How far it is: a bar, the counts, the tokens so far."""
        line = Text(" ")
        line.append(self._bar(view, min(30, self.width // 4)))
        line.append(f"  {view.finished:,} of {counted(view.total, 'step')}", style="bold")
        running, failed = view.count("running"), view.count("failed")
        if running:
            line.append(f", {running:,} running", style="cyan")
        if failed:
            line.append(f", {failed:,} failed", style="red")
        spent = f"   {view.usage.prompt:,} prompt tokens, {share(view.usage.cached, view.usage.prompt)} cached"
        if view.usage.prompt and line.cell_len + len(spent) <= self.width:
            line.append(spent, style="dim")
        return line

    def _bar(self, view: RunView, width: int) -> Text:
        total = max(1, view.total)
        done = width * view.count("done") // total
        bad = -(-width * view.count("failed", "skipped", "cancelled") // total)
        running = min(width - done - bad, -(-width * view.count("running") // total))
        bar = Text("━" * done, style="green")
        bar.append("━" * bad, style="red")
        bar.append("━" * running, style="cyan")
        return bar.append("─" * (width - done - bad - running), style="dim")

    def _activity(self, activity: Activity) -> Text:
        what = f"{self.spin} {activity.title}"
        return self._ends(f"{what}: {activity.detail}" if activity.detail else what, duration(activity.seconds), "cyan")

    def _ends(self, left: str, right: str, style: str) -> Text:
        """A line with something at both ends."""
        room = self.width - _TIME_WIDTH - 1
        line = Text(" ").append(set_cell_size(left, room), style=style)
        return line.append(right.rjust(_TIME_WIDTH), style="dim")

    # -- the steps -------------------------------------------------------------------------------------------

    def _table(self, lines: list[Row]) -> list[Text]:
        if not lines:
            return []
        with_counts = self.width >= _NARROW
        label = min(max(cell_len(row.label) + 2 * row.depth for row in lines) + 4, max(16, self.width * 2 // 5))
        told = with_counts and any(row.usage.prompt for row in lines)
        return [self._heading() if told else Text(), *(self._line(row, label, with_counts) for row in lines)]

    def _heading(self) -> Text:
        names = "".join(name.rjust(_COUNT_WIDTH) for name in _COUNTS)
        return Text(names.rjust(self.width - _TIME_WIDTH) + "time".rjust(_TIME_WIDTH), style="dim")

    def _line(self, row: Row, label: int, with_counts: bool) -> Text:
        line = Text(" " * (1 + 2 * row.depth))
        line.append(self._glyph(row), style=_STATUS_STYLE[row.status])
        waiting = row.status in ("pending", "ready")
        name_style = "dim" if waiting else _KIND_STYLE.get(row.kind, "")
        line.append(
            " " + set_cell_size(cut_cells(row.label, label - 2 * row.depth - 4), label - 2 * row.depth - 3), name_style
        )
        counts = self._counts(row) if with_counts else ""
        room = self.width - label - _TIME_WIDTH - len(counts)
        line.append(set_cell_size(self._detail(row, room - 1), room), style=_TONE_STYLE[row.tone])
        line.append(counts)
        time = "" if row.seconds is None else duration(row.seconds)
        return line.append(time.rjust(_TIME_WIDTH), style="" if row.status == "running" else "dim")

    def _glyph(self, row: Row) -> str:
        if row.kind == "join":
            return " "
        if row.status != "running":
            return _GLYPHS[row.status]
        return "?" if row.kind == "question" else self.spin

    def _counts(self, row: Row) -> str:
        usage = row.usage
        if not (usage.prompt or usage.completion):
            return ""  # the room is the text's
        told = (f"{usage.prompt:,}", share(usage.cached, usage.prompt), f"{usage.completion:,}")
        return "".join(one.rjust(_COUNT_WIDTH) for one in told)

    def _detail(self, row: Row, room: int) -> str:
        return tail_cells(row.detail, room) if row.tone == "text" else cut_cells(row.detail, room)


def _patient(row: Row) -> Row:
    """A model turn while the engine starts: it waits, though its step has begun."""
    if row.kind != "llm" or row.status != "running" or row.detail:
        return row
    return replace(row, status="ready", detail="waits for the engine")
