"""How the looks look: a light and a dark theme whose states differ also for those who see few colours.

The hues are those of the Okabe-Ito palette, which stay apart with every kind of colour blindness; on light pages they
are darker.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Final

from rich.style import Style
from textual.app import App
from textual.theme import Theme

from agentrt.ui.drawing.glyphs import Look

LIGHT: Final = "agentrt-light"
DARK: Final = "agentrt-dark"

_COLORS: Final[dict[Look, tuple[str, str]]] = {  # on dark, on light
    "done": ("#2fc08f", "#00684c"),
    "running": ("#56b4e9", "#005f99"),
    "failed": ("#ff7a45", "#b03a00"),
    "waiting": ("#8a929c", "#6a737d"),
    "stopped": ("#b39ddb", "#6b4fa0"),
    "asking": ("#f0e442", "#7a6a00"),
    "queued": ("#e69f00", "#9a6700"),
    "prefill": ("#cc79a7", "#98457a"),
    "decode": ("#56b4e9", "#005f99"),
    "tool": ("#2fc08f", "#00684c"),
    "code": ("#b0b7c0", "#4d5661"),
    "critical": ("#ff7a45", "#b03a00"),
    "cached": ("#2fc08f", "#00684c"),
    "fresh": ("#e69f00", "#9a6700"),
    "held": ("#56b4e9", "#005f99"),
    "evictable": ("#8a929c", "#6a737d"),
    "gone": ("#6c747d", "#9aa2ab"),
    "quiet": ("#8a929c", "#5f6872"),
    "strong": ("#ffffff", "#000000"),
    "accent": ("#56b4e9", "#005f99"),
    "warning": ("#e69f00", "#9a6700"),
    "role": ("#cc79a7", "#98457a"),
}
BOLD: Final[frozenset[Look]] = frozenset({"failed", "strong", "critical", "asking", "role"})


@lru_cache
def style_of(name: Look, *, dark: bool) -> Style:
    """A look on a dark page, or on a light one; without a background of its own."""
    if name == "cursor":
        return Style(reverse=True)
    return Style(color=_COLORS[name][not dark], bold=name in BOLD or None)


THEMES: Final = (
    Theme(
        name=DARK,
        primary="#56b4e9",
        secondary="#cc79a7",
        accent="#e69f00",
        warning="#e69f00",
        error="#ff7a45",
        success="#2fc08f",
        foreground="#d8dee4",
        background="#10151a",
        surface="#161c22",
        panel="#1e262e",
        dark=True,
    ),
    Theme(
        name=LIGHT,
        primary="#005f99",
        secondary="#98457a",
        accent="#9a6700",
        warning="#9a6700",
        error="#b03a00",
        success="#00684c",
        foreground="#1f2328",
        background="#ffffff",
        surface="#f4f6f8",
        panel="#e6eaee",
        dark=False,
    ),
)


class ThemedApp(App[int]):
    """Gives looks in the present theme: the light one, the dark one, or one of Textual's own."""

    def __init__(self, theme: str) -> None:
        super().__init__()
        for known in THEMES:
            self.register_theme(known)
        self.theme = theme

    def look(self, name: Look) -> Style:
        """A look in the present theme."""
        return style_of(name, dark=self.current_theme.dark)


def theme_of(name: str | None) -> str:
    """The theme for ``light``, ``dark`` or nothing; then what the terminal says of its background."""
    if name is None:
        name = "light" if os.environ.get("COLORFGBG", "").endswith((";15", ";7")) else "dark"
    return LIGHT if name == "light" else DARK
