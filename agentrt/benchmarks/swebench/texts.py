"""What models are shown of files and outputs, cut to size. Pure.

Nothing that was said is changed later: an output is cut when it is made, so that the beginning of a context stays what
it was and is found in the engine's KV cache.
"""

from __future__ import annotations

from typing import Final

LONGEST_LINE: Final = 400


def shortened(text: str, most: int) -> str:
    """At most about ``most`` characters: the head, what was left out, and the larger tail, cut at lines if possible."""
    lines = [_line(line) for line in text.splitlines()]
    text = "\n".join(lines)
    if len(text) <= most:
        return text
    head, tail = text[: most // 3], text[-(most - most // 3) :]
    head, tail = head.rpartition("\n")[0] or head, tail.partition("\n")[2] or tail
    left_out = len(text) - len(head) - len(tail)
    return f"{head}\n[... {left_out:,} characters left out ...]\n{tail}"


def numbered(text: str, start: int, lines: int, most: int) -> str:
    """That many lines from ``start`` on, with their numbers; fewer if they are longer than ``most`` characters."""
    whole = text.splitlines()
    shown: list[str] = []
    room = most
    for number in range(start, min(start + lines, len(whole) + 1)):
        line = f"{number:>5}  {_line(whole[number - 1])}"
        room -= len(line) + 1
        if room < 0 and shown:
            break
        shown.append(line)
    last = start + len(shown) - 1
    if not shown:
        return f"(the file has {len(whole)} lines)"
    return "\n".join([*shown, f"(lines {start} to {last} of {len(whole)})"])


def _line(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}[... {len(line) - LONGEST_LINE:,} more]"
