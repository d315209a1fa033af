"""Runs made of events, as short as they can be written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import pytest

from agentrt.events import Event, RunEnded, RunStarted, StepAdded, StepEnded, StepRetried, StepStarted, StepText
from agentrt.types import RunId, RunStatus, StepId, StepKind, StepStatus, Usage
from agentrt.ui.model import RunView

RUN = RunId("run-1")


class Story:
    """Feeds events into a view, and into whoever else listens."""

    def __init__(self, *listeners: Callable[[Event], None]) -> None:
        self.view = RunView()
        self._listeners = (self.view.apply, *listeners)
        self._tell(RunStarted(RUN, "report", {"topic": "otters"}, 0.0))

    def add(self, step: str, *, kind: StepKind = "llm", parent: str | None = None, inputs: Sequence[str] = ()) -> Self:
        """A step is called."""
        name = step.rpartition("/")[2].partition("#")[0]
        above = StepId(parent) if parent else None
        edges = tuple(StepId(one) for one in inputs)
        return self._tell(StepAdded(RUN, 0.0, StepId(step), name, kind, above, edges, ()))

    def start(self, step: str, *, at: float = 0.0, attempt: int = 1) -> Self:
        """A step starts."""
        return self._tell(StepStarted(RUN, at, StepId(step), attempt))

    def text(self, step: str, text: str) -> Self:
        """A step says something."""
        return self._tell(StepText(RUN, 0.0, StepId(step), text))

    def retry(self, step: str, *, at: float, delay: float, error: str) -> Self:
        """An attempt fails and another follows."""
        return self._tell(StepRetried(RUN, at, StepId(step), 1, error, delay))

    def end(
        self,
        step: str,
        *,
        at: float = 1.0,
        status: StepStatus = "done",
        error: str | None = None,
        usage: Usage = Usage(),  # noqa: B008 - frozen
    ) -> Self:
        """A step ends."""
        return self._tell(StepEnded(RUN, at, StepId(step), status, error, usage))

    def finish(self, *, at: float = 1.0, status: RunStatus = "done", error: str | None = None) -> Self:
        """The run ends."""
        return self._tell(RunEnded(RUN, at, status, error))

    def _tell(self, event: Event) -> Self:
        for listener in self._listeners:
            listener(event)
        return self


@pytest.fixture
def story() -> Story:
    """A run that has just started."""
    return Story()
