"""The head of a screen and the keys at its foot: lines of text, not a widget for every word.

Going to another tab lays out and styles every widget of it, and Textual's own footer makes its widgets anew whenever
the focus moves; a line of text costs what drawing it costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich.style import Style
from rich.text import Text
from textual.binding import Binding
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from agentrt.ui.drawing.glyphs import Look
from agentrt.ui.watch.panes.base import strip_of
from agentrt.ui.watch.themes import style_of

TABS: Final = (("runs", "Runs"), ("graph", "Graph"), ("kv", "KV"), ("log", "Log"), ("questions", "Questions"))
"""The modes of the app and their names, in the order of their keys."""


class Edge(Widget, can_focus=False):
    """Lines of text as they are ``put``; a click on a span with ``clicks`` does what that says."""

    DEFAULT_CSS = "Edge { height: 1; background: $panel; }"
    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.lines: Sequence[Text] = ()

    def look(self, name: Look) -> Style:
        """A look in the present theme, without a background of its own."""
        return style_of(name, dark=self.app.current_theme.dark)

    def put(self, lines: Sequence[Text]) -> None:
        """Show these, and draw anew those that are others than before."""
        before, self.lines = self.lines, lines
        if len(before) != len(lines):
            self.refresh()
        elif changed := [y for y, line in enumerate(lines) if _told(line) != _told(before[y])]:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def render_line(self, y: int) -> Strip:
        """One line, for Textual."""
        base = self.rich_style
        line = self.lines[y] if y < len(self.lines) else Text()
        return strip_of(line, self.app.console, base).crop_extend(0, self.size.width, base)


def _told(line: Text) -> tuple[object, ...]:
    return line.plain, line.style, line.spans


def clicks(action: str) -> Style:
    """The meta of a span that does this when it is clicked, as ``app.go('log')``."""
    return Style.from_meta({"@click": action})


class Head(Edge):
    """Two lines: the run and how it stands, and the tabs with what has to be said beside them."""

    DEFAULT_CSS = "Head { height: 2; }"

    def show(self, headline: Text, shown: str, badges: dict[str, str], mark: str) -> None:
        """``shown`` is the mode whose tab is marked, ``badges`` stand behind the names of tabs, by mode."""
        width = self.screen.size.width
        tabs = Text(no_wrap=True)
        for number, (mode, name) in enumerate(TABS, start=1):
            badge = badges.get(mode)
            label = f" {number} {name} {badge} " if badge else f" {number} {name} "
            tabs.append(label, (self._marked if mode == shown else self.look("quiet")) + clicks(f"app.go('{mode}')"))
        said = Text(f" {mark} " if mark else "", self.look("warning"))
        said.truncate(max(0, width - tabs.cell_len))
        tabs.pad_right(max(0, width - tabs.cell_len - said.cell_len))
        first = Text(" ", no_wrap=True).append_text(headline)
        first.truncate(width - 1, overflow="ellipsis")
        self.put([first, tabs.append_text(said)])

    @property
    def _marked(self) -> Style:
        colors = self.app.theme_variables
        return Style(color=colors["foreground"], bgcolor=colors["background"], bold=True)


class Foot(Edge):
    """The keys of what has the focus, as far as there is room, and at the right those that are the app's own."""

    DEFAULT_CSS = "Foot { dock: bottom; }"

    def on_mount(self) -> None:
        """Other keys, when the focus is elsewhere."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, _: Screen[object]) -> None:
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """See ``Edge``; the keys are asked for when they are drawn, and not for every change."""
        self.lines = [self._line(self.size.width)]
        return super().render_line(y)

    def _line(self, width: int) -> Text:
        bound = {one.binding.action: one for one in reversed(self.screen.active_bindings.values()) if one.binding.show}
        shown = list(reversed(bound.values()))
        right = Text(" ").join(self._words(one.binding for one in shown if one.node is self.app))
        line = Text(no_wrap=True, end="")
        for word in self._words(one.binding for one in shown if one.node is not self.app):
            if line.cell_len + word.cell_len + 1 + right.cell_len <= width:
                line.append_text(word).append(" ")
        line.pad_right(max(0, width - line.cell_len - right.cell_len))
        return line.append_text(right)

    def _words(self, bindings: Iterable[Binding]) -> list[Text]:
        key = self.look("warning") + Style(bold=True)
        return [
            Text(no_wrap=True, end="")
            .append(self.app.get_key_display(binding), key + clicks(f"app.simulate_key('{binding.key}')"))
            .append(f" {binding.description}", clicks(f"app.simulate_key('{binding.key}')"))
            for binding in bindings
        ]
