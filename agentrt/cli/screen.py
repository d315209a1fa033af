"""Lines for people on standard output: as wide as the terminal, with colours where they are wanted."""

from __future__ import annotations

import io
import os
import shutil
import sys
from typing import Final

_COLOURS: Final = {
    "done": 32,
    "failed": 31,
    "interrupted": 33,
    "cancelled": 33,
    "skipped": 33,
    "running": 36,
    "waiting": 35,
}
_NARROWEST: Final = 40


def width() -> int:
    """The columns of the terminal, 80 where there is none."""
    return max(_NARROWEST, shutil.get_terminal_size((80, 24)).columns)


def say(*lines: str) -> None:
    """Write lines; a character that the stream cannot take is written as its escape."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors != "backslashreplace":
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in lines))


def status(word: str, columns: int = 0) -> str:
    """A status, padded, in its colour."""
    padded = word.ljust(columns)
    return f"\x1b[{_COLOURS[word]}m{padded}\x1b[0m" if word in _COLOURS and _colours_wanted() else padded


def _colours_wanted() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
