"""The lines of a run's journal, read where they are looked at."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Hashable, Sequence
from typing import Any, ClassVar, Final

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from agentrt.ui.drawing.glyphs import STATUS_GLYPH, STATUS_LOOK, Look
from agentrt.ui.drawing.pieces import tail_cells
from agentrt.ui.watch.messages import StepChosen, StepOpened
from agentrt.ui.watch.pages import Pages, Reading
from agentrt.ui.watch.panes.base import Pane
from agentrt.ui.watch.sources.base import LogLine
from agentrt.ui.watch.watched import Watched
from agentrt.ui.words import one_line

_BEGIN: Final = 12
"""Columns before the step: time and sign."""

SIGNS: Final[dict[str, tuple[str, Look]]] = {
    "called": ("+", "quiet"),
    "begun": ("▶", "running"),
    "sent": ("→", "prefill"),
    "asked": ("?", "asking"),
    "answered": ("!", "asking"),
    "text": ("…", "decode"),
    "retried": ("↻", "warning"),
    "ended": ("■", "done"),
    "edited": ("±", "warning"),
    "resumed": ("»", "running"),
    "over": ("■", "strong"),
}
"""The sign of what a line tells; of an end, that of its status is shown instead."""


def sign_of(line: LogLine) -> tuple[str, Look]:
    """The sign of a line, and its look."""
    if line.kind in ("ended", "over"):
        words = [word.strip(":,.") for word in line.text[:80].split()[:4]]
        for word in words:
            if word in STATUS_GLYPH:
                return STATUS_GLYPH[word], STATUS_LOOK[word]
    return SIGNS.get(line.kind, ("·", "quiet"))


class LogPane(Pane):
    """Follows the end of a log until somebody moves up in it; ``end`` follows again.

    What is not loaded yet shows as ``…``; nothing waits for it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "next line", show=False),
        Binding("k,up", "move(-1)", "line before", show=False),
        Binding("pagedown,ctrl+f", "turn(1)", "page down", show=False),
        Binding("pageup,ctrl+b", "turn(-1)", "page up", show=False),
        Binding("home", "go(0)", "first line", show=False),
        Binding("end,G", "follow", "follow the end"),
        Binding("enter", "open", "open the step"),
    ]

    class Changed(Message):
        """There are other lines, another search, or another place in them."""

        def can_replace(self, message: Message) -> bool:
            """Only the newest counts."""
            return isinstance(message, LogPane.Changed)

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.reading = Reading(self._work, self._grown, self._came, clock)
        self.cursor = 0
        self.following = True
        self._chosen = ""
        self._version = -1
        self._widest = 0

    @property
    def pages(self) -> Pages:
        """The lines that are loaded."""
        return self.reading.pages

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        self.run_worker(work, group="log")

    # -- what is shown -----------------------------------------------------------------------------------------------

    def show(self, watched: Watched) -> None:
        """Look how long the log is by now."""
        if self.reading.of(watched.source):
            self._version = -1
            self._anew()
        if self._chosen != (watched.selected or ""):
            self._chosen = watched.selected or ""
            self.redraw()
        if watched.version != self._version:
            self._version = watched.version
            self.reading.count()

    def search(self, find: str) -> None:
        """Show the lines that hold this, in any letter case; all for nothing."""
        if self.reading.search(find):
            self._anew()
            self.reading.count()

    def _anew(self) -> None:
        self.cursor, self.following, self._widest = 0, True, 0
        self.resize_to(0, 0)
        self.post_message(self.Changed())

    def line(self, number: int) -> Text:
        """One line: when, what happened, of which step, in words."""
        found = self.pages.line(number)
        text = Text("…", self.look("quiet")) if found is None else self._told(found)
        if number == self.cursor and self.has_focus:
            text.pad_right(max(0, self.scroll_offset.x + self.room.width - text.cell_len))
            text.stylize(self.look("cursor"))
        return text

    def _told(self, line: LogLine) -> Text:
        sign, look = sign_of(line)
        wide = self._step_width
        step = tail_cells(one_line(line.step), wide)
        text = Text(no_wrap=True, end="")
        text.append(f"{line.at:9.2f} ", self.look("quiet"))
        text.append(f"{sign} ", self.look(look))
        mine = line.step == self._chosen
        text.append(f"{set_cell_size(step, wide)} ", self.look("accent") if mine else "")
        text.append(line.text, self.look(look) if look in ("failed", "warning") else "")
        return text

    @property
    def _step_width(self) -> int:
        return max(12, min(32, self.room.width // 4))

    def on_resize(self, event: events.Resize) -> None:
        """Other lines are visible now, and columns have other widths."""
        self._grown()

    def on_focus(self) -> None:
        """The line that keys work on is marked."""
        self.redraw()

    def on_blur(self) -> None:
        """It is no longer."""
        self.redraw()

    def _grown(self) -> None:
        """There are more lines, or none can be read. Who follows the end sees it when its lines are there."""
        height = max(1, self.room.height)
        end = self.following and self.virtual_size.height and not self.reading.problem
        if not end or self.reading.load(max(0, self.pages.count - height), height):
            self._settle()
            self._load()

    def _load(self) -> None:
        self.reading.load(self.scroll_offset.y, max(1, self.room.height))

    def _came(self, lines: Sequence[LogLine]) -> None:
        """Lines were loaded."""
        self._widest = max(self._widest, max((cell_len(line.text) for line in lines), default=0))
        self._settle()

    def _settle(self) -> None:
        """Make room for all lines, be where the person is, and draw that."""
        count = self.pages.count
        self.extend_to(_BEGIN + self._step_width + 1 + self._widest, count)
        last = max(0, count - 1)
        self.cursor = last if self.following else min(self.cursor, last)
        if self.following:
            self.scroll_to(y=count, animate=False, immediate=True, force=True)
        self.redraw()
        self.post_message(self.Changed())

    def key(self, number: int) -> Hashable:
        """See ``Pane``; the line of the cursor is drawn each time."""
        found = self.pages.line(number)
        marked = number == self.cursor and self.has_focus
        return None if found is None or marked else (found.seq, found.step == self._chosen)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Other lines are visible."""
        super().watch_scroll_y(old_value, new_value)
        self._load()

    # -- moving ------------------------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """To another line."""
        self._go(self.cursor + by)

    def action_turn(self, by: int) -> None:
        """A screen full further, or back."""
        self._go(self.cursor + by * max(1, self.room.height - 1))

    def action_go(self, number: int) -> None:
        """To the line of that number."""
        self._go(number)

    def action_follow(self) -> None:
        """To the end, and stay there while more comes."""
        self._go(self.pages.count - 1, follow=True)

    def action_open(self) -> None:
        """Everything about the step of the line."""
        line = self.pages.line(self.cursor)
        if line is not None and line.step:
            self.post_message(StepOpened(line.step))

    def on_click(self, event: events.Click) -> None:
        """A click chooses a line, two open its step."""
        self._go(event.y + self.scroll_offset.y)
        if event.chain > 1:
            self.action_open()

    def on_mouse_scroll_up(self) -> None:
        """Who looks back does not want to be carried away."""
        self._stay()

    def on_scroll_up(self) -> None:
        """The same by the scroll bar."""
        self._stay()

    def on_scroll_to(self) -> None:
        """The same by its handle."""
        self._stay()

    def _stay(self) -> None:
        self.following = False
        self.post_message(self.Changed())

    def _go(self, number: int, *, follow: bool = False) -> None:
        last = max(0, self.pages.count - 1)
        self.cursor = max(0, min(number, last))
        self.following = follow or (self.following and number >= last)
        top, height = self.scroll_offset.y, max(1, self.room.height)
        if not top <= self.cursor < top + height:
            y = self.cursor if self.cursor < top else self.cursor - height + 1
            self.scroll_to(y=y, animate=False, immediate=True, force=True)
        self._load()
        self.redraw()
        line = self.pages.line(self.cursor)
        if line is not None and line.step:
            self.post_message(StepChosen(line.step))
        self.post_message(self.Changed())
