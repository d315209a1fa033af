"""Which lines stand for a run when there is room for so many: every step, or one line for all steps of a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from agentrt.types import FINISHED, StepKind, StepStatus, Usage
from agentrt.ui.model import GroupView, RunView, StepView
from agentrt.ui.words import counted, duration, one_line

Tone: TypeAlias = Literal["quiet", "text", "ask", "bad"]
"""How a detail is meant: a remark, streamed text (whose end matters), a question to a person, or an error."""

_WORDS: Final[dict[StepStatus, str]] = {
    "done": "done",
    "running": "running",
    "pending": "waiting",
    "ready": "ready",
    "failed": "failed",
    "skipped": "skipped",
    "cancelled": "cancelled",
}
_NAMED: Final = 2  # how many of the steps waited for are named


@dataclass(frozen=True, slots=True)
class Row:
    """One line: a step, all steps of a name, or what there was no room for. ``seconds`` is ``None`` before a start."""

    depth: int
    label: str
    kind: StepKind
    status: StepStatus
    detail: str = ""
    tone: Tone = "quiet"
    usage: Usage = Usage()  # noqa: RUF009 - frozen
    seconds: float | None = None


def rows(view: RunView, now: float, most: int) -> list[Row]:
    """The lines for a run at ``now`` (seconds since its start), never more than ``most`` (1 at least).

    Every step while they fit, then one line for all steps of a name in a place; then the outer ones only; then
    what is unfinished first.
    """
    if view.total <= most:
        return [_step_row(view, step, now) for step in view.walk()]
    groups = list(view.every_group())
    depth = max(len(group.path) for group in groups)
    while len(groups) > most and depth > 1:
        depth -= 1
        groups = [group for group in groups if len(group.path) <= depth]
    shown = groups if len(groups) <= most else _most_telling(groups, most - 1)
    lines = [_group_row(view, group, now) for group in shown]
    if len(shown) < len(groups):
        lines.append(_rest(len(groups) - len(shown)))
    return lines


def _most_telling(groups: list[GroupView], most: int) -> list[GroupView]:
    """The unfinished ones and the failed, then the latest of the others, in the order of the program."""

    def rank(numbered: tuple[int, GroupView]) -> tuple[int, int]:
        order = ("running", "failed", "pending", "ready", "cancelled", "skipped", "done")
        number, group = numbered
        return order.index(group.status), -number

    chosen = {number for number, _ in sorted(enumerate(groups), key=rank)[:most]}
    return [group for number, group in enumerate(groups) if number in chosen]


def _rest(number: int) -> Row:
    return Row(0, f"and {counted(number, 'more name')}", "join", "pending")


def _step_row(view: RunView, step: StepView, now: float) -> Row:
    detail, tone = _detail(view, step, now)
    return Row(step.depth, one_line(step.label), step.kind, step.status, detail, tone, step.usage, step.seconds(now))


def _group_row(view: RunView, group: GroupView, now: float) -> Row:
    if group.total == 1:
        return _step_row(view, group.first, now)
    depth, seconds = len(group.path) - 1, group.seconds(now)
    return Row(
        depth, one_line(group.label), group.first.kind, group.status, _counts(group), "quiet", group.usage, seconds
    )


def _counts(group: GroupView) -> str:
    counts = {status: group.counts.get(status, 0) for status in _WORDS}
    if counts["done"] == group.total:
        return ""
    return ", ".join(f"{count:,} {_WORDS[status]}" for status, count in counts.items() if count)


def _detail(view: RunView, step: StepView, now: float) -> tuple[str, Tone]:
    if step.retry_at is not None and not step.finished:
        wait = duration(max(0.0, step.retry_at - now))
        return f"again in {wait}: {one_line(step.error or '')}", "bad"
    if step.status == "failed":
        return one_line(step.error or ""), "bad"
    if step.status in FINISHED:
        return _WORDS[step.status] if step.status != "done" else "", "quiet"
    if step.status == "running":
        return _running(step)
    return _waiting(view, step), "quiet"


def _running(step: StepView) -> tuple[str, Tone]:
    text = one_line(step.tail)
    if step.kind == "question":
        return text, "ask"
    if text:
        return text, "text"
    return (f"attempt {step.attempt}" if step.attempt > 1 else ""), "quiet"


def _waiting(view: RunView, step: StepView) -> str:
    before = view.waits_for(step)
    if not before:
        return "ready"
    names = ", ".join(_from_here(one, step) for one in before[:_NAMED])
    more = f" and {len(before) - _NAMED} more" if len(before) > _NAMED else ""
    return f"after {names}{more}"


def _from_here(other: StepView, step: StepView) -> str:
    """The other step's name as seen from this one: short beside it, its whole path from elsewhere."""
    return other.label if other.parent == step.parent else other.id
