"""Edits of a file's text as models ask for them. Pure; what does not fit is said so that the model can do better."""

from __future__ import annotations

import difflib
from typing import Final

from agentrt.errors import ToolError

_AROUND: Final = 3
_SHOWN: Final = 12


def replaced(path: str, text: str, old: str, new: str) -> tuple[str, int]:
    """The text with ``old``, which must stand in it exactly once, replaced, and the number of the line where it stood.

    Raises ``ToolError`` saying what stands there instead.
    """
    if not old:
        raise ToolError(f"{path} exists, and old is empty; give the text to replace, or use edit_lines")
    if old == new:
        raise ToolError("old and new are the same; nothing was changed")
    found = text.count(old)
    if found == 0:
        raise ToolError(f"old does not stand in {path}; nothing was changed. {_nearest(text, old)}")
    if found > 1:
        lines = ", ".join(map(str, _places(text, old)))
        raise ToolError(
            f"old stands in {path} {found} times, at lines {lines}; nothing was changed. Give more lines around the "
            f"one you mean, or use edit_lines"
        )
    at = text.index(old)
    return text[:at] + new + text[at + len(old) :], text.count("\n", 0, at) + 1


def lines_replaced(path: str, text: str, start: int, end: int, new: str) -> str:
    """The text with lines ``start`` to ``end`` replaced by ``new``; ``end = start - 1`` puts it before line ``start``.

    Raises ``ToolError`` for lines that are not there.
    """
    lines = text.splitlines(keepends=True)
    if not 1 <= start <= len(lines) + 1 or not start - 1 <= end <= len(lines):
        raise ToolError(
            f"{path} has {len(lines)} lines: expected 1 <= start <= {len(lines) + 1} and start - 1 <= end <= "
            f"{len(lines)}, got start {start} and end {end}; nothing was changed"
        )
    put = new if not new or new.endswith("\n") else new + "\n"
    before = "".join(lines[: start - 1])
    if before and not before.endswith("\n"):
        before += "\n"
    return before + put + "".join(lines[end:])


def _places(text: str, old: str) -> list[int]:
    found: list[int] = []
    at = text.find(old)
    while at >= 0 and len(found) < _SHOWN:
        found.append(text.count("\n", 0, at) + 1)
        at = text.find(old, at + 1)
    return found


def _nearest(text: str, old: str) -> str:
    """The lines that look most like the first one that was to be replaced."""
    lines = text.splitlines()
    wanted = next((line for line in old.splitlines() if line.strip()), old)
    near = difflib.get_close_matches(wanted.strip(), {line.strip() for line in lines if line.strip()}, n=1, cutoff=0.6)
    if not near:
        return "Read the file first: the text must be the same to the last space."
    number = next(n for n, line in enumerate(lines) if line.strip() == near[0])
    some = lines[max(0, number - _AROUND) : number + _AROUND + 1]
    shown = "\n".join(some)
    return f"The text must be the same to the last space. At line {number + 1} there is something like it:\n{shown}"
