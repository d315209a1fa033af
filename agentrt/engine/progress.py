"""How long work tells what it is doing: one contract, and the ways to show it.

Work calls ``Progress.step`` when something new begins, ``note`` and ``amount`` as it goes on, and ``tick``
several times a second while it waits. ``tick`` is also the way in for a cancel: it may raise ``Abandoned``.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


class Abandoned(Exception):
    """Raised out of ``tick`` when nobody wants the work any more."""


class Progress(Protocol):
    """Somebody who is told how long work goes on."""

    def step(self, title: str) -> None:
        """A new step begins; the one before it is done."""

    def note(self, text: str) -> None:
        """A detail about the step under way, replacing the last one."""

    def amount(self, done: int, total: int, unit: str) -> None:
        """``done`` of ``total`` of the step is there; ``unit`` is ``"bytes"`` or a word for what is counted."""

    def tick(self) -> None:
        """Time passes and nothing is new."""

    def close(self, *, failed: bool = False) -> None:
        """The work ended; the last step is done unless ``failed``."""


class Silent:
    """Shows nothing: for ``--json`` and for callers who do not care."""

    def step(self, title: str) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""

    def amount(self, done: int, total: int, unit: str) -> None:
        """Ignore it."""

    def tick(self) -> None:
        """Ignore it."""

    def close(self, *, failed: bool = False) -> None:
        """Ignore it."""


class Lines:
    """One line per step, and a sign of life now and then: for logs and pipes."""

    def __init__(
        self, stream: TextIO | None = None, *, clock: Callable[[], float] = time.monotonic, every_s: float = 15.0
    ) -> None:
        self._stream = stream or sys.stderr
        self._clock = clock
        self._every_s = every_s
        self._title: str | None = None
        self._began = self._spoke = clock()
        self._detail = ""

    def step(self, title: str) -> None:
        """Write the title; the time of the former step goes with its end."""
        self._finish()
        self._title, self._detail = title, ""
        self._began = self._spoke = self._clock()
        self._say(f"{title} ...")

    def note(self, text: str) -> None:
        """Keep it for the next sign of life."""
        self._detail = text
        self.tick()

    def amount(self, done: int, total: int, unit: str) -> None:
        """Keep it for the next sign of life."""
        self.note(describe_amount(done, total, unit))

    def tick(self) -> None:
        """Write one line if nothing was written for a while."""
        now = self._clock()
        if self._title is not None and now - self._spoke >= self._every_s:
            self._spoke = now
            self._say(f"  {now - self._began:.0f} s {self._detail}".rstrip())

    def close(self, *, failed: bool = False) -> None:
        """Write the end of the last step."""
        if not failed:
            self._finish()
        self._title = None

    def _finish(self) -> None:
        seconds = self._clock() - self._began
        if self._title is not None and seconds >= 1:
            self._say(f"  done in {seconds:.0f} s")

    def _say(self, line: str) -> None:
        with suppress(OSError):  # whoever read it has left: no reason to fail the work
            print(line, file=self._stream, flush=True)


class Live:
    """A spinner, a bar where amounts are known, and the time so far: for terminals. Needs ``rich``."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        self._rich: RichProgress = RichProgress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("[dim]{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._task: TaskID | None = None

    def step(self, title: str) -> None:
        """Tick the former step off and start a new row."""
        self._finish()
        self._rich.start()
        self._task = self._rich.add_task(title, total=None, detail="")

    def note(self, text: str) -> None:
        """Show it at the end of the row."""
        if self._task is not None:
            self._rich.update(self._task, detail=text[:60].replace("[", r"\["))

    def amount(self, done: int, total: int, unit: str) -> None:
        """Fill the bar."""
        if self._task is not None:
            self._rich.update(self._task, completed=done, total=total, detail=describe_amount(done, total, unit))

    def tick(self) -> None:
        """Do nothing: rich moves the spinner by itself."""

    def close(self, *, failed: bool = False) -> None:
        """Tick the last step off, or leave it as it is, and give the terminal back."""
        if not failed:
            self._finish()
        self._task = None
        self._rich.stop()

    def _finish(self) -> None:
        if self._task is not None:
            self._rich.update(self._task, completed=1, total=1, detail="")


class Cancellable:
    """Passes everything on, and raises ``Abandoned`` once ``abandoned`` is set."""

    def __init__(self, inner: Progress, abandoned: threading.Event) -> None:
        self._inner = inner
        self._abandoned = abandoned

    def step(self, title: str) -> None:
        """Pass it on."""
        self.tick()
        self._inner.step(title)

    def note(self, text: str) -> None:
        """Pass it on."""
        self._inner.note(text)

    def amount(self, done: int, total: int, unit: str) -> None:
        """Pass it on."""
        self._inner.amount(done, total, unit)

    def tick(self) -> None:
        """Raise if nobody wants the work any more."""
        if self._abandoned.is_set():
            raise Abandoned
        self._inner.tick()

    def close(self, *, failed: bool = False) -> None:
        """Pass it on."""
        self._inner.close(failed=failed)


def progress_for(stream: TextIO | None = None, *, silent: bool = False) -> Progress:
    """What suits ``stream`` (standard error): a live display on a terminal, plain lines elsewhere."""
    if silent:
        return Silent()
    stream = stream or sys.stderr
    return Live() if stream is sys.stderr and stream.isatty() else Lines(stream)


def describe_amount(done: int, total: int, unit: str) -> str:
    """Say an amount in words: ``12 of 98 MB``, ``3 of 7 files``."""
    if unit == "bytes":
        return f"{done / 1e6:.0f} of {total / 1e6:.0f} MB"
    return f"{done} of {total} {unit}"
