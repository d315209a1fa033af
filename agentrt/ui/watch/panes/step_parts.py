"""The parts that the Step screen has: their names, their lines, what these depend on. Nothing of Textual."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

from agentrt.store.rows import StepStory
from agentrt.ui.folds.prompts import prompt_of
from agentrt.ui.model import RunView, StepView
from agentrt.ui.watch.panes.step_prompt import prompt_lines, prompt_text
from agentrt.ui.watch.panes.step_sections import (
    attempts_lines,
    hints_lines,
    output_lines,
    overview_lines,
    tools_lines,
)
from agentrt.ui.watch.panes.step_timings import timings_lines
from agentrt.ui.watch.panes.text_lines import Line, copied

Part: TypeAlias = Literal["Overview", "Prompt", "Output", "Tools", "Attempts", "Hints", "Timings"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)


def part_lines(part: Part, step: StepView, story: StepStory, view: RunView, now: float) -> list[Line]:
    """The lines of a part."""
    match part:
        case "Overview":
            return overview_lines(step, story, view, now)
        case "Prompt":
            prompt = prompt_of(step, story, view)
            return prompt_lines(prompt) if prompt.messages else [_unasked(step)]
        case "Output":
            return output_lines(step, story)
        case "Tools":
            return tools_lines(step, story, view, now)
        case "Attempts":
            return attempts_lines(step, story, now)
        case "Hints":
            return hints_lines(step, story)
        case "Timings":
            return timings_lines(step, story, view, now)


def part_key(part: Part, step: StepView, version: int, now: float) -> object:
    """What the lines of a part depend on beside the story: those that tell of the time change once a second."""
    match part:
        case "Prompt":
            return step.usage
        case "Output":
            return step.status, step.tail
        case "Hints":
            return None
    return version if step.finished else (step.status, int(now), len(step.children))


def part_text(part: Part, step: StepView, story: StepStory, view: RunView, now: float) -> str:
    """A part for the clipboard: of the prompt its messages alone."""
    if part == "Prompt":
        return prompt_text(prompt_of(step, story, view))
    return copied(part_lines(part, step, story, view, now))


def _unasked(step: StepView) -> Line:
    words = "No model has been asked in this step yet." if step.kind == "llm" else "This step asks no model itself."
    if step.kind in ("agent", "program"):
        words += " Its turns are steps of their own: the overview names them."
    return Line(words, "quiet", aside=True)
