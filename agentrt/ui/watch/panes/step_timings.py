"""Where the time of a step went, as lines: a bar, its parts, and what the steps inside took. Nothing of Textual."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agentrt.store.rows import StepStory
from agentrt.ui.drawing.glyphs import STAGE_FILL, STAGE_LOOK, Look
from agentrt.ui.folds.stories import attempts_of
from agentrt.ui.folds.timings import OwnStage, Stretch, Timings, timings_of
from agentrt.ui.model import RunView, StepView
from agentrt.ui.watch.panes.step_sections import heading, moment, named
from agentrt.ui.watch.panes.text_lines import Line
from agentrt.ui.words import duration, share

_BAR: Final = 40
_LEAST_S: Final = 0.0005
"""Seconds below which a stretch is not told: it would be 0 ms."""

_WORDS: Final[dict[OwnStage, str]] = {
    "waiting": "waiting for its inputs",
    "queued": "queued",
    "prefill": "prefill, until the first token",
    "decode": "decode",
    "tool": "tool",
    "code": "code",
    "asking": "waiting for a person",
    "pause": "pause before the next attempt",
    "holding": "its own steps",
    "model": "the model",
}


def timings_lines(step: StepView, story: StepStory, view: RunView, now: float) -> list[Line]:
    """Where the time went: a bar, its parts in their order, and what the steps inside took."""
    timings = timings_of(step, attempts_of(step, story), view, now)
    if not timings.stretches:
        return [Line("No time has passed yet.", "quiet")]
    lines = [heading(f"{duration(timings.seconds)} since it was called"), _bar(timings), Line()]
    totals = timings.totals().items()
    lines += [_share(stage, took, timings.seconds) for stage, took in totals if took >= _LEAST_S]
    lines += _speed(timings)
    lines += [Line(), heading("in order")]
    lines += [_stretch(one) for one in timings.stretches if one.seconds >= _LEAST_S]
    lines += [Line(), *named("its own steps", [one.id for one in step.children], view, now)]
    return lines


def _fill(stage: OwnStage) -> str:
    return "█" if stage == "model" else STAGE_FILL[stage]


def _look(stage: OwnStage) -> Look:
    return "running" if stage == "model" else STAGE_LOOK[stage]


def _bar(timings: Timings) -> Line:
    """As many columns for each stretch as it has of the time; what is short has none."""
    text, spans, whole = "", [], timings.seconds
    for one in timings.stretches:
        until = round(_BAR * (one.end - timings.start) / whole)
        if until > len(text):
            spans.append((len(text), until, _look(one.stage)))
            text += _fill(one.stage) * (until - len(text))
    return Line(text, indent=2, spans=tuple(spans))


def _share(stage: OwnStage, seconds: float, whole: float) -> Line:
    text = f"{duration(seconds):>8}  {share(seconds, whole):>4}  {_WORDS[stage]}"
    return Line(text, sign=_fill(stage), sign_look=_look(stage))


def _speed(timings: Timings) -> Iterator[Line]:
    if timings.first_token is not None:
        yield Line(f"{duration(timings.first_token):>8}        until the first token")
    if timings.rate is not None:
        yield Line(f"{_number(timings.rate):>8}        tokens a second after it")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _stretch(one: Stretch) -> Line:
    return Line(
        f"{moment(one.start):>8}  for {duration(one.seconds):>8}  {_WORDS[one.stage]}",
        sign=_fill(one.stage),
        sign_look=_look(one.stage),
    )
