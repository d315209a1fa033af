"""Long texts as lines of a screen: wrapped as far as they are looked at, and searched. Nothing of Textual."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from rich.cells import get_character_cell_size

from agentrt.types import StepId
from agentrt.ui.drawing.glyphs import Look

UNWRAPPED: Final = 2000
"""Columns after which a line is broken even where lines are not wrapped: what lies further right nobody scrolls to."""

_UNSURE: Final = re.compile("[^\x20-\u02ff\u0370-\u0482\u2010-\u2027\u2030-\u205e]")
"""Characters that may take two columns, or none."""


class Line(NamedTuple):
    """One line. ``sign`` stands before its first row, ``rail`` before every row; both are one column wide.

    ``spans`` are (start, end, look) within the text; ``step`` is a step that the line leads to. An ``aside`` is said
    about the text and no part of it: it is not copied, and nothing is found in it.
    """

    text: str = ""
    look: Look | None = None
    sign: str = ""
    sign_look: Look | None = None
    rail: str = ""
    indent: int = 0
    spans: tuple[tuple[int, int, Look], ...] = ()
    step: StepId | None = None
    aside: bool = False


class Row(NamedTuple):
    """Part of a line that fits the width: the characters from ``start`` to ``end`` of that number."""

    line: int
    start: int
    end: int


class Match(NamedTuple):
    """Where something was found."""

    line: int
    start: int
    end: int


# -- wrapping --------------------------------------------------------------------------------------------------------


class Layout:
    """The rows of some lines at a width: worked out from the top on, as far as ``fill`` was asked to."""

    def __init__(self, lines: Sequence[Line], width: int) -> None:
        self.lines = lines
        self.rows: list[Row] = []
        self._rest = self._broken(max(8, width))
        self.complete = False

    def fill(self, most: int | None = None) -> bool:
        """Work out some rows more, of about ``most`` characters, or all; whether all are there."""
        left = most
        for row in self._rest:
            self.rows.append(row)
            if left is not None:
                left -= row.end - row.start + 1
                if left <= 0:
                    return False
        self.complete = True
        return True

    def row_at(self, line: int, column: int) -> int:
        """The number of the row that has this place of the lines; the last row when it is not there yet."""
        return max(0, bisect_right(self.rows, (line, column, 1 << 60)) - 1)

    def _broken(self, width: int) -> Iterator[Row]:
        for number, line in enumerate(self.lines):
            room, start = max(8, width - line.indent), 0
            if 2 * len(line.text) <= room:  # it fits, however wide its characters are
                yield Row(number, 0, len(line.text))
                continue
            for end in breaks(line.text, room):
                yield Row(number, start, end)
                start = end


def breaks(text: str, width: int) -> Iterator[int]:
    """Where the rows of a line end: behind the last blank that fits, or in a word that is longer than a row."""
    wide = _UNSURE.search(text) is not None
    start = 0
    while True:
        end = _fitting(text, start, width) if wide else start + width
        if end >= len(text):
            yield len(text)
            return
        blank = text.rfind(" ", start, end + 1)
        start = end if blank <= start else min(blank + 1, len(text))
        yield start
        if start == len(text):
            return


def _fitting(text: str, start: int, width: int) -> int:
    """Up to where a text fits, at least one character."""
    cells = 0
    for at in range(start, len(text)):
        cells += get_character_cell_size(text[at])
        if cells > width:
            return max(at, start + 1)
    return len(text)


# -- finding ---------------------------------------------------------------------------------------------------------


def find(lines: Sequence[Line], wanted: str) -> list[Match]:
    """Where a text occurs, in any letter case."""
    if not wanted:
        return []
    pattern = re.compile(re.escape(wanted), re.IGNORECASE)
    return [
        Match(number, *found.span())
        for number, line in enumerate(lines)
        if not line.aside
        for found in pattern.finditer(line.text)
    ]


class Finding:
    """What is looked for in some lines, where it occurs, and which of these places is shown."""

    def __init__(self) -> None:
        self.wanted = ""
        self.matches: list[Match] = []
        self.current = 0
        self._by_line: dict[int, list[int]] = {}

    def look(self, lines: Sequence[Line]) -> None:
        """Find it, in lines that may be others than before."""
        self.matches = find(lines, self.wanted)
        self.current = min(self.current, max(0, len(self.matches) - 1))
        self._by_line = {}
        for number, match in enumerate(self.matches):
            self._by_line.setdefault(match.line, []).append(number)

    def below(self, row: Row) -> int:
        """The number of the first match in this row or after it; the first of all if there is none."""
        later = (number for number, one in enumerate(self.matches) if (one.line, one.end) > (row.line, row.start))
        return next(later, 0)

    def in_line(self, line: int) -> Iterator[tuple[Match, bool]]:
        """The matches in a line, and whether that is the one that is shown."""
        for number in self._by_line.get(line, ()):
            yield self.matches[number], number == self.current


def copied(lines: Sequence[Line]) -> str:
    """The lines as a text for the clipboard."""
    return "\n".join(line.text for line in lines if not line.aside)
