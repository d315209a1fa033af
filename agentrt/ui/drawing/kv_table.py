"""The contexts of a run as a table: which there are, in which order, and a line of each. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from rich.cells import set_cell_size

from agentrt.ui.drawing.kv_drawing import STANDINGS
from agentrt.ui.drawing.pieces import Line, Piece, cut_cells
from agentrt.ui.folds.kv import ContextView, KvView
from agentrt.ui.words import duration, one_line, share, short

FAR: Final = float("inf")

STATE: Final = 11
"""Columns for how a context stands."""

ORDERS: Final[dict[str, Callable[[ContextView], Any] | None]] = {
    "as they came": None,
    "largest first": lambda one: (-one.tokens, one.name),
    "soonest first": lambda one: (
        one.ended,
        FAR if one.due is None else one.due,
        FAR if one.steps is None else one.steps,
    ),
    "most computed again": lambda one: (-one.regenerated, one.name),
    "by name": lambda one: (one.name, one.kind),
}
"""The orders of the table, in the order in which ``s`` goes through them."""


class Column(NamedTuple):
    """A column: its heading, how wide it is, what stands in it, and whether on the right, as numbers do."""

    title: str
    width: int
    cell: Callable[[ContextView, float], Piece]
    right: bool = True


def contexts(kv: KvView, order: str, find: str = "") -> list[ContextView]:
    """The contexts that hold all words of ``find`` in their name, agent, model or tool, in that order."""
    words = find.lower().split()
    found = [one for one in kv.contexts.values() if not words or _holds(one, words)]
    key = ORDERS[order]
    return found if key is None else sorted(found, key=key)


def _holds(one: ContextView, words: Sequence[str]) -> bool:
    text = f"{own_name(one)} {one.agent} {one.model} {one.tool}".lower()
    return all(word in text for word in words)


def own_name(context: ContextView) -> str:
    """The name of a context within its run."""
    if context.kind == "agent":
        return f"{context.name} (prompt)"
    return context.name.partition("/")[2] or context.name


def heading(layout: Sequence[Column]) -> Line:
    """The titles of the columns."""
    titles = (_cell(one.title, one.width, one.right) for one in layout)
    return [Piece(text, "quiet") for text in (f"   {_cell('STATE', STATE, False)}", *titles)]


def row(context: ContextView, now: float, layout: Sequence[Column]) -> Line:
    """One context."""
    state = context.state(now)
    sign, look = STANDINGS[state]
    line = [Piece(f" {sign} ", look), Piece(_cell(state or "unknown", STATE, False), look)]
    for column in layout:
        text, look = column.cell(context, now)
        line.append(Piece(_cell(text, column.width, column.right), look))
    return line


def _cell(text: str, width: int, right: bool) -> str:
    """The text in ``width`` columns, the last of them empty."""
    text = cut_cells(text, width - 1)
    return f"{text:>{width - 1}} " if right else set_cell_size(text, width)


def layout(kv: KvView, width: int) -> list[Column]:
    """The columns that fit, the name as wide as there is room."""
    host = any(engine.host for engine in kv.engines.values())
    left_out = {"HOST"} if not host else {"TURNS"} if width < 100 else set()
    wanted = [one for one in NUMBERS if one.title not in left_out]
    if width >= 110:
        wanted += MORE
    room = width - 14 - sum(one.width for one in wanted)
    return [NAME._replace(width=max(10, min(40, room))), *wanted]


def _name(one: ContextView, now: float) -> Piece:
    return Piece(one_line(own_name(one)))


def _again(one: ContextView, now: float) -> Piece:
    return Piece(short(one.regenerated) if one.regenerated else "", "fresh")


def _left(one: ContextView, now: float) -> Piece:
    left = one.left(now)
    if one.running and not one.queued:
        return Piece("now", "running")
    if left is None:
        return Piece("")
    if left > 0:
        return Piece(duration(left))
    at_once = one.due is not None and one.told is not None and one.due <= one.told
    return Piece("now") if at_once else Piece("overdue", "warning")


def _steps(one: ContextView, now: float) -> Piece:
    return Piece("" if one.steps is None or not one.expected(now) else str(one.steps))


def _held(tokens: int, one: ContextView) -> Piece:
    return Piece("" if one.sampled is None else short(tokens))


NAME: Final = Column("SESSION", 40, _name, right=False)
NUMBERS: Final = (
    Column("TURNS", 6, lambda one, _: Piece(f"{one.turns:,}" if one.turns else "")),
    Column("TOKENS", 8, lambda one, _: Piece(short(one.tokens) if one.tokens else "")),
    Column("CACHED", 7, lambda one, _: Piece(share(one.cached, one.prompt) if one.prompt else "", "cached")),
    Column("REDONE", 7, _again),
    Column("STEPS", 6, _steps),
    Column("BACK IN", 8, _left),
    Column("DEVICE", 8, lambda one, _: _held(one.device, one)),
    Column("HOST", 8, lambda one, _: _held(one.host, one)),
)
MORE: Final = (
    Column("MODEL", 14, lambda one, _: Piece(one_line(one.model), "quiet"), right=False),
    Column("WAITS FOR", 20, lambda one, _: Piece("" if one.ended else one_line(one.tool), "quiet"), right=False),
)
