"""Work beside the run, such as starting an engine, as one line of the display."""

from __future__ import annotations

from collections.abc import Callable

from agentrt.engine.progress import describe_amount


class Activity:
    """Keeps what the work said last; an ``agentrt.engine.progress.Progress`` that draws nothing itself.

    ``title`` is empty when no work goes on. ``total`` is how many seconds all work so far took.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = self._opened = 0.0
        self.title = ""
        self.detail = ""
        self.total = 0.0

    @property
    def seconds(self) -> float:
        """How long the present step of the work has taken."""
        return self._clock() - self._began

    def step(self, title: str) -> None:
        """Something new begins."""
        now = self._clock()
        if not self.title:
            self._opened = now
        self.title, self.detail, self._began = title, "", now

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
        if self.title:
            self.total += self._clock() - self._opened
        self.title = self.detail = ""
