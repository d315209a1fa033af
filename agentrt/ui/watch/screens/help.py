"""The signs, and the keys, taken from where they are bound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen

from agentrt.ui.drawing.glyphs import KIND_GLYPH, STAGE_FILL, STATUS_GLYPH
from agentrt.ui.watch.panes.base import Pane
from agentrt.ui.watch.watched import Watched

_SIGNS: Final[dict[str, Mapping[Any, str]]] = {
    "states": STATUS_GLYPH,
    "steps": KIND_GLYPH,
    "time": {stage: fill * 2 for stage, fill in STAGE_FILL.items()},
}
_INDENT: Final = 8

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


class HelpPane(Pane):
    """What the signs mean, and the keys of ``about``."""

    def __init__(self, about: Screen[Any]) -> None:
        super().__init__(id="help")
        self._about = about
        self._lines: list[Text] = []

    def show(self, watched: Watched) -> None:
        """It is about the screen, whatever is watched."""

    def on_mount(self) -> None:
        """Keys scroll it."""
        self.focus()

    def on_resize(self) -> None:
        """Write it anew for this width."""
        width = max(20, self.room.width)
        self._lines = [Text("Signs", "bold"), *self._signs(width), Text(), Text("Keys", "bold"), *self._keys()]
        self.resize_to(max(line.cell_len for line in self._lines), len(self._lines))

    def line(self, number: int) -> Text:
        """See ``Pane``."""
        return self._lines[number]

    def _signs(self, width: int) -> Iterator[Text]:
        for name, signs in _SIGNS.items():
            row = Text(name.ljust(_INDENT), "bold")
            for of, sign in signs.items():
                told = f"{sign} {of}  "
                if row.cell_len + cell_len(told.rstrip()) > width:
                    yield row
                    row = Text(" " * _INDENT)
                row.append(told, "not bold")
            yield row

    def _keys(self) -> Iterator[Text]:
        told = {(key, does): None for node in (*_parts(self._about), self.app) for key, does in _bound(node)}
        wide = max(cell_len(key) for key, _ in told)
        for key, does in told:
            yield Text(set_cell_size(key, wide + 2), "bold").append(does, "not bold")


class HelpScreen(ModalScreen[None]):
    """What the signs mean, and what can be done on ``about``."""

    CSS = """
    HelpScreen { background: $background; }  /* what is behind would have to be drawn, too, to shine through */
    #help { background: $surface; padding: 1 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,f1", "dismiss", "back")]

    def __init__(self, about: Screen[Any]) -> None:
        super().__init__()
        self._about = about

    def compose(self) -> ComposeResult:
        """Everything is in one pane."""
        yield HelpPane(self._about)


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
