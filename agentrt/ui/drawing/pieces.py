"""Text in pieces of different looks, and what of it fits into so many columns. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from rich.cells import cell_len, set_cell_size

from agentrt.ui.drawing.glyphs import Look


class Piece(NamedTuple):
    """Some text and its look; ``None`` is that of the page."""

    text: str
    look: Look | None = None


Line: TypeAlias = list[Piece]
"""What stands side by side."""


def cut_cells(text: str, most: int) -> str:
    """The beginning of a text that takes so many columns at most, with dots where it is cut."""
    if cell_len(text) <= most:
        return text
    return f"{set_cell_size(text, most - 1)}…" if most > 0 else ""


def tail_cells(text: str, most: int) -> str:
    """The end of a text that takes so many columns at most, with dots before it where it is cut."""
    if cell_len(text) <= most:
        return text
    end = text[-most:] if most > 0 else ""
    while end and cell_len(end) >= most:
        end = end[1:]
    return f"…{end}" if most > 0 else ""


def fitted(pieces: Sequence[Piece], width: int, *, tail: bool = False) -> Line:
    """The pieces, cut to so many columns; with ``tail`` the end of the last one is what matters."""
    found: Line = []
    room, rest = width, sum(cell_len(piece.text) for piece in pieces)
    for number, piece in enumerate(pieces):
        size = cell_len(piece.text)
        if rest > room and size >= room:
            last = number + 1 == len(pieces)
            text = tail_cells(piece.text, room) if tail and last else cut_cells(f"{piece.text} ", room)
            return [*found, piece._replace(text=text)] if text else found
        if piece.text:
            found.append(piece)
        room, rest = room - size, rest - size
    return found
