"""The panes of the KV screen: how full the tiers are and what became of them, and the contexts of the run."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message

from agentrt.ui.drawing.kv_drawing import summary
from agentrt.ui.drawing.kv_table import ORDERS, Column, contexts, heading, layout, row
from agentrt.ui.drawing.pieces import Line
from agentrt.ui.folds.kv import ContextView, KvView
from agentrt.ui.watch.messages import Notice, StepChosen, StepOpened
from agentrt.ui.watch.panes.base import Pane
from agentrt.ui.watch.panes.listing import Listing
from agentrt.ui.watch.watched import Watched


def as_text(pane: Pane, line: Line) -> Text:
    """A line in the looks of the theme."""
    text = Text(no_wrap=True, end="")
    for piece, look in line:
        text.append(piece, pane.look(look) if look else "")
    return text


class KvSummary(Pane, can_focus=False):
    """The answer, what each engine says, and the curves; as high as that takes."""

    def __init__(self) -> None:
        super().__init__(id="kv-summary")
        self._lines: list[Line] = []

    def show(self, watched: Watched) -> None:
        """Draw anew."""
        room, width = self.screen.size.height, max(20, self.room.width or self.screen.size.width)
        self._lines = summary(watched.kv, watched.now, width, room)
        height = min(len(self._lines), max(4, room - 10))
        if self.styles.height is None or self.styles.height.value != height:
            self.styles.height = height
        self.resize_to(width, len(self._lines))

    def line(self, number: int) -> Text:
        """See ``Pane``."""
        return as_text(self, self._lines[number])


class KvTable(Listing):
    """The sessions and fixed prompts of the run; ``order`` and ``find`` say which and how."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort", "sort"),
        Binding("enter", "open", "latest step"),
    ]

    class Changed(Message):
        """Other rows are shown, or in another order."""

        def can_replace(self, message: Message) -> bool:
            """Only the newest counts."""
            return isinstance(message, KvTable.Changed)

    def __init__(self) -> None:
        super().__init__(id="kv-table")
        self.order = next(iter(ORDERS))
        self.find = ""
        self.shown: list[ContextView] = []
        self.columns: list[Column] = []
        self._kv = KvView()
        self._now = 0.0

    def show(self, watched: Watched) -> None:
        """Take over what there is; the cursor stays on its context."""
        self._kv, self._now = watched.kv, watched.now
        self._fill()

    def search(self, find: str) -> None:
        """Show the contexts that hold these words."""
        self.find = find
        self._fill()

    def action_sort(self) -> None:
        """The next order."""
        names = list(ORDERS)
        self.order = names[(names.index(self.order) + 1) % len(names)]
        self._fill()

    def head(self) -> Text:
        """The titles of the columns."""
        return as_text(self, heading(self.columns))

    def row(self, number: int) -> Text:
        """One context; under the cursor in one colour, which the cursor turns round."""
        text = as_text(self, row(self.shown[number], self._now, self.columns))
        return Text(text.plain, no_wrap=True, end="") if number == self.cursor and self.has_focus else text

    def moved(self) -> None:
        """Mark the latest step of the context everywhere."""
        self.post_message(StepChosen(self.shown[self.cursor].step))

    def opened(self) -> None:
        """Show the latest step of the context."""
        step = self.shown[self.cursor].step
        if step is None:
            self.post_message(Notice("No turn of it has been sent: a prompt has no step of its own."))
        else:
            self.post_message(StepOpened(step))

    def _fill(self) -> None:
        under = self.shown[self.cursor].name if self.cursor < len(self.shown) else None
        self.columns = layout(self._kv, max(20, self.room.width))
        self.shown = contexts(self._kv, self.order, self.find)
        if under is not None and self.cursor and not _at(self.shown, self.cursor, under):
            self.cursor = next((n for n, one in enumerate(self.shown) if one.name == under), self.cursor)
        self.fill(len(self.shown))
        self.post_message(self.Changed())


def _at(shown: list[ContextView], number: int, name: str) -> bool:
    return number < len(shown) and shown[number].name == name
