"""What has changed in a run since it was looked at last, for what is kept up to date beside it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from agentrt.types import FINISHED, StepId, StepStatus
from agentrt.ui.model import RunView, StepView


class Moved(NamedTuple):
    """A step whose status is no longer ``before``."""

    step: StepView
    before: StepStatus


class Rewired(NamedTuple):
    """A step that an edit gave other inputs than ``before``."""

    step: StepView
    before: tuple[StepId, ...]


class Change(NamedTuple):
    """All that is new. ``afresh``: what was known no longer holds, and ``added`` are all steps there are."""

    added: list[StepView]
    moved: list[Moved]
    rewired: list[Rewired]
    afresh: bool


@dataclass(slots=True)
class _Open:
    """A step that had not ended when it was looked at last, joins among them."""

    step: StepView
    status: StepStatus
    inputs: tuple[StepId, ...]


class Changes:
    """Compares a run with what it was: in the time that its new and its unfinished steps ask for, not all of them.

    A step that has ended stays as it is, but for a run that is resumed: then counts differ, and all starts afresh.
    """

    def __init__(self, view: RunView) -> None:
        self._view = view
        self._open: dict[StepId, _Open] = {}
        self._seen = 0
        self._finished = 0

    def take(self) -> Change:
        """What has changed since it was called last; everything at first."""
        rewired = [Rewired(one.step, one.inputs) for one in self._open.values() if one.step.inputs is not one.inputs]
        moved = [Moved(one.step, one.status) for one in self._open.values() if one.step.status != one.status]
        added = self._added()
        for step, _ in rewired:
            self._open[step.id].inputs = step.inputs
        for step, _ in moved:
            self._settle(step)
        if self._finished != self._view.finished:
            return self._afresh()
        return Change(added, moved, rewired, afresh=False)

    def _added(self) -> list[StepView]:
        steps = self._view.steps
        added = list(islice(reversed(steps.values()), len(steps) - self._seen))[::-1]
        self._seen = len(steps)
        for step in added:
            self._open[step.id] = _Open(step, step.status, step.inputs)
            self._settle(step)
        return added

    def _settle(self, step: StepView) -> None:
        if step.status not in FINISHED:
            self._open[step.id].status = step.status
            return
        del self._open[step.id]
        self._finished += step.kind != "join"

    def _afresh(self) -> Change:
        self._open.clear()
        self._seen = self._finished = 0
        return Change(self._added(), [], [], afresh=True)
