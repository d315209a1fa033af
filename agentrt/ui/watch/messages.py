"""What panes and screens tell those above them."""

from __future__ import annotations

from typing import Literal

from textual.message import Message

from agentrt.types import RunId, StepId


class StepChosen(Message):
    """A step is looked at: all panes mark it."""

    def __init__(self, step: StepId | None) -> None:
        super().__init__()
        self.step = step

    def can_replace(self, message: Message) -> bool:
        """Only the last choice counts."""
        return isinstance(message, StepChosen)


class StepOpened(Message):
    """Everything about a step is wanted."""

    def __init__(self, step: StepId) -> None:
        super().__init__()
        self.step = step


class RunOpened(Message):
    """A run is wanted on the screens."""

    def __init__(self, run: RunId) -> None:
        super().__init__()
        self.run = run


class Notice(Message):
    """Something to tell the person, for some seconds."""

    def __init__(self, text: str, severity: Literal["information", "warning", "error"] = "information") -> None:
        super().__init__()
        self.text = text
        self.severity = severity
