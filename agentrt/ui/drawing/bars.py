"""Stretches of time as cells of a terminal: which stage each cell shows, how high a crowd stands, where ticks go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, floor, log10
from typing import Final, NamedTuple

from agentrt.ui.folds.timeline import Crowd, Stage, Stretch

EIGHTHS: Final = "▏▎▍▌▋▊▉█"
"""A cell that is filled from the left, by one eighth to all of it."""

HEIGHTS: Final = "▁▂▃▄▅▆▇█"
"""A cell that is filled from below."""

_ROUND: Final = (1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
_TICKS: Final = (
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
)
_HOUR: Final = 3600.0
_IDLE: Final = frozenset({"waiting", "queued", "holding"})
_IDLE_WEIGHT: Final = 0.2
"""What idle time counts for where a cell has room for one stage only: short work must not drown in long waits."""


class Window(NamedTuple):
    """What part of time is shown: from ``start``, ``scale`` seconds in each of ``width`` columns."""

    start: float
    scale: float
    width: int

    @property
    def end(self) -> float:
        """The time at the right edge."""
        return self.start + self.scale * self.width

    def column(self, at: float) -> int:
        """The column of a time; outside of 0 to ``width`` when it is not shown."""
        return floor((at - self.start) / self.scale)


class Cell(NamedTuple):
    """What a column shows. ``eighths`` is how much of it is filled, 1 to 8: from the left, or in a crowd from below."""

    stage: Stage
    eighths: int = 8


def fitting(seconds: float, width: int) -> float:
    """Round seconds for a column, so that all of a time fits: it changes in steps, and the picture holds still."""
    exact = max(seconds, 0.001) / max(1, width)
    power = 10.0 ** floor(log10(exact))
    return next(step * power for step in _ROUND if step * power >= exact * (1 - 1e-9))


def ticks(window: Window, apart: int = 10) -> list[tuple[int, str]]:
    """Columns with a round time in them and what to write there, ``apart`` columns from each other at least."""
    least = window.scale * apart
    step = next((one for one in _TICKS if one >= least), ceil(least / _HOUR) * _HOUR)
    first = ceil(window.start / step - 1e-9)
    found = []
    for number in range(first, first + window.width):
        column = window.column(number * step + window.scale * 1e-6)
        if column >= window.width:
            break
        found.append((column, clock(number * step, step)))
    return found


def clock(at: float, step: float) -> str:
    """A time on an axis whose ticks are ``step`` seconds apart: ``0.25 s``, ``45 s``, ``1:30``, ``2:00:00``."""
    places = max(0, ceil(-log10(step) - 1e-9)) if step < 1 else 0
    if at < 60:
        return f"{at:.{places}f} s"
    minutes, seconds = divmod(round(at, places), 60)
    hours, minutes = divmod(int(minutes), 60)
    rest = f"{seconds:0{3 + places if places else 2}.{places}f}"
    return f"{hours}:{minutes:02}:{rest}" if hours else f"{minutes}:{rest}"


def bar(stretches: Iterable[Stretch], window: Window, now: float) -> list[Cell | None]:
    """A step's cells: in each the stage that takes most of it, and nothing where the step was not."""
    weights = [0.0] * window.width
    stages: list[Stage | None] = [None] * window.width
    last, until = None, 0.0
    for stretch in stretches:
        if stretch.start > now:
            break
        last, until = stretch, now if stretch.end is None else min(stretch.end, now)
        _paint(stretch.stage, stretch.start, until, window, weights, stages)
    cells = [None if stage is None else Cell(stage) for stage in stages]
    if last is not None and last.stage == "decode":
        _cut(cells, window, last.start, until)
    return cells


def _paint(
    stage: Stage, start: float, until: float, window: Window, weights: list[float], stages: list[Stage | None]
) -> None:
    worth = _IDLE_WEIGHT if stage in _IDLE else 1.0
    first, last = max(0, window.column(start)), min(window.width - 1, window.column(until))
    for column in range(first, last + 1):
        left = window.start + column * window.scale
        share = min(until, left + window.scale) - max(start, left)
        if share <= 0 and column > first:
            continue  # it ends where this column begins
        weight = worth * max(share, window.scale / 100)
        if weight > weights[column]:
            weights[column], stages[column] = weight, stage


def _cut(cells: list[Cell | None], window: Window, start: float, until: float) -> None:
    """Let a bar that is drawn solid end within its last cell."""
    column = window.column(until)
    if not 0 <= column < window.width or window.column(start) == column or cells[column] is None:
        return
    part = (until - window.start) / window.scale - column
    cells[column] = Cell("decode", min(8, max(1, ceil(part * 8)))) if part else None


def peak(crowd: Crowd, window: Window, now: float) -> tuple[list[Cell | None], float]:
    """A crowd's cells, as high as it is large, and how large it is where it is largest: steps at once."""
    edges = [min(now, window.start + column * window.scale) for column in range(window.width + 1)]
    levels = {stage: level.means(edges) for stage, level in crowd.levels.items()}
    working = _sums([means for stage, means in levels.items() if stage not in _IDLE], window.width)
    if not any(working):  # holders, or nothing has begun: then what there is
        working = _sums(list(levels.values()), window.width)
    most = max(working, default=0.0)
    return [_highest(levels, column, working[column], most) for column in range(window.width)], most


def _sums(levels: Sequence[Sequence[float]], width: int) -> list[float]:
    return [sum(column) for column in zip(*levels, strict=True)] if levels else [0.0] * width


def _highest(levels: dict[Stage, list[float]], column: int, size: float, most: float) -> Cell | None:
    """What most do of those that work, and only where none works what the others wait for."""
    here = [(stage not in _IDLE, means[column], stage) for stage, means in levels.items() if means[column] > 1e-9]
    if not here:
        return None
    return Cell(max(here)[2], min(8, max(1, ceil(8 * size / most - 1e-6))) if most else 1)
