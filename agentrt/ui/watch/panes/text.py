"""A pane that shows a long text: wrapped or not, searched, followed as it grows; lines in it may lead to steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from agentrt.ui.drawing.glyphs import Look
from agentrt.ui.watch.messages import Notice, StepOpened
from agentrt.ui.watch.panes.base import Pane
from agentrt.ui.watch.panes.text_lines import UNWRAPPED, Finding, Layout, Line
from agentrt.ui.watch.watched import Watched

MARGIN: Final = 2
"""Columns for the sign of a line, and a blank."""

_AT_ONCE: Final = 100_000
"""Characters that are wrapped before the keyboard is looked at again: some milliseconds."""


class FindAsked(Message):
    """Something is to be looked for."""


class MatchShown(Message):
    """Another match is shown than before."""


class TextPane(Pane):
    """What ``put`` gives it. The place that is looked at stays when the text grows, or is wrapped another way."""

    DEFAULT_CSS = "TextPane { height: 1fr; scrollbar-gutter: stable; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("G", "scroll_end", "to the end, and follow", show=False),
        Binding("m", "mark(1)", "mark the next step that is named", show=False),
        Binding("M", "mark(-1)", "mark the step that is named before", show=False),
        Binding("enter", "open", "open the marked step", show=False),
        Binding("slash", "find", "find", key_display="/"),
        Binding("n", "match(1)", "next match", show=False),
        Binding("N", "match(-1)", "match before", show=False),
        Binding("w", "toggle_wrap", "wrap"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.wrapped = True
        self.finding = Finding()
        self.marked: int | None = None
        self._lines: Sequence[Line] = ()
        self._layout = Layout((), 1)
        self._more_comes = False

    def show(self, watched: Watched) -> None:
        """Its text comes with ``put``."""

    # -- the text ----------------------------------------------------------------------------------------------------

    def put(self, lines: Sequence[Line], *, follow: bool = False, top: bool = False) -> None:
        """Show these lines: from the ``top``, or where one is; with ``follow`` the end, if that was in sight."""
        if lines == self._lines and not top:
            return
        at_end = follow and (top or self.scroll_offset.y >= self.max_scroll_y)
        self._lines = lines
        self.marked = None if top else self.marked
        self._lay(0 if top else self.scroll_offset.y)
        self._search()
        if at_end:
            self.end()
        elif top:
            self._to(0)

    def end(self) -> None:
        """Go to the last line, all lines before it being laid out."""
        self._layout.fill()
        self._sized()
        self._to(len(self._layout.rows))

    def _to(self, row: int) -> None:
        """Have that row at the top: also where it is just now that there is something to scroll."""
        self.scroll_to(0, row, animate=False, force=True)

    def action_toggle_wrap(self) -> None:
        """Break lines at the width of the pane, or do not; the line at the top stays there."""
        self.wrapped = not self.wrapped
        self._lay_again()

    def on_resize(self) -> None:
        """Wrap for the new width."""
        self._lay_again()

    def _lay_again(self) -> None:
        rows, at = self._layout.rows, self.scroll_offset.y
        line, start, _ = rows[min(at, len(rows) - 1)] if rows else (0, 0, 0)
        at_end = at and at >= self.max_scroll_y
        self._lay(0)
        self._fill_to(line, start)
        self._to(len(self._layout.rows) if at_end else self._layout.row_at(line, start))

    def _lay(self, top: int) -> None:
        """Lay the lines out, up to what is seen when ``top`` is the first row; what is below follows soon."""
        width = self.scrollable_content_region.width - MARGIN if self.wrapped else UNWRAPPED
        self._layout = Layout(self._lines, width)
        while not self._layout.fill(_AT_ONCE) and len(self._layout.rows) <= top + self.room.height:
            pass
        self._sized()

    def _fill_to(self, line: int, column: int) -> None:
        while not self._layout.complete and self._layout.rows[-1] <= (line, column):
            self._layout.fill(_AT_ONCE)
        self._sized()

    def _sized(self) -> None:
        width = self.scrollable_content_region.width
        if not self.wrapped:
            longest = max((len(line.text) + line.indent for line in self._lines), default=0)
            width = MARGIN + min(UNWRAPPED, longest)
        self.resize_to(width, len(self._layout.rows))
        if not self._layout.complete and not self._more_comes:
            self._more_comes = True
            self.set_timer(0.01, self._more)

    def _more(self) -> None:
        self._more_comes = False
        self._layout.fill(_AT_ONCE)
        self._sized()

    # -- drawing -----------------------------------------------------------------------------------------------------

    def line(self, number: int) -> Text:
        """One row."""
        row = self._layout.rows[number]
        line = self._lines[row.line]
        drawn = Text(no_wrap=True, end="")
        sign, look = (line.rail, "cached") if line.rail else (line.sign if not row.start else "", line.sign_look)
        self._append(drawn, sign.ljust(MARGIN), look)
        drawn.append(" " * line.indent)
        shift = drawn.cell_len - row.start
        self._append(drawn, line.text[row.start : row.end], line.look)
        for start, end, name in line.spans:
            self._stylize(drawn, name, max(start, row.start) + shift, min(end, row.end) + shift)
        if row.line == self.marked:
            self._stylize(drawn, "cursor", row.start + shift, row.end + shift)
        for match, current in self.finding.in_line(row.line):
            name = "cursor" if current else "warning"
            self._stylize(drawn, name, max(match.start, row.start) + shift, min(match.end, row.end) + shift)
        return drawn

    def _append(self, drawn: Text, text: str, look: Look | None) -> None:
        drawn.append(text, None if look is None else self.look(look))

    def _stylize(self, drawn: Text, look: Look, start: int, end: int) -> None:
        if start < end:
            drawn.stylize(self.look(look), start, end)
            if look == "warning":
                drawn.stylize("underline", start, end)

    # -- finding -----------------------------------------------------------------------------------------------------

    def search(self, wanted: str) -> None:
        """Mark where a text occurs, and go to the first place at or below what is seen."""
        self.finding.wanted = wanted
        self._search()
        if self.finding.matches:
            self.go_to(self.finding.below(self._layout.rows[min(self.scroll_offset.y, len(self._layout.rows) - 1)]))

    def go_to(self, number: int) -> None:
        """Go to the match of that number, counted around."""
        finding = self.finding
        if finding.matches:
            finding.current = number % len(finding.matches)
            match = finding.matches[finding.current]
            self._go(match.line, match.start)
            self.refresh()

    def _search(self) -> None:
        self.finding.look(self._lines)
        self.refresh()

    def action_find(self) -> None:
        """Have it asked what to look for."""
        self.post_message(FindAsked())

    def action_match(self, by: int) -> None:
        """The next match, or the one before."""
        if not self.finding.wanted:
            self.post_message(Notice("nothing is looked for yet: / finds"))
        self.go_to(self.finding.current + by)
        self.post_message(MatchShown())

    def go_to_sign(self, sign: str) -> bool:
        """Go to the first line with that sign; whether there is one."""
        number = next((number for number, line in enumerate(self._lines) if line.sign == sign), None)
        if number is not None:
            self._go(number, 0)
        return number is not None

    def _go(self, line: int, column: int) -> None:
        self._fill_to(line, column)
        row, top = self._layout.row_at(line, column), self.scroll_offset.y
        height = self.scrollable_content_region.height
        if not top <= row < top + height:
            self._to(max(0, row - height // 3))

    # -- steps that are named ----------------------------------------------------------------------------------------

    def action_mark(self, by: int) -> None:
        """Mark the next line that leads to a step, or the one before, around the ends."""
        links = [number for number, line in enumerate(self._lines) if line.step is not None]
        if not links:
            return
        if self.marked in links:
            self.marked = links[(links.index(self.marked) + by) % len(links)]
        else:
            self.marked = links[0 if by > 0 else -1]
        self._go(self.marked, 0)
        self.refresh()

    def action_open(self) -> None:
        """Open the step that is marked; mark the first one while none is."""
        line = self._lines[self.marked] if self.marked is not None and self.marked < len(self._lines) else None
        if line is None or line.step is None:
            self.action_mark(1)
        else:
            self.post_message(StepOpened(line.step))

    def on_click(self, event: events.Click) -> None:
        """Open the step that is named where one clicks."""
        number = event.y + self.scroll_offset.y
        if 0 <= number < len(self._layout.rows):
            line = self._lines[self._layout.rows[number].line]
            if line.step is not None:
                self.post_message(StepOpened(line.step))

    def action_scroll_end(self) -> None:
        """Go to the end."""
        self.end()
