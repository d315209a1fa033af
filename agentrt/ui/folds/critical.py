"""The critical path of a run: the chain of steps that determined when it ended, or that it waits for now.

Walked backwards along last arrivals (Fields, Rubin and Bodik, "Focusing processor policies via critical-path
prediction", ISCA 2001; CRISP does it for traces, USENIX ATC 2022): the last step to end; then, of all that it came
after, the one that ended last, as it could start no sooner; and so on to one that came after nothing. A step that holds
others counts as what it holds: the chain goes through the last of those to end, and leaves through the first, to what
the holder itself came after.

Of a run that goes on it is the chain so far: it ends with the running step that started first, the one waited for
longest, or, while nothing runs, with the step that ended last.
"""

from __future__ import annotations

from collections.abc import Iterable

from agentrt.types import StepId
from agentrt.ui.model import RunView, StepView


def critical_path(view: RunView, end: StepView | None = None) -> list[StepId]:
    """The steps of the path, first to last, without steps that hold others and without joins.

    ``end`` is the path's last step where that is known; finding it goes over all steps. From there it costs the path,
    and what the steps on it came after.
    """
    found: list[StepId] = []
    seen: set[StepId] = set()
    step = _inside(end) if end is not None else _end(view)
    while step is not None and step.id not in seen:
        seen.add(step.id)
        found.append(step.id)
        step = _before(view, step)
    return found[::-1]


def _end(view: RunView) -> StepView | None:
    first: StepView | None = None
    last: StepView | None = None
    for step in view.steps.values():
        if step.started is None or step.children or step.kind == "join":
            continue
        if step.ended is None:
            first = step if first is None or step.started < _started(first) else first
        elif last is None or step.ended >= _ended(last):
            last = step
    return first or last


def _before(view: RunView, step: StepView) -> StepView | None:
    """The step whose end let this one start, looking through joins, into holders and out of them."""
    at: StepView | None = step
    while at is not None:
        last = _last(view.through_joins([*at.inputs, *at.after]), _started(step))
        if last is not None:
            return _inside(last)
        at = view.steps.get(at.parent) if at.parent else None
    return None


def _last(steps: Iterable[StepView], by: float) -> StepView | None:
    """The one that ended last, of those that ran and had ended ``by`` then: what ended later was not waited for."""
    ran = [step for step in steps if step.started is not None and step.ended is not None and step.ended <= by]
    return max(ran, key=_ended, default=None)


def _inside(step: StepView) -> StepView:
    """The last of what a step holds to end; itself when it holds nothing that ran."""
    while inner := [child for child in step.children if child.started is not None]:
        step = max(inner, key=_ended)
    return step


def _ended(step: StepView) -> float:
    return float("inf") if step.ended is None else step.ended


def _started(step: StepView) -> float:
    return 0.0 if step.started is None else step.started
