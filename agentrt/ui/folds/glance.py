"""The first answers about a run, in two lines: what runs, what failed, what is slow, is the cache helping? Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from agentrt.ui.model import RunView, StepView
from agentrt.ui.words import counted, cut, duration, one_line, share

_NAMED: Final = 3


class Answer(NamedTuple):
    """``question`` in a word, ``text`` to read; ``bad`` for what went wrong."""

    question: str
    text: str
    bad: bool = False


_LEFT: Final = {
    "interrupted": "no process has it, `r` resumes it",
    "waiting": "it is put aside until somebody answers",
    "cancelled": "it was cancelled after its process was gone",
}
"""Why nothing runs in a run that has not ended, by how it stands."""


def now_running(view: RunView, now: float, status: str = "running") -> Answer:
    """What goes on, the longest first; steps that only hold others are left out.

    ``status`` is how the run stands, which only the journal knows: in one whose process is gone, nothing runs.
    """
    leaves = (step for step in view.running.values() if step.kind not in ("agent", "program"))
    named: list[str] = []
    more = 0
    for step in leaves:
        if len(named) < _NAMED:
            named.append(f"{step.id} {duration(max(0.0, now - (step.started or now)))}")
        else:
            more += 1
    if status in _LEFT and view.status in ("running", "waiting"):
        broken = f"; broken off: {_listed(named, more)}" if named and status != "waiting" else ""
        return Answer("now", f"nothing runs: {_LEFT[status]}{broken}")
    if not named:
        called = view.count("pending", "ready")
        between = f"{counted(called, 'step')} just called" if called else "between two steps"
        return Answer("now", "nothing runs" if view.ended or not view.total else between)
    return Answer("now", _listed(named, more))


def _listed(named: list[str], more: int) -> str:
    return ", ".join(named) + (f" and {more:,} more" if more else "")


def what_failed(view: RunView) -> Answer | None:
    """What the run failed of, else what failed first in it, and why; ``None`` when nothing did."""
    first = next(iter(view.failed.values()), None)
    if view.status == "failed" and view.error:
        blamed = next((step for step in view.failed.values() if f"'{step.id}'" in view.error), None)
        if blamed is None:  # the program itself; what failed in it, it had dealt with
            before = f" ({counted(len(view.failed), 'step')} failed before that)" if first else ""
            return Answer("failed", cut(one_line(view.error), 160, "…") + before, bad=True)
        first = blamed
    if first is None:
        return None
    first = _innermost(view, first)
    more = len(view.failed) - 1
    told = f"{first.id}: {cut(one_line(first.error or ''), 160, '…')}"
    return Answer("failed", told + (f" (and {more:,} more)" if more else ""), bad=True)


def _innermost(view: RunView, step: StepView) -> StepView:
    """The step inside a failed one that failed first: the cause, not those around it."""
    inside = [one for one in step.children if one.status == "failed"]
    return _innermost(view, inside[0]) if inside else step


def cache(view: RunView) -> Answer | None:
    """What the engine's cache gave; ``None`` without model turns."""
    used = view.usage
    if not used.prompt:
        return None
    return Answer("cache", f"{share(used.cached, used.prompt)} of {used.prompt:,} prompt tokens were cached")
