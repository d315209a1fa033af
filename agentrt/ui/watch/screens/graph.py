"""The step graph, and beside it the same steps on one time axis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Static

from agentrt.ui.folds.critical import critical_path
from agentrt.ui.folds.glance import Answer, cache, now_running, what_failed
from agentrt.ui.folds.timeline import summary
from agentrt.ui.watch.panes.gantt import GanttPane
from agentrt.ui.watch.panes.graph import GraphPane
from agentrt.ui.watch.screens.base import WatchScreen
from agentrt.ui.watch.watched import Watched

WIDE: Final = 120
"""Columns from which on both stand side by side."""


SHORT: Final = 26
"""Lines up to which what the KV screen says first is left to it."""


class GraphScreen(WatchScreen):
    """The graph and the Gantt; ``g`` shows both, one, or the other."""

    mode = "graph"
    CSS = """
    #glance { height: auto; max-height: 4; padding: 0 1; background: $surface; text-wrap: nowrap;
              text-overflow: ellipsis; }
    #both { layout: vertical; }
    #both.wide { layout: horizontal; }
    #both GraphPane, #both GanttPane { width: 1fr; height: 1fr; }
    #both.wide GanttPane { border-left: solid $panel; }
    #both.graph GanttPane, #both.gantt GraphPane { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("g", "parts", "graph/gantt"),
        Binding("tab", "app.focus_next", "next pane", show=False),
    ]

    _shown: tuple[object, ...] = ()
    """What the first answers were made of."""

    def body(self) -> ComposeResult:
        """First answers, the graph, the Gantt."""
        yield Static(id="glance", markup=False)
        with Container(id="both"):
            yield GraphPane(id="graph")
            yield GanttPane(id="gantt")

    def on_mount(self) -> None:
        """The keys go to the graph."""
        self.query_one(GraphPane).focus()

    def on_resize(self, event: events.Resize) -> None:
        """Side by side, where there is room."""
        self.query_one("#both").set_class(event.size.width >= WIDE, "wide")

    def show(self, watched: Watched) -> None:
        """Hand it down to what is visible."""
        gantt = self.query_one(GanttPane)
        for pane in (self.query_one(GraphPane), gantt):
            if pane.display:
                pane.show(watched)
        shown = (watched.view, watched.version, watched.now, gantt.timeline, self.app.theme, self.size.height > SHORT)
        if shown == self._shown:
            return  # of a long run they are not had for nothing
        self._shown = shown
        lines = [self._told(answer) for answer in self._answers(watched)]
        glance = self.query_one("#glance", Static)
        glance.update(Text("\n").join(lines), layout=glance.size.height != len(lines))

    def _told(self, answer: Answer) -> Text:
        app = self.watch_app
        line = Text(f"{answer.question:>6}  ", app.look("failed" if answer.bad else "quiet"))
        return line.append(answer.text, app.look("failed") if answer.bad else "")

    def _answers(self, watched: Watched) -> Iterator[Answer]:
        view, now = watched.view, watched.now
        failed, cached = what_failed(view), cache(view)
        yield failed if failed is not None and view.ended else now_running(view, now, watched.state.status)
        line = self.query_one(GanttPane).timeline
        if line is not None:
            yield Answer("time", summary(line, critical_path(view), now))
        if cached is not None and self.size.height > SHORT:
            yield cached
        if failed is not None and not view.ended:
            yield failed

    def action_parts(self) -> None:
        """Both, the graph alone, the Gantt alone."""
        both = self.query_one("#both")
        states = ("", "graph", "gantt")
        now = next((state for state in states[1:] if both.has_class(state)), "")
        after = states[(states.index(now) + 1) % len(states)]
        both.set_classes([one for one in (after, "wide" if both.has_class("wide") else "") if one])
        pane = self.query_one(GanttPane) if after == "gantt" else self.query_one(GraphPane)
        pane.focus()
        self.refresh_all()
