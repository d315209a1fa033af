"""A run as it goes on, redrawn in place on a terminal."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from agentrt.engine.progress import Progress
from agentrt.events import Event, RunStarted, StepText
from agentrt.runtime import RunResult
from agentrt.ui.model import RunView
from agentrt.ui.terminal.activity import Activity
from agentrt.ui.terminal.frame import Frame
from agentrt.ui.terminal.summary import summary_lines

REFRESH: Final = 10
"""Pictures a second: events in between change the state, not the screen."""

_log = logging.getLogger("agentrt")


class LiveDisplay:
    """Draws the growing step graph on a terminal; what the program prints scrolls by above it.

    Events come from the event loop, pictures are drawn by a thread of rich's, a lock between them.
    """

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.activity = Activity(clock)
        self.progress: Progress = self.activity
        self._console = console
        self._clock = clock
        self._zero = clock()
        self._view = RunView()
        self._lock = threading.Lock()
        self._broken = False
        self._live = self._picture()

    def open(self) -> None:
        """Take the lower end of the terminal."""
        self._quietly(self._live.start)

    def __call__(self, event: Event) -> None:
        """Take in what happened; it is drawn with the next picture."""
        with self._lock:
            if isinstance(event, RunStarted):
                self._zero = self._clock()
            self._view.apply(event)
            if isinstance(event, StepText) and not self._is_question(event):
                self.activity.close()  # a model speaks: what was being started is there

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the picture away, and draw it again afterwards."""
        self._live.transient = True
        self._quietly(self._live.stop)
        try:
            yield
        finally:
            self._live = self._picture()  # the old one would begin where it ended, and wipe out what was asked
            self._quietly(self._live.start)

    def close(self) -> None:
        """Draw the last picture and give the terminal back."""
        self.activity.close()
        self._quietly(self._live.stop)

    def summarize(self, result: RunResult[object]) -> None:
        """Write the summary under the last picture."""

        def write() -> None:
            for line in summary_lines(result, waited=self.activity.total):
                self._console.print(Text(f" {line}", style="bold" if line.startswith(result.status) else ""))
            self._console.print()

        self._quietly(write)

    def _picture(self) -> Live:
        return Live(
            console=self._console,
            get_renderable=self._draw,
            refresh_per_second=REFRESH,
            redirect_stdout=True,
            redirect_stderr=True,
        )

    def _is_question(self, event: StepText) -> bool:
        step = self._view.steps.get(event.step)
        return step is not None and step.kind == "question"

    def _draw(self) -> Text:
        """The picture of this moment."""
        if self._broken:
            return Text()
        try:
            now = self._clock() - self._zero
            with self._lock:
                return Frame(self._console, now).draw(self._view, self.activity)
        except Exception:  # noqa: BLE001 - whatever it is, the run goes on
            self._broken = True
            _log.exception("the live display failed; the run goes on without it")
            return Text()

    def _quietly(self, act: Callable[[], None]) -> None:
        """A terminal that is gone is no reason to fail."""
        try:
            act()
        except Exception:  # noqa: BLE001 - whatever it is, the run goes on
            self._broken = True
            _log.debug("the terminal cannot be written to", exc_info=True)
