"""The keys, taken from where they are bound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from agentrt.ui.drawing.glyphs import KIND_GLYPH, STAGE_FILL, STATUS_GLYPH

_NAMES = {
    "question_mark": "?",
    "slash": "/",
    "greater_than_sign": ">",
    "less_than_sign": "<",
    "full_stop": ".",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "plus": "+",
    "minus": "-",
    "escape": "esc",
    "equals_sign": "=",
    "comma": ",",
}


class HelpScreen(ModalScreen[None]):
    """What can be done on ``about``, and what the signs mean."""

    CSS = """
    HelpScreen { align: center middle; }
    #help { width: 90%; max-width: 96; height: 90%; background: $surface; padding: 1 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,f1", "dismiss", "back")]

    def __init__(self, about: Screen[Any]) -> None:
        super().__init__()
        self._about = about

    def compose(self) -> ComposeResult:
        """The keys of the screen and its parts, and the signs."""
        with VerticalScroll(id="help"):
            yield Static(Text("Keys", "bold"))
            yield Static(self._keys())
            yield Static(Text("\nSigns", "bold"))
            yield Static(_signs())

    def _keys(self) -> Table:
        table = Table.grid(padding=(0, 2))
        seen: set[tuple[str, str]] = set()
        for node in (*_parts(self._about), self.app):
            for key, description in _bound(node):
                if (key, description) not in seen:
                    seen.add((key, description))
                    table.add_row(Text(key, "bold"), description)
        return table


def _parts(screen: Screen[Any]) -> Iterator[DOMNode]:
    yield from (one for one in screen.query("*") if one.can_focus and one.display)
    yield screen


def _bound(node: DOMNode) -> Iterator[tuple[str, str]]:
    """The keys of a part and what they do, as its own classes have them."""
    bound: set[str] = set()
    for cls in type(node).__mro__:
        if not cls.__module__.startswith("agentrt."):
            continue
        for binding in cls.__dict__.get("BINDINGS", ()):
            if not isinstance(binding, Binding):
                continue
            keys = [key for key in binding.key.split(",") if key not in bound]  # else a subclass has it otherwise
            bound.update(keys)
            if keys and binding.description:
                yield " ".join(_NAMES.get(key, key) for key in keys), binding.description


def _signs() -> Table:
    table = Table.grid(padding=(0, 3))
    states = "  ".join(f"{sign} {name}" for name, sign in STATUS_GLYPH.items())
    kinds = "  ".join(f"{sign} {name}" for name, sign in KIND_GLYPH.items())
    stages = "  ".join(f"{sign * 2} {name}" for name, sign in STAGE_FILL.items())
    for name, told in (("states", states), ("steps", kinds), ("time", stages)):
        table.add_row(Text(name, "bold"), told)
    return table
