"""Numbers and values as people read them, the same in every display."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from agentrt.types import Usage

_TAB: Final = 4


def duration(seconds: float) -> str:
    """``42 ms``, ``4.2 s``, ``3:07``, ``1:02:03``."""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def share(part: float, whole: float) -> str:
    """``75%``; never 100 for less than all, never 0 for more than nothing."""
    if not whole:
        return "0%"
    percent = round(100 * part / whole)
    if part and part < whole:
        percent = min(99, max(1, percent))
    return f"{percent}%"


def counted(number: int, noun: str) -> str:
    """``1 step``, ``1,200 steps``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def tokens(usage: Usage) -> str:
    """What a model turn took: ``412 prompt (80% cached), 31 generated``; empty for none."""
    if not (usage.prompt or usage.completion):
        return ""
    cached = f" ({share(usage.cached, usage.prompt)} cached)" if usage.cached else ""
    return f"{usage.prompt:,} prompt{cached}, {usage.completion:,} generated"


def short(number: int) -> str:
    """``812``, ``4,120``, ``41.2k``, ``3.1M``."""
    if number < 10_000:
        return f"{number:,}"
    return f"{number / 1_000:.1f}k" if number < 1_000_000 else f"{number / 1_000_000:.1f}M"


def day(wall: float, now: float) -> str:
    """A time of day in this machine's zone: ``Nov 20 12:33``, with the year instead where it is another than now's."""
    when, present = (datetime.fromtimestamp(one, UTC).astimezone() for one in (wall, now))
    return when.strftime("%b %d %H:%M" if when.year == present.year else "%b %d  %Y")


def one_line(text: str) -> str:
    """Text without line breaks, tabs and terminal control characters."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def lines_of(text: str) -> list[str]:
    """The lines of a text, with signs in place of what would steer a terminal; an empty text has one."""
    return [clean(line) for line in text.replace("\r\n", "\n").split("\n")]


def clean(line: str) -> str:
    """One line with signs for control characters, and with blanks for tabs."""
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else _sign(char) for char in line.expandtabs(_TAB))


def _sign(char: str) -> str:
    """What stands for a character that cannot be drawn: Unicode's picture of it where there is one."""
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return " " if char.isspace() and code not in (0x85, 0x2028, 0x2029) else "\ufffd"


def cut(text: str, most: int, dots: str = "...") -> str:
    """The beginning of a text, at most so many characters long."""
    return text if len(text) <= most else text[: max(0, most - len(dots))] + dots


def called(program: str, inputs: dict[str, Any], most: int = 60) -> str:
    """A program with its inputs: ``report(topic='otters')``."""
    given = ", ".join(
        cut(one_line(repr(value)), most) if name.isdigit() else f"{name}={cut(one_line(repr(value)), most)}"
        for name, value in inputs.items()
    )
    return f"{program}({given})"
