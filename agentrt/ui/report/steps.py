"""The steps in a page: a line for each, and all about it for as many as there is room for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from agentrt.store.rows import StepStory
from agentrt.types import StepId
from agentrt.ui.drawing.glyphs import STATUS_LOOK, status_sign
from agentrt.ui.folds.prompts import Sent, prompt_of
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
from agentrt.ui.folds.timeline import told
from agentrt.ui.model import StepView
from agentrt.ui.report.escaping import html, line
from agentrt.ui.report.reading import Report
from agentrt.ui.words import duration, share, tokens

MOST_LISTED: Final = 2_000
"""Steps that have a line; a page of some megabytes is what a mail takes and a phone opens."""

MOST_TOLD: Final = 300
"""Steps of which all is told."""

ROOM: Final = 2_400_000
"""Bytes that the stories take together."""

_SHORTEST: Final = 1_500
_LONGEST: Final = 30_000
"""Characters of one text: between these, so that all have their share of the room."""

_TEXTS: Final = 4
"""Texts that a story is taken to have, of which each has an equal share."""

_MOST_MESSAGES: Final = 40
_MOST_LINES: Final = 60
_BY_COUNT: Final = "the engine's count of tokens, laid over the text."

HEADS: Final = (
    ("order", "Step"),
    ("name", "Kind"),
    ("state", "State"),
    ("start", "Start"),
    ("time", "Time"),
    ("prompt", "Prompt"),
    ("cached", "Cached"),
    ("new", "New"),
)


def listed(report: Report, most: int = MOST_LISTED) -> list[StepView]:
    """The steps that are shown, each followed by those it called; of many the ones that are asked for first."""
    steps = list(report.view.walk())
    if len(steps) <= most:
        return steps
    wanted = {step.id for step in by_interest(report, steps)[:most]}
    return [step for step in steps if step.id in wanted]


def by_interest(report: Report, steps: Iterable[StepView]) -> list[StepView]:
    """What failed or runs first, then the critical path, then the first steps of each name, then what took longest."""
    path = set(report.path)
    seen: dict[tuple[str, ...], int] = {}
    ranked: list[tuple[int, float, int, StepView]] = []
    for step in steps:
        number = seen[step.path] = seen.get(step.path, 0) + 1
        if step.status in ("failed", "running") or step.kind == "question":
            rank = 0
        else:
            rank = 1 if step.id in path else 2 if number <= 3 else 3
        ranked.append((rank, -(step.seconds(report.now) or 0.0), len(ranked), step))
    return [step for *_, step in sorted(ranked, key=lambda one: one[:3])]


class Cutter:
    """Cuts long texts. ``left_out`` counts the characters that are not shown."""

    def __init__(self, stories: int) -> None:
        self.most = max(_SHORTEST, min(_LONGEST, ROOM // max(1, _TEXTS * stories)))
        self.left_out = 0

    def pre(self, text: str, look: str = "") -> str:
        """A text of several lines, its beginning and its end."""
        look = f' class="{look}"' if look else ""
        return f"<pre{look}>{self.cut(text)}</pre>"

    def cut(self, text: str, cached: int | None = None) -> str:
        """A text for a place between tags; the first ``cached`` characters of it are marked."""
        head, tail = text, ""
        gone = len(text) - self.most
        if gone > self.most // 10:
            head, tail = text[: self.most * 3 // 4], text[-(self.most // 4) :]
            self.left_out += gone
        note = f'<span class="cut"> … {gone:,} characters left out … </span>' if tail else ""
        if not cached:
            return f"{html(head)}{note}{html(tail)}"
        ends = max(0, cached - (len(text) - len(tail))) if tail else 0
        parts = (_marked(head, cached), note, _marked(tail, ends))
        return "".join(parts)


def _marked(text: str, cached: int) -> str:
    marked, rest = text[:cached], text[cached:]
    return (f"<mark>{html(marked)}</mark>" if marked else "") + html(rest)


# -- the list --------------------------------------------------------------------------------------------------------


def lines(report: Report, steps: Sequence[StepView], stories: Mapping[StepId, str]) -> Iterator[str]:
    """The list: a line for each step, which opens where its story is told."""
    path = set(report.path)
    for number, step in enumerate(steps):
        look = "step critical" if step.id in path else "step"
        data = f'id="s{number}" data-id="{line(step.id)}"{_numbers(report, step)}'
        row = _row(report, step)
        story = stories.get(step.id)
        if story is None:
            yield f'<div class="{look} bare" {data}><div class="row">{row}</div></div>\n'
        else:
            yield (
                f'<details class="{look}" {data}><summary class="row">{row}</summary>'
                f'<div class="story">{story}</div></details>\n'
            )


def state_of(step: StepView) -> str:
    """The word for how a step stands."""
    return "asking" if step.kind == "question" and step.status == "running" else step.status


def _numbers(report: Report, step: StepView) -> str:
    seconds = step.seconds(report.now)
    told = f' data-state="{state_of(step)}"'
    if step.started is not None and seconds is not None:
        told += f' data-start="{step.started:.3f}" data-time="{seconds:.3f}"'
    used = step.usage
    if used.prompt or used.completion:
        cached = used.cached / used.prompt if used.prompt else 0.0
        told += f' data-prompt="{used.prompt}" data-cached="{cached:.3f}" data-new="{used.completion}"'
    return told


def _row(report: Report, step: StepView) -> str:
    seconds = step.seconds(report.now)
    used = step.usage
    asked = bool(used.prompt or used.completion)
    name = f'<span class="d{min(step.depth, 5)} u"><span class="name">{line(step.label)}</span></span>'
    state = state_of(step)
    look = STATUS_LOOK[step.status] if state != "asking" else "asking"
    cells = (
        step.kind,
        f'<b class="{"pending" if look == "waiting" else look}">{status_sign(step.status, step.kind)} {state}</b>',
        "" if step.started is None else duration(step.started),
        "" if seconds is None else duration(seconds),
        f"{used.prompt:,}" if asked else "",
        share(used.cached, used.prompt) if asked else "",
        f"{used.completion:,}" if asked else "",
    )
    return name + "".join(f"<span>{cell}</span>" for cell in cells)


# -- a story ---------------------------------------------------------------------------------------------------------


def story_html(report: Report, step: StepView, story: StepStory, cutter: Cutter) -> str:
    """All about one step: what failed, what went in, what the model was sent, what came out, what was tried."""
    parts = (
        [f'<p class="soft"><code class="u">{line(step.id)}</code> · {html(told(report.line, step, report.now))}</p>'],
        _failed(step, story, cutter),
        _asked(story, cutter),
        _inputs(report, story, cutter),
        _prompt(report, step, story, cutter),
        _output(step, story, cutter),
        _attempts(attempts_of(step, story), cutter),
        (f"<p>{duration(edit.at)}: {line(edit.words, 1_000)}</p>" for edit in edits_of(story)),
        _hints(story),
    )
    return "".join(piece for part in parts for piece in part)


def _failed(step: StepView, story: StepStory, cutter: Cutter) -> Iterator[str]:
    failures = failures_of(story)
    if not failures and step.error:
        yield f'<div class="error"><b class="u">{line(step.error, 1_000)}</b></div>'
    for failure in failures:
        because = "because of " if failure.depth else ""
        notes = cutter.pre("\n".join(failure.notes)) if failure.notes else ""
        yield f'<div class="error">{because}<b>{html(failure.kind)}</b>{cutter.pre(failure.text)}{notes}</div>'


def _asked(story: StepStory, cutter: Cutter) -> Iterator[str]:
    question = question_of(story)
    if question is None:
        return
    yield f"<h3>Asked{' ' + line(question.who) if question.who else ''} · {html(question.form)}</h3>"
    yield cutter.pre(question.text)
    if question.context:
        yield cutter.pre(question.context)
    for at, by, problem in question.answers:
        yield f"<p>{duration(at)}: answered {line(by)}{': ' + line(problem) if problem else ''}</p>"


def _inputs(report: Report, story: StepStory, cutter: Cutter) -> Iterator[str]:
    inputs = inputs_of(story, report.view)
    if not inputs:
        return
    yield "<h3>Inputs</h3><dl>"
    for one in inputs:
        source = f'<p class="soft">from {line(", ".join(one.sources))}</p>' if one.sources else ""
        yield f"<dt>{line(one.name)}</dt><dd>{cutter.pre(one.text)}{source}</dd>"
    yield "</dl>"


def _prompt(report: Report, step: StepView, story: StepStory, cutter: Cutter) -> Iterator[str]:
    if not story.messages:
        return
    prompt = prompt_of(step, story, report.view)
    said = f" · {tokens(step.usage)}" if step.usage.prompt else ""
    yield f"<h3>Prompt{said}</h3>"
    if step.usage.cached:
        near = "" if prompt.certain else "≈ "
        yield f'<p class="soft">{near}<mark>Marked</mark> is what came from the cache: {_BY_COUNT}</p>'
    messages = prompt.messages
    gone = len(messages) - _MOST_MESSAGES
    for number, message in enumerate(messages):
        if gone > 0 and 2 <= number < 2 + gone:
            if number == 2:
                yield f'<p class="cut">… {gone:,} messages left out …</p>'
            continue
        yield _message(message, cutter)
    names = ", ".join(str(tool.get("name")) for tool in story.tools)
    if names:
        yield f'<p class="soft">tools offered: {line(names, 1_000)}</p>'


def _message(message: Sent, cutter: Cutter) -> str:
    of = f" of {line(message.of)}" if message.of else ""
    text = f"<pre>{cutter.cut(message.text, message.cached)}</pre>" if message.text else ""
    return f'<div class="message"><b>{html(message.role)}{of}</b>{text}{"".join(_calls(message.calls, cutter))}</div>'


def _calls(calls: Sequence[Call], cutter: Cutter) -> Iterator[str]:
    for call in calls:
        yield f"<p>calls <b>{line(call.name)}</b></p>{cutter.pre(call.arguments)}"


def _output(step: StepView, story: StepStory, cutter: Cutter) -> Iterator[str]:
    output = output_of(step, story)
    if not (output.text or output.value or output.calls):
        if output.problem and not step.error:
            yield f"<h3>Output</h3><p>{line(output.problem)}</p>"
        return
    yield "<h3>Output</h3>" if output.whole else "<h3>Output so far</h3>"
    if output.text:
        yield cutter.pre(output.text)
    yield from _calls(output.calls, cutter)
    if output.value:
        yield cutter.pre(output.value)


def _attempts(attempts: Sequence[Attempt], cutter: Cutter) -> Iterator[str]:
    if len(attempts) < 2:
        return
    yield '<h3>Attempts</h3><div class="scroll"><table>'
    for one in attempts[:_MOST_LINES]:
        began = "" if one.began is None else duration(one.began)
        took = "" if one.began is None or one.ended is None else duration(one.ended - one.began)
        again = f"again after {duration(one.delay)}" if one.outcome == "again" else one.outcome
        yield f'<tr><td>{one.number}<td class="n">{began}<td class="n">{took}'
        yield f"<td>{html(again)}<td>{cutter.cut(one.error)}"
    yield "</table></div>"


def _hints(story: StepStory) -> Iterator[str]:
    hints = hints_of(story)
    if not hints:
        return
    yield '<h3>Hints to the engine</h3><div class="scroll"><table>'
    for hint in hints[:_MOST_LINES]:
        yield f'<tr><td class="n">{duration(hint.at)}<td>{line(hint.about)}<td>{line("; ".join(hint.words))}'
    yield "</table></div>"
    if len(hints) > _MOST_LINES:
        yield f'<p class="cut">… and {len(hints) - _MOST_LINES:,} more</p>'
