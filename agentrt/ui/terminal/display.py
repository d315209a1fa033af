"""The one contract of everything that shows a run while it goes on."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from agentrt.engine.progress import Progress, Silent
from agentrt.events import Event
from agentrt.runtime import RunResult


class Display(Protocol):
    """Watches one run: an observer of its events, with a beginning and an end.

    What goes wrong inside stays inside: a display never breaks the run it shows.
    """

    @property
    def progress(self) -> Progress:
        """Where work outside the run, such as starting an engine, tells how far it is."""
        ...

    def open(self) -> None:
        """The run is about to start."""
        ...

    def __call__(self, event: Event) -> None:
        """One more thing has happened."""
        ...

    def aside(self) -> AbstractContextManager[None]:
        """Inside, the terminal is free for somebody else: a person is asked something there."""
        ...

    def close(self) -> None:
        """Nothing more will happen; give the terminal back. Closing twice is fine."""
        ...

    def summarize(self, result: RunResult[object]) -> None:
        """Show what the run took, after ``close``."""
        ...


class Quiet:
    """Shows nothing."""

    progress: Progress = Silent()

    def open(self) -> None:
        """Show nothing."""

    def __call__(self, event: Event) -> None:
        """Show nothing."""

    def aside(self) -> AbstractContextManager[None]:
        """Nothing is in the way."""
        return nullcontext()

    def close(self) -> None:
        """Show nothing."""

    def summarize(self, result: RunResult[object]) -> None:
        """Show nothing."""
