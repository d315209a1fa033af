"""Nothing is done to a run before somebody has said yes to it in plain words."""

from __future__ import annotations

from typing import ClassVar, Final

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from agentrt.ui.watch.actions import Plan

NOTHING: Final = ""
"""What is chosen when nothing is to be done."""


class ConfirmScreen(ModalScreen[str]):
    """Asks whether to do one of a plan's choices; gives what it ``does``, ``NOTHING`` for none.

    The button that does nothing is the one that has the focus.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n,q", "nothing", "do nothing"),
        Binding("left,h", "app.focus_previous", "button before", show=False),
        Binding("right,l", "app.focus_next", "next button", show=False),
    ]
    DEFAULT_CSS = """
    ConfirmScreen { align: center middle; }
    ConfirmScreen > Vertical { width: 64; max-width: 95%; height: auto; max-height: 90%; padding: 1 2;
                               background: $surface; border: round $warning; }
    ConfirmScreen Static { height: auto; margin-bottom: 1; }
    ConfirmScreen .title { text-style: bold; }
    ConfirmScreen Horizontal { height: auto; align-horizontal: right; }
    ConfirmScreen Button { margin-left: 1; min-width: 8; }
    """

    def __init__(self, asked: Plan, nothing: str = "No (n)") -> None:
        super().__init__()
        self._plan = asked
        self._nothing = nothing

    def compose(self) -> ComposeResult:
        """The question, what will happen, and the buttons."""
        with Vertical():
            yield Static(self._plan.title, classes="title", markup=False)
            yield Static(self._plan.text, markup=False)
            with Horizontal():
                yield Button(self._nothing, id="nothing", compact=True)
                for number, choice in enumerate(self._plan.choices):
                    yield Button(f"{choice.says} ({choice.key})", id=f"choice-{number}", compact=True)

    def on_mount(self) -> None:
        """Whoever presses enter without reading does no harm."""
        self.query_one("#nothing").focus()

    def on_key(self, event: events.Key) -> None:
        """Each choice has its key."""
        for choice in self._plan.choices:
            if event.key == choice.key:
                event.stop()
                self.dismiss(choice.does)
                return

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The same with enter, or the mouse."""
        event.stop()
        name = str(event.button.id)
        self.dismiss(NOTHING if name == "nothing" else self._plan.choices[int(name.removeprefix("choice-"))].does)

    def action_nothing(self) -> None:
        """Leave everything as it is."""
        self.dismiss(NOTHING)
