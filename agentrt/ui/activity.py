"""Work beside the run, such as starting an engine, as one line of the display."""

from __future__ import annotations

from collections.abc import Callable

from agentrt.engine.progress import describe_amount


class Activity:
    """Keeps what the work said last; an ``agentrt.engine.progress.Progress`` that draws nothing itself."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self.title = ""
        self.detail = ""

    @property
    def seconds(self) -> float:
        """How long the present step of the work has taken."""
        return self._clock() - self._began

    def step(self, title: str) -> None:
        """Something new begins."""
        self.title, self.detail, self._began = title, "", self._clock()

    def note(self, text: str) -> None:
        """A detail about it."""
        self.detail = text

    def amount(self, done: int, total: int, unit: str) -> None:
        """How much of it is there."""
        self.detail = describe_amount(done, total, unit)

    def tick(self) -> None:
        """Time passes; the display sees that itself."""

    def close(self, *, failed: bool = False) -> None:
        """The work ended; what failed is told by its error."""
        self.title = self.detail = ""
