"""The runs of a journal, the newest first."""

from __future__ import annotations

import asyncio
from typing import Final

from textual import events
from textual.app import ComposeResult
from textual.widgets import Static

from agentrt.errors import AgentrtError
from agentrt.ui.watch.panes.runs import RunsPane, heading
from agentrt.ui.watch.screens.filtering import FilterScreen
from agentrt.ui.watch.sources.journal import RunSummary
from agentrt.ui.watch.watched import Watched

MOST: Final = 500
"""Runs that are listed; `agentrt runs list` has them all."""

LOOK_S: Final = 1.0
"""Seconds between two looks at the list."""


class RunsScreen(FilterScreen):
    """All runs of the journal."""

    mode = "runs"
    CSS = """
    #runs-head { height: 1; color: $text-muted; background: $surface; }
    #empty { padding: 1 2; height: auto; }
    """
    hint = "program, id, state or error"

    def body(self) -> ComposeResult:
        """The heading, the list, the filter."""
        yield Static(id="runs-head", markup=False)
        yield self.field()
        yield Static("reading the journal ...", id="empty", markup=False)
        yield RunsPane(self.watch_app.wall)

    def on_mount(self) -> None:
        """Begin to look."""
        self.run_worker(self._follow(), name="runs")

    def on_resize(self, event: events.Resize) -> None:
        """Name the columns that have room."""
        self.query_one("#runs-head", Static).update(heading(event.size.width))

    async def _follow(self) -> None:
        runs = self.watch_app.runs
        assert runs is not None, "there is no list without a journal"
        while True:
            if self.watch_app.shown is self or not self.listed.all:
                try:
                    self._take(await runs.newest(MOST))
                except AgentrtError as error:
                    self._say(str(error))
            await asyncio.sleep(LOOK_S)

    def _take(self, found: list[RunSummary]) -> None:
        self.listed.take(found)
        self._say("" if found else "No run has been written down yet; `agentrt run PROGRAM.py` does it.")

    def _say(self, text: str) -> None:
        empty = self.query_one("#empty", Static)
        empty.display = bool(text)
        empty.update(text)

    def show(self, watched: Watched) -> None:
        """The list looks for itself."""

    @property
    def listed(self) -> RunsPane:
        """See ``FilterScreen``."""
        return self.query_one(RunsPane)

    def search(self, find: str) -> None:
        """See ``FilterScreen``."""
        self.listed.search(find)
