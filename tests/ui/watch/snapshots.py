"""What a screen looks like, as text that people can read and compare: its characters, then which style each has.

Pictures in SVG would be compared as pictures or not at all: their text says nothing of a change until they are drawn,
one moved column changes all of it, and they are fifty times as large. Here a diff shows the lines that differ, as they
stand on the screen, and below them whether a style differs and where. What a picture has and this has not, the shape of
letters, is the terminal's.

A file has three parts. The first is the screen, each line between bars, so that blanks at its end are seen. The second
has for each line its styles from left to right, as letters with the number of columns each holds for; ``.`` is the
screen's own style. The third says what the letters mean. A style's letter comes from its own words, so that a new style
leaves the other letters as they are, unless they meet.

``AGENTRT_SNAPSHOTS=update`` writes the files instead of comparing them.
"""

from __future__ import annotations

import os
import string
from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import unified_diff
from itertools import groupby
from pathlib import Path
from typing import Final
from zlib import crc32

from rich.segment import Segment
from rich.style import Style

FOLDER: Final = Path(__file__).parent / "snapshots"
VARIABLE: Final = "AGENTRT_SNAPSHOTS"

_LETTERS: Final = string.ascii_letters + string.digits
_KINDS: Final = ("bold", "dim", "italic", "underline", "reverse", "strike")


def drawn(lines: Iterable[Iterable[Segment]]) -> str:
    """A screen as the text of its file."""
    rows = [[(one.text, _words(one.style)) for one in line if one.text] for line in lines]
    letters = _letters(rows)
    text = ["|" + "".join(said for said, _ in row) + "|" for row in rows]
    styles = [f"{number:3} {_run(row, letters)}".rstrip() for number, row in enumerate(rows, start=1)]
    legend = [f"{letter} {words}" for words, letter in sorted(letters.items(), key=lambda item: item[1])]
    return "\n".join([*text, "", *styles, "", *legend, ""])


def _words(style: Style | None) -> str:
    if style is None:
        return "plain"
    words = [kind for kind in _KINDS if getattr(style, kind)]
    for name, color in (("", style.color), ("on ", style.bgcolor)):
        if color is not None:
            words.append(name + (color.triplet.hex if color.triplet else color.name))
    return " ".join(words) or "plain"


def _run(row: Sequence[tuple[str, str]], letters: dict[str, str]) -> str:
    """The letters of a line's styles with their columns; what has the same style stands together."""
    told = []
    for words, parts in groupby(row, key=lambda part: part[1]):
        told.append(f"{letters[words]}{sum(len(said) for said, _ in parts)}")
    return " ".join(told)


def _letters(rows: Sequence[Sequence[tuple[str, str]]]) -> dict[str, str]:
    """A letter for each style, ``.`` for the one that most of the screen has."""
    held: Counter[str] = Counter()
    for row in rows:
        for said, words in row:
            held[words] += len(said)
    ((most, _),) = held.most_common(1)
    letters = {most: "."}
    for words in sorted(held.keys() - {most}):
        place = crc32(words.encode()) % len(_LETTERS)
        while _LETTERS[place] in letters.values():
            place = (place + 1) % len(_LETTERS)
        letters[words] = _LETTERS[place]
    return letters


def compare(name: str, seen: str, folder: Path = FOLDER) -> None:
    """See whether a screen looks as its file says; raises ``AssertionError`` that shows what differs."""
    file = folder / f"{name}.txt"
    if os.environ.get(VARIABLE) == "update":
        file.parent.mkdir(exist_ok=True)
        file.write_text(seen, encoding="utf-8")
        return
    known = file.read_text(encoding="utf-8") if file.exists() else ""
    if seen != known:
        lines = unified_diff(known.splitlines(), seen.splitlines(), "as it should be", "as it is", n=1, lineterm="")
        raise AssertionError(f"{name} looks otherwise; {VARIABLE}=update keeps it so:\n" + "\n".join(lines))
