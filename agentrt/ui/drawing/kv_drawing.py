"""The KV cache as lines of pieces: tiers as bars, curves of blocks. Pure: text and looks, no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from textwrap import wrap
from typing import Final, NamedTuple

from rich.cells import cell_len, set_cell_size

from agentrt.ui.drawing.bars import HEIGHTS
from agentrt.ui.drawing.glyphs import Look
from agentrt.ui.drawing.kv_words import answer, happened, heard, silence
from agentrt.ui.drawing.pieces import Line, Piece, fitted
from agentrt.ui.folds.kv import KvView, Standing
from agentrt.ui.folds.kv_engine import EnginePoint, EngineView, P
from agentrt.ui.words import share, short

ELSE: Final = 12
"""Lines that a low screen has for all else: its head and foot, and some rows of the table."""

WIDE: Final = 120
"""Columns from which on curves stand beside each other."""

TALL: Final = 36
"""Lines of a screen from which on curves are three lines high."""

MOST_ENGINES: Final = 3
"""Engines whose tiers are drawn."""

_CURVE_NAME: Final = 9
_CURVE_TOLD: Final = 14
"""Columns of what stands before a curve, and behind it."""

_BLOCKS: Final = f" {HEIGHTS}"

IN_USE: Final = Piece("█", "strong")
KEPT: Final = Piece("▓", "held")
EVICTABLE: Final = Piece("░", "evictable")
FREE: Final = Piece("·", "gone")

STANDINGS: Final[dict[Standing, Piece]] = {
    "in use": Piece("▶", "running"),
    "held back": Piece("‖", "queued"),
    "protected": Piece("●", "held"),
    "partly": Piece("◐", "held"),
    "hinted": Piece("→", "held"),
    "evictable": Piece("○", "evictable"),
    "evicted": Piece("✗", "warning"),
    "ended": Piece("■", "stopped"),
    "": Piece("·", "quiet"),
}
"""The sign and the look of how a context stands."""


# -- tiers -------------------------------------------------------------------------------------------------------------


def bar(parts: Sequence[tuple[int, Piece]], width: int) -> Line:
    """Parts of a whole over ``width`` columns, each as long as its share; what is there at all is seen."""
    width, whole = max(width, len(parts)), sum(amount for amount, _ in parts)
    if not whole:
        return [FREE._replace(text=FREE.text * width)]
    exact = [amount * width / whole for amount, _ in parts]
    columns = [max(1, int(length)) if amount else 0 for (amount, _), length in zip(parts, exact, strict=True)]
    while (spare := width - sum(columns)) != 0:
        step = 1 if spare > 0 else -1
        lacking = [(length - have) * step for length, have in zip(exact, columns, strict=True)]
        able = (number for number, have in enumerate(columns) if have + step > 0 and parts[number][0])
        at = max(able, key=lacking.__getitem__, default=0)
        columns[at] += step
    return [
        piece._replace(text=piece.text * count) for (_, piece), count in zip(parts, columns, strict=True) if count > 0
    ]


def tiers(engine: EngineView, width: int) -> list[Line]:
    """The device tier and the one behind it, a line each."""
    point = engine.now
    if point is None or not engine.full:
        return [[Piece("  The engine does not tell how full its tiers are.", "quiet")]]
    device = [(point.locked, IN_USE), (point.kept, KEPT), (point.evictable, EVICTABLE), (point.free, FREE)]
    lines = [_tier("device", device, engine.pool, engine.pool - point.free, width)]
    if engine.host:
        host = [(point.host, EVICTABLE), (max(0, engine.host - point.host), FREE)]
        lines.append(_tier("host", host, engine.host, point.host, width))
    return lines


def _tier(name: str, parts: Sequence[tuple[int, Piece]], whole: int, used: int, width: int) -> Line:
    told = f" {short(used)} of {short(whole)} ({share(used, whole)})"
    room = max(8, width - 9 - cell_len(told))
    return [Piece(f" {name:<8}", "quiet"), *bar(parts, room), Piece(told)]


def legend(engine: EngineView, width: int) -> Line:
    """What the fills of the device tier say, and how many tokens each is."""
    point = engine.now
    if point is None or not engine.full:
        return []
    parts = (
        (IN_USE, "in use", point.locked),
        (KEPT, "kept by hints", point.kept),
        (EVICTABLE, "evictable", point.evictable),
        (FREE, "free", point.free),
    )
    line = [Piece(" " * 7)]
    for fill, name, tokens in parts:
        line += [Piece("  "), fill, Piece(f" {name} {short(tokens)}", "quiet")]
    return fitted(line, width)


# -- curves ------------------------------------------------------------------------------------------------------------


class Curve(NamedTuple):
    """A value for each column, ``None`` where nothing is known yet, and what the highest stands for."""

    title: str
    values: Sequence[float | None]
    top: float
    told: str
    look: Look | None = None


def columns(points: Sequence[P], width: int, end: float, value: Callable[[P], float]) -> list[float | None]:
    """What holds at the end of each of ``width`` stretches of the time from 0 to ``end``: the last point before it."""
    found: list[float | None] = []
    at, last = 0, None
    for column in range(width):
        until = end * (column + 1) / width
        while at < len(points) and (points[at].at <= until or column == width - 1):
            last = value(points[at])
            at += 1
        found.append(last)
    return found


def growth(values: Sequence[float | None]) -> list[float | None]:
    """How much was added in each column."""
    before = 0.0
    found: list[float | None] = []
    for value in values:
        found.append(None if value is None else max(0.0, value - before))
        before = before if value is None else value
    return found


def drawn(curve: Curve, height: int) -> list[str]:
    """The curve in blocks, ``height`` lines from the top down. What is more than nothing is seen."""
    eighths = [
        0 if value is None or value <= 0 or curve.top <= 0 else max(1, round(min(1.0, value / curve.top) * 8 * height))
        for value in curve.values
    ]
    return ["".join(_BLOCKS[max(0, min(8, level - 8 * row))] for level in eighths) for row in range(height - 1, -1, -1)]


def curves(kv: KvView, engine: EngineView | None, now: float, width: int) -> list[Curve]:
    """What there is to draw over time, ``width`` columns wide: of the engine, and of the run's turns."""
    found = []
    turns, end = kv.turns.points, max(now, 0.001)
    if engine is not None and engine.now is not None and engine.full and engine.pool:
        used = columns(engine.series.points, width, end, lambda one: float(engine.pool - one.free))
        found.append(Curve("device", used, engine.pool, f"{short(engine.pool - engine.now.free)} used", "held"))
    found.append(Curve("cached", _shares(kv, width, end), 1.0, share(kv.total.cached, kv.total.prompt), "cached"))
    again = growth(columns(turns, width, end, lambda one: float(one.regenerated)))
    found.append(Curve("redone", again, _top(again), f"{short(kv.total.regenerated)} tokens", "fresh"))
    if engine is not None and engine.now is not None:
        gone = growth(columns(engine.series.points, width, end, lambda one: float(one.evicted)))
        found.append(Curve("evicted", gone, _top(gone), f"{short(engine.now.evicted)} tokens", "warning"))
        if engine.host:
            held = columns(engine.series.points, width, end, lambda one: float(one.host))
            found.append(Curve("host", held, engine.host, f"{short(engine.now.host)} used", "evictable"))
            ahead = growth(columns(engine.series.points, width, end, _fetched))
            found.append(Curve("fetched", ahead, _top(ahead), f"{short(engine.now.prefetched)} ahead", "cached"))
    return found


def _shares(kv: KvView, width: int, end: float) -> list[float | None]:
    """The cached share of the turns that were answered in each column; where none was, that of the one before."""
    prompt = growth(columns(kv.turns.points, width, end, lambda one: float(one.prompt)))
    cached = growth(columns(kv.turns.points, width, end, lambda one: float(one.cached)))
    found: list[float | None] = []
    last = None
    for whole, part in zip(prompt, cached, strict=True):
        last = part / whole if whole and part is not None else last
        found.append(last)
    return found


def _fetched(point: EnginePoint) -> float:
    return float(point.prefetched)


def _top(values: Iterable[float | None]) -> float:
    return max((value for value in values if value is not None), default=0.0)


def curve_lines(kv: KvView, engine: EngineView | None, now: float, width: int, height: int, across: int) -> list[Line]:
    """The curves, ``across`` of them beside each other, each ``height`` lines high."""
    if not (kv.sent or kv.engines):
        return []
    each = (width - 1) // across
    plot = max(8, each - _CURVE_NAME - _CURVE_TOLD - 2)
    found = curves(kv, engine, now, plot)
    lines = []
    for start in range(0, len(found), across):
        group = found[start : start + across]
        blocks = [drawn(curve, height) for curve in group]
        for row in range(height):
            line: Line = []
            for curve, rows in zip(group, blocks, strict=True):
                name, told = (curve.title, curve.told) if row == height - 1 else ("", "")
                line += [Piece(f" {name:<{_CURVE_NAME - 1}}", "quiet"), Piece(rows[row], curve.look)]
                line.append(Piece(set_cell_size(f" {told}", each - _CURVE_NAME - plot)))
            lines.append(line)
        if height > 1:
            lines.append([Piece(" ")])  # else a full curve would stand on the next one
    return lines


# -- all of it ---------------------------------------------------------------------------------------------------------


def summary(kv: KvView, now: float, width: int, room: int) -> list[Line]:
    """Everything but the table: the answer, what each engine says, and the curves, for a screen of ``room`` lines."""
    lines: list[Line] = [*wrapped(answer(kv), width, "strong"), *wrapped(silence(kv), width, "quiet")]
    engines = list(kv.engines.values())
    for engine in engines[:MOST_ENGINES]:
        lines += wrapped(heard(engine, now, over=kv.over, brief=width < 100), width, "quiet")
        lines += [*tiers(engine, width - 1), legend(engine, width)]
        lines += wrapped(happened(engine), width, "quiet")
    if len(engines) > MOST_ENGINES:
        lines.append([Piece(f" and {len(engines) - MOST_ENGINES} more engines", "quiet")])
    newest = max(engines, key=lambda one: one.at, default=None)
    drawn = curve_lines(kv, newest, now, width, 3 if room >= TALL else 1, 2 if width >= WIDE else 1)
    most = max(2, room - ELSE - len(lines)) if room < TALL else len(drawn)
    return [fitted(line, width) for line in [*lines, *drawn[:most]] if line]


def wrapped(text: str, width: int, look: Look) -> list[Line]:
    """A text in lines, broken where it may be."""
    return [[Piece(f" {part}", look)] for part in wrap(text, max(20, width - 2))]
