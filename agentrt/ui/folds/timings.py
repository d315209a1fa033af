"""Where the time of one step went, all of its attempts included: those before a resume, which events do not tell.

The Gantt has many steps on one axis, by what events tell (``timeline``). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

from agentrt.ui.folds.stories import Attempt
from agentrt.ui.folds.timeline import WORK, Stage
from agentrt.ui.model import RunView, StepView

OwnStage: TypeAlias = Stage | Literal["model"]
"""``model``: a turn of which no more is known."""


class Stretch(NamedTuple):
    """A step was in a stage from ``start`` to ``end``, seconds since the run began."""

    stage: OwnStage
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


class Timings(NamedTuple):
    """``first_token`` is how long after its last attempt began a model said something; ``rate`` tokens a second while
    it spoke; both ``None`` when they are not known."""

    stretches: tuple[Stretch, ...]
    first_token: float | None
    rate: float | None

    @property
    def start(self) -> float:
        """When the step was called."""
        return self.stretches[0].start if self.stretches else 0.0

    @property
    def seconds(self) -> float:
        """From the call to the end, or to now."""
        return self.stretches[-1].end - self.start if self.stretches else 0.0

    def totals(self) -> dict[OwnStage, float]:
        """Seconds of each stage, in the order in which they came first."""
        found: dict[OwnStage, float] = {}
        for one in self.stretches:
            found[one.stage] = found.get(one.stage, 0.0) + one.seconds
        return found


def timings_of(step: StepView, attempts: Sequence[Attempt], view: RunView, now: float) -> Timings:
    """The stretches of a step up to now. ``attempts`` are those of ``attempts_of``."""
    end = now if step.ended is None else step.ended
    stretches = [one for one in _all(step, attempts, view, end) if one.end > one.start]
    return Timings(tuple(stretches), _first_token(step, attempts), _rate(step, stretches))


def _all(step: StepView, attempts: Sequence[Attempt], view: RunView, end: float) -> Iterator[Stretch]:
    tried = [one.began for one in attempts if one.began is not None]  # before a resume, too
    start = min([end if step.started is None else step.started, *tried])
    ready = min(start, _inputs_there(step, view))
    yield Stretch("waiting", step.added, ready)
    yield Stretch("queued", ready, start)
    for number, attempt in enumerate(attempts):
        began = start if attempt.began is None else attempt.began
        later = attempts[number + 1].began if number + 1 < len(attempts) else None
        over = attempt.ended if attempt.ended is not None else end if later is None else later
        yield from _work(step, began, over)
        if later is not None:
            yield Stretch("pause", over, later)
    if attempts and attempts[-1].outcome == "again" and attempts[-1].ended is not None:
        yield Stretch("pause", attempts[-1].ended, end)


def _inputs_there(step: StepView, view: RunView) -> float:
    """When the last of what it takes was there; never, while something is missing."""
    latest = step.added
    for before in step.inputs:
        one = view.steps.get(before)
        if one is not None:
            latest = max(latest, float("inf") if one.ended is None else one.ended)
    return latest


def _work(step: StepView, began: float, over: float) -> Iterator[Stretch]:
    """One attempt: of a model turn with its phases, as far as they are known."""
    phases = [(at, phase) for at, phase in (step.turn.phases if step.turn else ()) if began <= at <= over]
    yield Stretch("model" if step.kind == "llm" else WORK[step.kind], began, phases[0][0] if phases else over)
    for number, (at, phase) in enumerate(phases):
        yield Stretch(phase, at, phases[number + 1][0] if number + 1 < len(phases) else over)


def _first_token(step: StepView, attempts: Sequence[Attempt]) -> float | None:
    began = next((one.began for one in reversed(attempts) if one.began is not None), step.started)
    if step.turn is None or began is None:
        return None
    return next((at - began for at, phase in step.turn.phases if phase == "decode" and at >= began), None)


def _rate(step: StepView, stretches: Sequence[Stretch]) -> float | None:
    """Its first token comes with the prefill, so one token fewer than there are falls into the time it spoke."""
    spoke = sum(one.seconds for one in stretches if one.stage == "decode")
    return (step.usage.completion - 1) / spoke if spoke > 0 and step.usage.completion > 1 else None
