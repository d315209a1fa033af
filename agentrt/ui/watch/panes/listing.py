"""A list with a cursor: rows that are drawn when they are looked at."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType

from agentrt.ui.watch.panes.base import Pane


class Listing(Pane):
    """A subclass says how many rows there are, and draws one.

    ``moved`` is called when the cursor stands on another row, ``opened`` when that row is wanted.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "down", show=False),
        Binding("k,up", "move(-1)", "up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("home", "move(-1000000000)", "top", show=False),
        Binding("end,G", "move(1000000000)", "bottom", show=False),
        Binding("enter", "open", "open"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.rows = 0
        self.cursor = 0

    def row(self, number: int) -> Text:
        """The row of that number, without the cursor."""
        raise NotImplementedError

    def moved(self) -> None:
        """The cursor stands on another row."""

    def opened(self) -> None:
        """The row under the cursor is wanted."""

    def line(self, number: int) -> Text:
        """See ``Pane``."""
        row = self.row(number)
        if number == self.cursor and self.has_focus:
            row = Text(row.plain, self.look("cursor"), no_wrap=True)  # in one colour: the rest would be a patchwork
            row.pad_right(max(0, self.room.width - row.cell_len))
        return row

    def fill(self, rows: int) -> None:
        """There are so many rows now, as wide as the pane."""
        self.rows = rows
        self.cursor = max(0, min(self.cursor, rows - 1))
        self.resize_to(self.room.width, rows)

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self._to(self.cursor + by)

    def action_page(self, by: int) -> None:
        """Move the cursor by what is visible."""
        self._to(self.cursor + by * max(1, self.room.height - 1))

    def action_open(self) -> None:
        """Open the row under the cursor."""
        if self.rows:
            self.opened()

    def on_click(self, event: events.Click) -> None:
        """Choose a row; a second click opens it."""
        number = event.y + self.scroll_offset.y
        if number < self.rows:
            self._to(number)
            if event.chain == 2:
                self.opened()

    def on_focus(self) -> None:
        """Show the cursor."""
        self.redraw()

    def on_blur(self) -> None:
        """Hide the cursor."""
        self.redraw()

    def _to(self, row: int) -> None:
        row = max(0, min(row, self.rows - 1))
        if row == self.cursor:
            return
        self.cursor = row
        top, height = self.scroll_offset.y, max(1, self.room.height)
        if row < top:
            self.scroll_to(y=row, animate=False)
        elif row >= top + height:
            self.scroll_to(y=row - height + 1, animate=False)
        self.redraw()
        self.moved()
