"""What all panes share: lines that are drawn when they are looked at, in the looks of the theme."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from agentrt.ui.watch.glyphs import LOOKS, Look
from agentrt.ui.watch.watched import Watched


class Pane(ScrollView, can_focus=True):
    """A part of a screen that scrolls. A subclass says in ``show`` how large it is, and draws a line in ``line``."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(LOOKS)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("h,left", "scroll_left", "left", show=False),
        Binding("j,down", "scroll_down", "down", show=False),
        Binding("k,up", "scroll_up", "up", show=False),
        Binding("l,right", "scroll_right", "right", show=False),
    ]

    def show(self, watched: Watched) -> None:
        """Something has changed: take over what is drawn, and draw anew what is visible."""
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
        return self.get_component_rich_style(f"look--{name}", partial=True)

    def resize_to(self, width: int, height: int) -> None:
        """What there is to draw takes so many columns and lines."""
        if self.virtual_size != Size(width, height):
            self.virtual_size = Size(width, height)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One visible line."""
        number = y + self.scroll_offset.y
        width = self.room.width
        base = self.rich_style
        if not 0 <= number < self.virtual_size.height:
            return Strip.blank(width, base)
        segments = Segment.apply_style(self.line(number).render(self.app.console), base)
        strip = Strip(list(segments))
        return strip.crop_extend(self.scroll_offset.x, self.scroll_offset.x + width, base)
