"""The log of a run: what its journal holds, line by line."""

from __future__ import annotations

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import Static

from agentrt.ui.watch.panes.log import LogPane
from agentrt.ui.watch.screens.filtering import FilterScreen
from agentrt.ui.watch.watched import Watched
from agentrt.ui.words import counted


class LogScreen(FilterScreen):
    """The lines, a filter, and where in them one is."""

    mode = "log"
    CSS = """
    LogScreen #log-place { height: 1; color: $text-muted; background: $surface; }
    LogScreen LogPane { height: 1fr; }
    """
    hint = "what a line tells"

    def body(self) -> ComposeResult:
        """Where one is, the filter, the lines."""
        yield Static(id="log-place", markup=False)
        yield self.field()
        yield LogPane(id="log")

    def show(self, watched: Watched) -> None:
        """See how long the log is by now."""
        self.listed.show(watched)

    @property
    def listed(self) -> LogPane:
        """See ``FilterScreen``."""
        return self.query_one(LogPane)

    def search(self, find: str) -> None:
        """See ``FilterScreen``."""
        self.listed.search(find)

    @on(LogPane.Changed)
    def _placed(self) -> None:
        self.query_one("#log-place", Static).update(self._place(), layout=False)

    def _place(self) -> Text:
        pane = self.listed
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
