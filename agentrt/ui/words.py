"""Numbers and values as people read them, the same in every display."""

from __future__ import annotations

from typing import Any

from agentrt.types import Usage


def duration(seconds: float) -> str:
    """``42 ms``, ``4.2 s``, ``3:07``, ``1:02:03``."""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def share(part: int, whole: int) -> str:
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


def one_line(text: str) -> str:
    """Text without line breaks, tabs and terminal control characters."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


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
