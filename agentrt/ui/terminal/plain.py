"""A run as plain lines, one for each step that starts or ends: for logs, pipes and screen readers."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TextIO

from agentrt.engine.progress import Lines, Progress
from agentrt.events import Event, RunStarted, StepAdded, StepEnded, StepRetried, StepStarted, StepText
from agentrt.runtime import RunResult
from agentrt.types import StepId, StepKind
from agentrt.ui.terminal.summary import summary_lines
from agentrt.ui.words import called, cut, duration, one_line, tokens


class Plain:
    """Writes to ``stream`` (standard error for the command line) and flushes every line."""

    def __init__(self, stream: TextIO) -> None:
        self.progress: Progress = Lines(stream)
        self._stream = stream
        self._kinds: dict[StepId, StepKind] = {}
        self._started: dict[StepId, float] = {}

    def open(self) -> None:
        """Write nothing yet."""

    def __call__(self, event: Event) -> None:
        """Write a line for what a reader wants to know."""
        match event:
            case RunStarted():
                self._write(f"run {event.run}: {called(event.program, event.inputs)}")
            case StepAdded():
                self._kinds[event.step] = event.kind
            case StepStarted():
                self._step_started(event)
            case StepRetried():
                wait = duration(event.delay)
                self._write(f"{event.at:8.2f} s  {event.step} failed, again in {wait}: {event.error}")
            case StepEnded() if self._kinds.get(event.step) != "join":
                self._write(f"{event.at:8.2f} s  {self._ending(event)}")
            case StepText() if self._kinds.get(event.step) == "question":
                self._write(f"{event.at:8.2f} s  {event.step} asks: {one_line(event.text)}")
            case StepText():
                self.progress.close()  # a model speaks: what was being started is there

    def aside(self) -> AbstractContextManager[None]:
        """Lines go on; what is asked stands between them."""
        return nullcontext()

    def close(self) -> None:
        """The run has ended; what is still being started for it has not come to its end."""
        self.progress.close(failed=True)

    def summarize(self, result: RunResult[object]) -> None:
        """Write the summary."""
        for line in summary_lines(result):
            self._write(line)

    def _step_started(self, event: StepStarted) -> None:
        if event.step not in self._kinds:  # the program itself
            return
        self._started.setdefault(event.step, event.at)
        if self._kinds[event.step] == "question":  # what it asks comes next
            return
        again = f", attempt {event.attempt}" if event.attempt > 1 else ""
        self._write(f"{event.at:8.2f} s  {event.step} started{again}")

    def _ending(self, event: StepEnded) -> str:
        began = self._started.get(event.step)
        took = "" if began is None else f" in {duration(event.at - began)}"
        spent = tokens(event.usage)
        if event.error and event.status == "skipped":
            return f"{event.step} skipped: {cut(event.error, 100)}"  # the whole of it stands above, at what failed
        if event.error:
            return f"{event.step} {event.status}{took}: {event.error}"
        return f"{event.step} {event.status}{took}" + (f": {spent} tokens" if spent else "")

    def _write(self, line: str) -> None:
        with suppress(OSError):  # whoever read it has left, or the disk is full: no reason to fail the run
            print(line, file=self._stream, flush=True)
