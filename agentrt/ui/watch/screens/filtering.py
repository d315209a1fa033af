"""What screens share that show a list of which a part can be looked for."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input

from agentrt.ui.watch.screens.base import WatchScreen


class FilterScreen(WatchScreen):
    """``/`` opens a field, what is typed there filters the list at once, ``esc`` closes it and shows all again.

    A subclass puts ``field`` into its body, and says what is ``listed`` and how to ``search`` that. ``hint`` stands in
    the empty field.
    """

    hint: ClassVar[str] = ""
    DEFAULT_CSS = """
    FilterScreen #find { display: none; height: 1; border: none; padding: 0 1; background: $surface; }
    FilterScreen #find.open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("slash", "find", "filter")]

    @property
    def listed(self) -> Widget:
        """The list: keys are for it."""
        raise NotImplementedError

    def search(self, find: str) -> None:
        """Show what holds this; everything for nothing."""
        raise NotImplementedError

    def field(self) -> Input:
        """Where one types what to look for."""
        return Input(id="find", placeholder=f"filter: any part of {self.hint}", compact=True)

    def on_mount(self) -> None:
        """Keys are for the list."""
        self.listed.focus()

    async def action_back(self) -> None:
        """Close the filter; without one, leave."""
        field = self.query_one("#find", Input)
        if field.has_class("open"):
            field.value = ""
            field.remove_class("open")
            self.listed.focus()
        else:
            await super().action_back()

    def action_find(self) -> None:
        """Open the filter."""
        self.query_one("#find").add_class("open").focus()

    @on(Input.Changed, "#find")
    def _typed(self, event: Input.Changed) -> None:
        self.search(event.value.strip())

    @on(Input.Submitted, "#find")
    def _entered(self) -> None:
        self.listed.focus()
