"""The KV cache: is it helping, how full is it, and which contexts does it hold?"""

from __future__ import annotations

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import Static

from agentrt.ui.watch.panes.kv import KvSummary, KvTable
from agentrt.ui.watch.screens.filtering import FilterScreen
from agentrt.ui.watch.watched import Watched
from agentrt.ui.words import counted


class KvScreen(FilterScreen):
    """What the engines say above, the sessions and prompts of the run below."""

    mode = "kv"
    CSS = """
    KvScreen KvSummary { height: 6; overflow-x: hidden; scrollbar-size-vertical: 0; }
    KvScreen #kv-place { height: 1; color: $text-muted; background: $surface; }
    KvScreen #kv-head { height: 1; background: $surface; }
    KvScreen KvTable { height: 1fr; overflow-x: hidden; }
    """
    hint = "session, agent, model or tool"

    def body(self) -> ComposeResult:
        """The engines, the filter, the table."""
        yield KvSummary()
        yield Static(id="kv-place", markup=False)
        yield self.field()
        yield Static(id="kv-head", markup=False)
        yield KvTable()

    def on_resize(self) -> None:
        """Everything has another width."""
        if self.is_mounted:
            self.refresh_all()

    def show(self, watched: Watched) -> None:
        """Hand it down."""
        self.query_one(KvSummary).show(watched)
        self.listed.show(watched)

    @property
    def listed(self) -> KvTable:
        """See ``FilterScreen``."""
        return self.query_one(KvTable)

    def search(self, find: str) -> None:
        """See ``FilterScreen``."""
        self.listed.search(find)

    @on(KvTable.Changed)
    def _placed(self) -> None:
        table = self.listed
        told = [counted(len(table.shown), "context") + (f" with {table.find!r}" if table.find else "")]
        if table.shown:
            told.append(table.order)
        elif not table.find:
            told.append("the run has opened no session")
        if (watched := self.watch_app.watched) is not None and watched.kv.sent:
            told.append(f"{counted(watched.kv.hints, 'hint')} sent" if watched.kv.hints else "no hint was sent")
        self.query_one("#kv-place", Static).update(
            Text(f" {' · '.join(told)}", no_wrap=True, overflow="ellipsis"), layout=False
        )
        self.query_one("#kv-head", Static).update(table.head(), layout=False)
