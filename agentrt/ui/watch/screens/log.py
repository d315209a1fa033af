"""The log of a run: what its journal holds, line by line."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from agentrt.ui.watch.panes.log import LogPane
from agentrt.ui.watch.screens.base import WatchScreen
from agentrt.ui.watch.watched import Watched
from agentrt.ui.words import counted


class LogScreen(WatchScreen):
    """The lines, a filter, and where in them one is."""

    mode = "log"
    CSS = """
    LogScreen #log-place { height: 1; color: $text-muted; background: $surface; }
    LogScreen #find { display: none; height: 1; border: none; padding: 0 1; background: $surface; }
    LogScreen #find.open { display: block; }
    LogScreen LogPane { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("slash", "find", "filter")]

    def body(self) -> ComposeResult:
        """Where one is, the filter, the lines."""
        yield Static(id="log-place", markup=False)
        yield Input(id="find", placeholder="filter: any part of what a line tells", compact=True)
        yield LogPane(id="log")

    def on_mount(self) -> None:
        """Keys are for the lines."""
        self.query_one(LogPane).focus()

    def show(self, watched: Watched) -> None:
        """See how long the log is by now."""
        self.query_one(LogPane).show(watched)

    async def action_back(self) -> None:
        """Close the filter; without one, leave."""
        field = self.query_one("#find", Input)
        if field.has_class("open"):
            field.value = ""
            field.remove_class("open")
            self.query_one(LogPane).focus()
        else:
            await super().action_back()

    def action_find(self) -> None:
        """Open the filter."""
        field = self.query_one("#find", Input)
        field.add_class("open")
        field.focus()

    @on(Input.Changed, "#find")
    def _search(self, event: Input.Changed) -> None:
        self.query_one(LogPane).search(event.value.strip())

    @on(Input.Submitted, "#find")
    def _found(self) -> None:
        self.query_one(LogPane).focus()

    @on(LogPane.Changed)
    def _placed(self) -> None:
        self.query_one("#log-place", Static).update(self._place())

    def _place(self) -> Text:
        pane = self.query_one(LogPane)
        count, find = pane.pages.count, pane.pages.find
        if pane.reading.problem:
            return Text(f" ✗ {pane.reading.problem}")
        words = [f"line {pane.cursor + 1:,} of {count:,}" if count else "no line"]
        if find:
            words = [f"{counted(count, 'line')} with {find!r}", *words[: bool(count)], "esc shows all"]
        watched = self.watch_app.watched
        if watched is not None and watched.live:
            words.append("following the end" if pane.following else "end follows again")
        return Text(f" {' · '.join(words)}", no_wrap=True, overflow="ellipsis")
