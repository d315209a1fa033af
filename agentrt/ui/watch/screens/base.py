"""What all screens share: a head that says which run and how it stands, the tabs, and the keys at the foot."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, cast

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Footer, Static

from agentrt.ui.drawing.glyphs import status_look, status_sign
from agentrt.ui.watch.watched import Watched
from agentrt.ui.words import called, cut, duration, share

if TYPE_CHECKING:
    from agentrt.ui.watch.app import WatchApp

TABS: Final = (("runs", "Runs"), ("graph", "Graph"), ("kv", "KV"), ("log", "Log"), ("questions", "Questions"))
"""The modes of the app and their names, in the order of their keys."""


class Tab(Static):
    """One tab; a click goes there."""

    def __init__(self, number: int, mode: str, name: str) -> None:
        super().__init__(f"{number} {name}", markup=False, classes="tab")
        self.mode = mode
        self._label = f"{number} {name}"
        self._badge = ""

    def note(self, badge: str) -> None:
        """Have something stand behind the name."""
        if badge != self._badge:
            self._badge = badge
            self.update(Text(f"{self._label} {badge}".rstrip()))

    async def on_click(self, event: events.Click) -> None:
        """Go there."""
        event.stop()
        await cast("WatchApp", self.app).action_go(self.mode)


class Head(Vertical):
    """Two lines: the run and how it stands, and the tabs."""

    def compose(self) -> ComposeResult:
        """The run's line, and the tabs."""
        yield Static(id="run-line", markup=False)
        with Horizontal(id="tabs"):
            for number, (mode, name) in enumerate(TABS, start=1):
                yield Tab(number, mode, name)
            yield Static(id="mark", markup=False)

    def mark(self, mode: str) -> None:
        """That mode is shown."""
        for tab in self.query(Tab):
            tab.set_class(tab.mode == mode, "shown")


class WatchScreen(Screen[None]):
    """A screen over one run; ``mode`` is the tab it belongs to. A subclass has a ``body`` and draws in ``show``."""

    mode: ClassVar[str] = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back", show=False),
    ]

    @property
    def watch_app(self) -> WatchApp:
        """The app it belongs to."""
        return cast("WatchApp", self.app)

    def compose(self) -> ComposeResult:
        """The head, what the screen is about, and the keys."""
        yield Head(id="head")
        yield from self.body()
        yield Footer(compact=True, show_command_palette=False)

    def body(self) -> ComposeResult:
        """What the screen is about."""
        raise NotImplementedError

    def show(self, watched: Watched) -> None:
        """Take over what has changed."""

    async def action_back(self) -> None:
        """Leave this screen: for the one below, or the list of runs."""
        await self.watch_app.go_back()

    # -- for the app -------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Show what there is."""
        self.query_one(Head).mark(self.mode)
        self.refresh_all()

    def on_screen_resume(self) -> None:
        """It is shown again: much may have happened."""
        self.refresh_all()

    def refresh_all(self) -> None:
        """Show the head and the body as things stand now."""
        if not self.query("#run-line"):
            return  # it is not made yet, or is being taken down
        watched = self.watch_app.watched
        self.query_one("#run-line", Static).update(self.watch_app.headline(self.size.width), layout=False)
        self.query_one("#mark", Static).update(Text(self.watch_app.mark), layout=False)
        if watched is not None:
            asking = watched.view.asking
            for tab in self.query(Tab):
                if tab.mode == "questions":
                    tab.note(f"({asking})" if asking else "")
            self.show(watched)


def headline(app: WatchApp, watched: Watched, width: int) -> Text:
    """One line about a run: what it is, how it stands, how far it is, what it took."""
    view, state = watched.view, watched.state
    sign, look = status_sign(state.status), status_look(state.status)
    style = app.look(look)
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{sign} {state.status}", style)
    facts = [f"{view.finished:,}/{view.total:,} steps", duration(watched.now)]
    if failed := view.count("failed"):
        facts.insert(1, f"{failed:,} failed")
    if view.usage.prompt:
        facts.append(f"{view.usage.prompt + view.usage.completion:,} tokens")
        facts.append(f"{share(view.usage.cached, view.usage.prompt)} cached")
    if width >= 100 and view.id:
        facts.append(str(view.id))
    told = "  " + "  ".join(facts)
    room = max(8, width - len(told) - line.cell_len - 4)
    line.append(f"  {cut(called(view.program or state.program, view.inputs, 24), room, '…')}", "bold")
    line.append(told)
    return line
