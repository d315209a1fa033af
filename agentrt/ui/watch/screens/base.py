"""What all screens share: a head that says which run and how it stands, the tabs, and the keys at the foot."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from agentrt.ui.drawing.glyphs import status_look, status_sign
from agentrt.ui.watch.panes.edges import Foot, Head
from agentrt.ui.watch.watched import Watched
from agentrt.ui.words import called, cut, duration, share

if TYPE_CHECKING:
    from agentrt.ui.watch.app import WatchApp


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
        yield Head()
        yield from self.body()
        yield Foot()

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
        self.refresh_all()

    def on_screen_resume(self) -> None:
        """It is shown again: much may have happened, if it was not painted just now."""
        self.watch_app.paint(soon=True)

    def refresh_all(self) -> None:
        """Show the head and the body as things stand now."""
        if not self.query(Head):
            return  # it is not made yet, or is being taken down
        app, watched = self.watch_app, self.watch_app.watched
        asking = 0 if watched is None else watched.view.asking
        badges = {"questions": f"({asking})"} if asking else {}
        self.query_one(Head).show(app.headline(self.size.width), self.mode, badges, app.mark)
        if watched is not None:
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
