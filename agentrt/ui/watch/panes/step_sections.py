"""What the Step screen says of a step, as lines: a function for each section. Nothing of Textual."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from agentrt.store.rows import StepStory
from agentrt.types import StepId
from agentrt.ui.drawing.glyphs import KIND_GLYPH, Look, status_look, status_sign
from agentrt.ui.folds.stories import (
    Attempt,
    Call,
    attempts_of,
    edits_of,
    failures_of,
    hints_of,
    inputs_of,
    output_of,
    question_of,
)
from agentrt.ui.model import RunView, StepView
from agentrt.ui.watch.panes.step_prompt import call_lines
from agentrt.ui.watch.panes.text_lines import Line
from agentrt.ui.words import counted, cut, duration, lines_of, one_line

MOST: Final = 50
"""Steps that are named in one list; the graph has them all."""

_GIST: Final = 400
_OUTCOME_SIGN: Final = {"again": "↻", "broken off": "‖"}
_OUTCOME_LOOK: Final[dict[str, Look]] = {"again": "warning", "broken off": "warning"}


def heading(text: str) -> Line:
    """What stands above a part."""
    return Line(text, "strong")


def body(text: str, look: Look | None = None, indent: int = 2) -> list[Line]:
    """A text as it is."""
    return [Line(line, look, indent=indent) for line in lines_of(text)]


def step_line(step: StepView, now: float) -> Line:
    """A step that the line leads to."""
    took = step.seconds(now)
    name = one_line(step.id)
    text = f"{KIND_GLYPH[step.kind]} {name}" + ("" if took is None else f"  {duration(took)}")
    spans: tuple[tuple[int, int, Look], ...] = ((2, 2 + len(name), "accent"),)
    return Line(text, sign=status_sign(step.status, step.kind), sign_look=status_look(step.status, step.kind),
                spans=spans, step=step.id)  # fmt: skip


def moment(at: float) -> str:
    """A time since the run began, fine enough to tell one from the next."""
    return f"{at:.2f} s" if at < 99.995 else duration(at)


def _steps(steps: Iterable[StepId], view: RunView, now: float, total: int) -> Iterator[Line]:
    for id_ in islice(steps, MOST):
        if id_ in view.steps:
            yield step_line(view.steps[id_], now)
    if total > MOST:
        yield Line(f"and {total - MOST:,} more", "quiet")


def named(title: str, steps: Sequence[StepId], view: RunView, now: float) -> Iterator[Line]:
    """A list of steps, with a title; nothing when there are none."""
    if steps:
        yield heading(title)
        yield from _steps(steps, view, now, len(steps))
        yield Line()


# -- overview --------------------------------------------------------------------------------------------------------


def overview_lines(step: StepView, story: StepStory, view: RunView, now: float) -> list[Line]:
    """How it stands, what went in and came out, and where in the run it is."""
    return [
        *_standing(step, view, now),
        Line(),
        *_question(story),
        *_inputs(story, view),
        *_result(step, story),
        *named("called by", [step.parent] if step.parent else [], view, now),
        *named("takes the results of", [one.id for one in view.through_joins(step.inputs)], view, now),
        *named("called after these were awaited", [one.id for one in view.through_joins(step.after)], view, now),
        *named("has called", [one.id for one in step.children], view, now),
        *_edits(story),
    ]


def _standing(step: StepView, view: RunView, now: float) -> Iterator[Line]:
    sign, look = status_sign(step.status, step.kind), status_look(step.status, step.kind)
    yield Line(state_words(step, view, now), look, sign, look)
    if step.error and step.status != "running":
        yield from body(step.error, "failed", 0)


def state_words(step: StepView, view: RunView, now: float) -> str:
    """How a step stands, in some words."""
    took = step.seconds(now)
    attempt = f", attempt {step.attempt}" if step.attempt > 1 else ""
    match step.status:
        case "running":
            what = "waits for a person" if step.kind == "question" else "running"
            return f"{what} for {duration(took or 0.0)}{attempt}"
        case "pending" if step.retry_at is not None:
            return f"tries again in {duration(max(0.0, step.retry_at - now))}{attempt}"
        case "pending":
            names = [one.id for one in view.waits_for(step)]
            more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
            return f"waits for {', '.join(names[:3])}{more}" if names else "ready: waits for a free place"
        case "ready":
            return "ready: waits for a free place"
    return step.status + ("" if took is None else f" in {duration(took)}") + attempt


def _question(story: StepStory) -> Iterator[Line]:
    question = question_of(story)
    if question is None:
        return
    yield heading(f"question ({question.form}" + (f", for {one_line(question.who)})" if question.who else ")"))
    yield from body(question.text)
    yield from (line for number, choice in enumerate(question.choices, 1) for line in body(f"{number}. {choice}"))
    if question.context:
        yield heading("what it is about")
        yield from body(question.context, indent=4)
    for at, by, problem in question.answers:
        who = f" by {one_line(by)}" if by else ""
        yield Line(f"{moment(at)}  answered{who}" + (f", but: {one_line(problem)}" if problem else ""), indent=2)
    yield Line()


def _inputs(story: StepStory, view: RunView) -> Iterator[Line]:
    inputs = inputs_of(story, view)
    yield heading("inputs")
    if not inputs:
        yield Line("none", "quiet", indent=2)
    for name, text, sources in inputs:
        first, *more = lines_of(text)
        name = one_line(name)
        spans: tuple[tuple[int, int, Look], ...] = ((0, len(name), "role"),)
        yield Line(f"{name}  {first}", indent=2, spans=spans, step=sources[0] if sources else None)
        yield from (Line(line, indent=4) for line in more)
    yield Line()


def _result(step: StepView, story: StepStory) -> Iterator[Line]:
    output = output_of(step, story)
    gist = cut(" ".join(map(str.strip, lines_of((output.value or output.text)[:_GIST]))), _GIST - 1, "...")
    if not gist and output.calls:
        gist = "calls " + ", ".join(one_line(call.name) for call in output.calls)
    if gist:
        yield heading("output" if output.whole else "output so far")
        yield Line(gist, indent=2)
        yield Line()


def _edits(story: StepStory) -> Iterator[Line]:
    edits = edits_of(story)
    if edits:
        yield heading("edits of the graph")
    yield from (Line(f"{moment(at)}  {one_line(words)}", indent=2) for at, words in edits)


# -- output, tools ---------------------------------------------------------------------------------------------------


def output_lines(step: StepView, story: StepStory) -> list[Line]:
    """What came out, so far."""
    output = output_of(step, story)
    lines: list[Line] = []
    if output.problem:
        lines += [Line(one_line(output.problem), "failed", "✗", "failed", aside=True), Line(aside=True)]
        if output.text:
            lines.append(Line("what it had said until then", "strong", aside=True))
    if output.text and output.value and output.value != output.text:
        lines += [*body(output.value, indent=0), Line(aside=True)]
        if step.kind == "llm" and not _same_json(output.value, output.text):
            lines += [Line("as the model wrote it", "strong", aside=True), *body(output.text, indent=0)]
    elif output.text or output.value:
        lines += body(output.text or output.value, indent=0)
    for call in output.calls:
        lines += [Line(aside=True), *call_lines(call)]
    if not lines:
        words = "There is no output yet." if not step.finished else "It ended without output."
        lines.append(Line(words, "quiet", aside=True))
    return lines


def _same_json(pretty: str, text: str) -> bool:
    """Whether two JSON texts differ in nothing but blanks outside of strings, near enough to show one of them."""
    return "".join(pretty.split()) == "".join(text.split())


def tools_lines(step: StepView, story: StepStory, view: RunView, now: float) -> list[Line]:
    """Which tools were called, what became of it, and which were offered."""
    if step.kind == "tool":
        return [Line("This step is a tool call: its arguments are its inputs, its result is its output.", "quiet")]
    lines: list[Line] = []
    calls = output_of(step, story).calls
    if calls:
        lines.append(heading(f"{counted(len(calls), 'call')}"))
        for call, became in zip(calls, _became(step, calls, view), strict=True):
            lines += call_lines(call)
            lines.append(
                Line("no step came of it: the next turn was told why", "quiet", indent=4)
                if became is None
                else step_line(became, now)
            )
        lines.append(Line())
    used = [one.id for one in step.children if one.kind == "tool"]
    lines += named(f"{counted(len(used), 'tool call')} in its turns", used, view, now)
    if story.tools:
        lines.append(heading(f"{counted(len(story.tools), 'tool')} offered"))
        for tool in story.tools:
            lines += [Line(f"⚒ {one_line(str(tool['name']))}", "tool", indent=2)]
            lines += body(str(tool.get("description") or ""), indent=4)
    return lines or [Line("It calls no tools, and none were offered to a model.", "quiet")]


def _became(step: StepView, calls: Sequence[Call], view: RunView) -> list[StepView | None]:
    """The steps that the calls of a turn became: those beside it that came after it, in the order of the calls."""
    around = view.steps.get(step.parent) if step.parent else None
    beside = [one for one in (around.children if around else ()) if one.kind == "tool" and step.id in one.after]
    found: list[StepView | None] = []
    for call in calls:
        one = next((one for one in beside if one.name == call.name), None)
        found.append(one)
        if one is not None:
            beside.remove(one)
    return found


# -- attempts, hints -------------------------------------------------------------------------------------------------


def attempts_lines(step: StepView, story: StepStory, now: float) -> list[Line]:
    """Every try, and the errors that the step ended with."""
    lines: list[Line] = []
    for attempt in attempts_of(step, story):
        lines += _attempt(attempt, now)
    failures = failures_of(story) if step.finished else []
    if failures:
        lines += [Line(), heading("why it failed")]
    for number, failure in enumerate(failures):
        indent = 2 + 2 * failure.depth
        cause = "because of " if number else ""
        lines += body(f"{cause}{failure.kind}: {failure.text}", "failed" if not number else None, indent)
        lines += [line for note in failure.notes for line in body(note, "quiet", indent + 2)]
    return lines or [Line("It has not started yet.", "quiet")]


def _attempt(attempt: Attempt, now: float) -> Iterator[Line]:
    outcome = attempt.outcome
    sign = _OUTCOME_SIGN.get(outcome) or status_sign(outcome)
    look = _OUTCOME_LOOK.get(outcome) or status_look(outcome)
    words = {"again": "failed", "running": "runs"}.get(outcome, outcome)
    text = f"attempt {attempt.number}  {words}"
    if attempt.began is not None:
        end = now if attempt.ended is None and outcome == "running" else attempt.ended
        text += f"  at {moment(attempt.began)}" + ("" if end is None else f", {duration(end - attempt.began)} long")
    if outcome == "again":
        text += f", the next one after {duration(attempt.delay)}"
    yield Line(text, None, sign, look)
    if attempt.error:
        yield Line(one_line(attempt.error), "failed" if outcome == "failed" else "warning", indent=2)


def hints_lines(step: StepView, story: StepStory) -> list[Line]:
    """What the engine was told of the step's context."""
    hints = hints_of(story)
    if not hints:
        none = "No hint was sent on its context." if step.turn else "Hints are on the contexts of model turns."
        return [Line(none, "quiet")]
    lines = [Line("Times are from when a hint was sent; a newer one replaces what an older one said.", "quiet"), Line()]
    for at, about, words in hints:
        when = f"{moment(at)}  "
        spans: tuple[tuple[int, int, Look], ...] = ((len(when), len(when) + len(one_line(about)), "role"),)
        lines.append(Line(f"{when}{one_line(about)}", spans=spans))
        lines.append(Line(one_line(" · ".join(words)), indent=4))
    return lines
