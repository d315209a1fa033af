"""What a run asks people, to be answered here."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from agentrt.ui.watch.actions import Actions
from agentrt.ui.watch.panes.questions import QuestionsPane
from agentrt.ui.watch.screens.base import WatchScreen
from agentrt.ui.watch.watched import Watched


class QuestionsScreen(WatchScreen):
    """The questions that are open, and a form for the one that is chosen."""

    mode = "questions"
    CSS = """
    QuestionsScreen QuestionsPane { height: 1fr; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("i,a", "answer", "answer")]

    def body(self) -> ComposeResult:
        """Only that."""
        yield QuestionsPane(self._actions)

    def on_mount(self) -> None:
        """Keys are for the list."""
        self.query_one("#questions").focus()

    def show(self, watched: Watched) -> None:
        """See what is asked now."""
        self.query_one(QuestionsPane).show(watched)

    def action_answer(self) -> None:
        """Go to the form."""
        self.query_one(QuestionsPane).begin()

    def _actions(self) -> Actions | None:
        from agentrt.ui.watch.acting import ActingApp

        return self.app.actions if isinstance(self.app, ActingApp) else None
