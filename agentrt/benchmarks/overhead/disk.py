"""What durable contenders wrote: a second table beside that of CPU time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from agentrt.benchmarks.overhead.contest import Plan, Score

OUTLIVES: Final[Mapping[str, str]] = {"wal, normal": "a killed process", "wal, full": "a power cut"}
"""What a committed step outlives, by the modes of SQLite."""


def columns(plan: Plan) -> list[str]:
    """The table's head."""
    shapes = " / ".join(plan.shapes)
    figures = [f"{what} a step: {shapes}" for what in ("wall µs", "bytes")]
    return ["on disk", "journal, synchronous", "outlives", "used before recorded", *figures]


def rows(plan: Plan, scores: Sequence[Score]) -> list[list[str]]:
    """A row for each contender that was measured."""
    return [_row(plan, score) for score in scores if score.reports]


def _row(plan: Plan, score: Score) -> list[str]:
    late = "none" if score.late == 0 else f"up to {score.late} results"
    wall = _each(score.wall_per_step(shape) for shape in plan.shapes)
    stored = _each(score.stored_per_step(shape) for shape in plan.shapes)
    return [score.contender.title, score.modes, OUTLIVES.get(score.modes, "?"), late, wall, stored]


def _each(figures: Iterable[float | None]) -> str:
    return " / ".join("-" if figure is None else f"{figure:,.0f}" for figure in figures)
