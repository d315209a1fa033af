"""What stands in the nodes of a drawn graph, and how wide it may become. Nothing of Textual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len

from agentrt.types import StepKind, StepStatus
from agentrt.ui.drawing.glyphs import KIND_GLYPH, STATUS_GLYPH, STATUS_LOOK, status_look, status_sign
from agentrt.ui.drawing.pieces import Piece, cut_cells
from agentrt.ui.folds.folded import FoldNode
from agentrt.ui.model import StepView
from agentrt.ui.words import duration, one_line, share

TIME: Final = 7
"""The columns kept for a time: `` 12.3 s``."""

_STEP: Final = 4
"""A group's label grows by so many columns at a time, so that a count that grows moves nothing."""

_TOLD: Final[tuple[StepStatus, ...]] = ("done", "running", "failed", "pending", "skipped", "cancelled")

_KINDS: Final[dict[StepKind, str]] = {
    "llm": "model turns",
    "tool": "tool calls",
    "agent": "agents",
    "question": "questions",
}


def name_of(node: FoldNode, holder: FoldNode | None, most: int) -> str:
    """A node's name, short: without the path to it, and without the name of the step that holds it."""
    if node.part == "rest":
        return "more names"
    name = node.name if node.step is None else node.step.label
    name = one_line(name) or "?"
    if holder is not None:
        name = name.removeprefix(f"{holder.name}.") or name
    return cut_cells(name, most)


def label(node: FoldNode, name: str, now: float | None, *, back: bool = False) -> list[Piece]:
    """A node's line: the sign of its state, its name, its counts, and how long it has run at ``now``.

    That is the last piece, and left out for ``None``. ``back``: rounds begin anew at it.
    """
    sign = Piece(status_sign(node.status, node.kind), status_look(node.status, node.kind))
    told = [sign, Piece(f" {name}", "strong" if node.status == "running" else None)]
    if node.part or node.step is None:
        told.extend(_counts(node))
    elif node.closed and node.within:
        done = sum(node.within.get(status, 0) for status in ("done", "failed", "skipped", "cancelled"))
        told.append(Piece(f" {done:,}/{sum(node.within.values()):,}", "quiet"))
    if node.rounds or back:
        told.append(Piece(" ↻", "accent"))
    return told if now is None else [*told, _time(node, now)]


def _time(node: FoldNode, now: float) -> Piece:
    step = node.step
    if step is not None and not step.finished and (step.retry_at is not None or step.attempt > 1):
        again = f" {duration(max(0.0, step.retry_at - now))}" if step.retry_at is not None else ""
        return Piece(f" try {max(1, step.attempt)}{again}", "warning")
    seconds = node.seconds(now)
    if seconds is None:
        return Piece("")
    return Piece(f" {duration(seconds)}", "running" if node.status == "running" else "quiet")


def _counts(node: FoldNode) -> list[Piece]:
    counts = {status: node.counts.get(status, 0) for status in _TOLD}
    counts["pending"] += node.counts.get("ready", 0)
    where = {"before": " earlier", "after": " later"}.get(node.part, "")
    told = [Piece(f" \N{MULTIPLICATION SIGN}{node.total:,}{where}")]
    if counts["done"] == node.total:
        return told
    return told + [
        Piece(f" {STATUS_GLYPH[status]}{count:,}", STATUS_LOOK[status]) for status, count in counts.items() if count
    ]


def slot(told: Sequence[Piece], *, counted: bool, timed: bool) -> int:
    """The columns to keep for a line of ``label``, with one behind it: more than it takes, so that it seldom grows."""
    widths = [cell_len(piece.text) for piece in told]
    if timed:
        widths[-1] = max(widths[-1], TIME)
    width = sum(widths) + 1
    return width + (-width % _STEP if counted else 0)


def detail(node: FoldNode) -> list[Piece]:
    """A node's second line, where there is room for one: what it is, and what it says, took, or failed of."""
    step = node.step
    if step is None:
        return [Piece(f"{KIND_GLYPH[node.kind]} {_KINDS.get(node.kind, f'{node.kind} steps')}", "quiet")]
    kind = Piece(f"{KIND_GLYPH[step.kind]} ", "quiet")
    if step.error and (step.status == "failed" or not step.finished):
        return [kind, Piece(one_line(step.error), "failed")]
    if step.status == "running" and step.tail:
        return [kind, Piece(one_line(step.tail)[-80:])]
    return [kind, Piece(_took(step), "quiet")]


def _took(step: StepView) -> str:
    model = one_line(step.turn.model) if step.turn is not None else step.kind
    if not step.usage.prompt:
        return model
    cached = f" {share(step.usage.cached, step.usage.prompt)} cached" if step.usage.cached else ""
    return f"{step.usage.prompt:,}{cached} → {step.usage.completion:,}"
