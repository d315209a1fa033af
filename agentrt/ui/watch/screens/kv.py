"""The KV cache: is it helping, how full is it, and which contexts does it hold?"""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from agentrt.ui.watch.panes.kv import KvSummary, KvTable
from agentrt.ui.watch.screens.base import WatchScreen
from agentrt.ui.watch.watched import Watched
from agentrt.ui.words import counted


class KvScreen(WatchScreen):
    """What the engines say above, the sessions and prompts of the run below."""

    mode = "kv"
    CSS = """
    KvScreen KvSummary { height: 6; overflow-x: hidden; scrollbar-size-vertical: 0; }
    KvScreen #kv-place { height: 1; color: $text-muted; background: $surface; }
    KvScreen #kv-head { height: 1; background: $surface; }
    KvScreen #find { display: none; height: 1; border: none; padding: 0 1; background: $surface; }
    KvScreen #find.open { display: block; }
    KvScreen KvTable { height: 1fr; overflow-x: hidden; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("slash", "find", "filter")]

    def body(self) -> ComposeResult:
        """The engines, the filter, the table."""
        yield KvSummary()
        yield Static(id="kv-place", markup=False)
        yield Input(id="find", placeholder="filter: any part of session, agent, model or tool", compact=True)
        yield Static(id="kv-head", markup=False)
        yield KvTable()

    def on_mount(self) -> None:
        """Keys are for the table."""
        self.query_one(KvTable).focus()

    def on_resize(self) -> None:
        """Everything has another width."""
        if self.is_mounted:
            self.refresh_all()

    def show(self, watched: Watched) -> None:
        """Hand it down."""
        self.query_one(KvSummary).show(watched)
        self.query_one(KvTable).show(watched)

    async def action_back(self) -> None:
        """Close the filter; without one, leave."""
        field = self.query_one("#find", Input)
        if field.has_class("open"):
            field.value = ""
            field.remove_class("open")
            self.query_one(KvTable).focus()
        else:
            await super().action_back()

    def action_find(self) -> None:
        """Open the filter."""
        field = self.query_one("#find", Input)
        field.add_class("open")
        field.focus()

    @on(Input.Changed, "#find")
    def _search(self, event: Input.Changed) -> None:
        self.query_one(KvTable).search(event.value)

    @on(Input.Submitted, "#find")
    def _found(self) -> None:
        self.query_one(KvTable).focus()

    @on(KvTable.Changed)
    def _placed(self) -> None:
        table = self.query_one(KvTable)
        told = [counted(len(table.shown), "context") + (f" with {table.find!r}" if table.find.strip() else "")]
        if table.shown:
            told.append(table.order)
        elif not table.find.strip():
            told.append("the run has opened no session")
        if (watched := self.watch_app.watched) is not None and watched.kv.sent:
            told.append(f"{counted(watched.kv.hints, 'hint')} sent" if watched.kv.hints else "no hint was sent")
        self.query_one("#kv-place", Static).update(Text(f" {' · '.join(told)}", no_wrap=True, overflow="ellipsis"))
        self.query_one("#kv-head", Static).update(table.head())
