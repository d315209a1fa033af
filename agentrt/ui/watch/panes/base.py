"""What all panes share: lines that are drawn when they are looked at, in the looks of the theme."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar, Final

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.geometry import Offset, Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from agentrt.ui.drawing.glyphs import Look
from agentrt.ui.watch.themes import style_of
from agentrt.ui.watch.watched import Watched

_KNOWN: Final = 500
"""Lines that are remembered as they were drawn: some screens full."""


def strip_of(line: Text, console: Console, base: Style) -> Strip:
    """A line on these colours; Rich leaves a text's own style out where it has no spans."""
    return Strip(Segment.apply_style(line.render(console), base + console.get_style(line.style)))


class Pane(ScrollView, can_focus=True):
    """A part of a screen that scrolls. A subclass says in ``show`` how large it is, and draws a line in ``line``."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("h,left", "scroll_left", "left", show=False),
        Binding("j,down", "scroll_down", "down", show=False),
        Binding("k,up", "scroll_up", "up", show=False),
        Binding("l,right", "scroll_right", "right", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._on_screen: dict[int, Strip] = {}  # what the screen has
        self._coming: dict[int, Strip] = {}  # what it is about to get
        self._coming_at = Offset()
        self._known: dict[Hashable, Strip] = {}  # lines that were drawn before, by what they were drawn from

    def show(self, watched: Watched) -> None:
        """Something has changed: take over what is drawn, and draw anew what looks different."""
        raise NotImplementedError

    def line(self, number: int) -> Text:
        """The line of that number, 0 at the top of everything, as wide as it is."""
        raise NotImplementedError

    @property
    def room(self) -> Size:
        """The columns and lines that can be drawn on: what the scroll bars leave."""
        return self.scrollable_content_region.size

    def look(self, name: Look) -> Style:
        """A look in the present theme, without a background of its own."""
        return style_of(name, dark=self.app.current_theme.dark)

    def resize_to(self, width: int, height: int) -> None:
        """What there is to draw takes so many columns and lines."""
        self.extend_to(width, height)
        self.redraw()

    def extend_to(self, width: int, height: int) -> None:
        """The same, without drawing."""
        size = Size(width, height)
        if size == self.virtual_size:
            return
        if self.styles.auto_dimensions:
            self.virtual_size = size  # its own size depends on it
        else:
            self.set_reactive(Pane.virtual_size, size)  # only the scroll bars do: no need to lay the screen out
            self._scroll_update(size)

    def redraw(self) -> None:
        """Draw those lines anew that look different from what the screen has: in most pictures, few of them."""
        base = self.rich_style
        self._coming = {y: self.strip(y, base) for y in range(self.room.height)}
        self._coming_at = self.scroll_offset
        changed = [y for y, strip in self._coming.items() if strip != self._on_screen.get(y)]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def notify_style_update(self) -> None:
        """The theme is another, or the focus: what is on the screen counts for nothing."""
        super().notify_style_update()
        self._on_screen.clear()
        self._coming.clear()
        self._known.clear()

    def key(self, number: int) -> Hashable:
        """What the line of that number is drawn from: it is drawn once for equal keys; ``None`` draws it each time."""
        return None

    def strip(self, y: int, base: Style) -> Strip:
        """The visible line ``y`` on the pane's own colours."""
        number = y + self.scroll_offset.y
        if not 0 <= number < self.virtual_size.height:
            return Strip.blank(self.room.width, base)
        key = self.key(number)
        if key is None:
            return self._drawn(number, base)
        whole = (key, self.scroll_offset.x, self.room.width, base)
        if whole not in self._known:
            if len(self._known) > _KNOWN:
                self._known.clear()
            self._known[whole] = self._drawn(number, base)
        return self._known[whole]

    def _drawn(self, number: int, base: Style) -> Strip:
        left, width = self.scroll_offset.x, self.room.width
        return strip_of(self.line(number), self.app.console, base).crop_extend(left, left + width, base)

    def render_line(self, y: int) -> Strip:
        """One visible line, for Textual."""
        strip = self._coming.pop(y, None) if self._coming_at == self.scroll_offset else None
        if strip is None:
            strip = self.strip(y, self.rich_style)
        self._on_screen[y] = strip
        return strip
